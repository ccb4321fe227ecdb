// How many lines knocks may cause, and whose.
#include "server/gatekeeper/decide/decision_log.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

constexpr Instant begin = Seconds{1000};

Decision knock_of(const std::string& client) {
    Decision decision;
    decision.verified = true;
    decision.client = client;
    decision.source = decision.address = *Address::parse("192.0.2.7");
    decision.request.operation = static_cast<std::uint8_t>(Operation::open);
    decision.request.port = 22;
    return decision;
}

// Standard error while it lives.
class Lines {
public:
    Lines() : file_(memfd_create("lines", MFD_CLOEXEC)), before_(dup(STDERR_FILENO)) {
        dup2(file_.get(), STDERR_FILENO);
    }
    ~Lines() { dup2(before_.get(), STDERR_FILENO); }
    Lines(const Lines&) = delete;
    Lines& operator=(const Lines&) = delete;

    // What has come since this was asked last.
    std::string news() {
        std::string text(static_cast<std::size_t>(lseek(file_.get(), 0, SEEK_CUR)), '\0');
        REQUIRE(pread(file_.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
        return text.substr(std::exchange(read_, text.size()));
    }

private:
    Descriptor file_, before_;
    std::size_t read_ = 0;
};

std::size_t count(const std::string& text, const std::string& words) {
    std::size_t found = 0;
    for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++found;
    return found;
}

}  // namespace

TEST_CASE("no client takes the others' lines, however often it knocks") {
    DecisionLog log;
    Lines lines;
    for (int i = 0; i < 1000; ++i) log.accepted(knock_of("alice"), begin);
    CHECK(count(lines.news(), "accepted: alice") == 500);
    CHECK(log.unlogged_count() == 500);
    for (int second = 1; second <= 10; ++second) {
        for (int i = 0; i < 100; ++i) log.accepted(knock_of("alice"), begin + Seconds{second});
        log.accepted(knock_of("bob"), begin + Seconds{second});
        log.refused(knock_of("carol"), Reason::stale, begin + Seconds{second});
    }
    CHECK(log.accepted_count() == 2010);
    const std::string text = lines.news();
    CHECK(count(text, "accepted: bob") == 10);
    CHECK(count(text, "refused: stale: carol") == 10);
}

TEST_CASE("a client's refusals, which whoever plays its knock back brings about, leave lines for what is accepted") {
    DecisionLog log;
    Lines lines;
    for (int i = 0; i < 1000; ++i) log.refused(knock_of("alice"), Reason::replayed, begin);
    CHECK(count(lines.news(), "refused: replayed: alice") == 250);
    for (int i = 0; i < 100; ++i) log.accepted(knock_of("alice"), begin);
    CHECK(count(lines.news(), "accepted: alice") == 100);
}

TEST_CASE("refusals leave lines for what is accepted, and how many were left out is said within the budget") {
    DecisionLog log;
    Lines lines;
    for (int client = 0; client < 100; ++client)
        for (int i = 0; i < 20; ++i) log.refused(knock_of("client" + std::to_string(client)), Reason::stale, begin);
    CHECK(count(lines.news(), "refused: stale") == 500);
    log.accepted(knock_of("alice"), begin);
    CHECK(count(lines.news(), "accepted: alice") == 1);
    CHECK(log.unlogged_count() == 1500);
    for (int i = 0; i < 10'000; ++i) log.refused(knock_of("client" + std::to_string(i)), Reason::stale, begin);
    CHECK(count(lines.news(), "\n") == 0);
    for (int i = 0; i < 10'000; ++i)
        log.refused(knock_of("client" + std::to_string(i)), Reason::stale, begin + Seconds{2});
    CHECK(count(lines.news(), "\n") <= 100);
}
