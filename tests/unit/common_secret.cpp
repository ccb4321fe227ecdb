// Secrets in memory: what is given back is wiped, what runs over its end meets a guard page.
#include "common/secret.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

constexpr std::size_t sizes[] = {0, 1, 31, 1000, 4079, 4080, 4081, 16'384, 100'000};

bool is_zero(std::span<const std::uint8_t> bytes) {
    return std::ranges::all_of(bytes, [](std::uint8_t b) { return b == 0; });
}

}  // namespace

TEST_CASE("secret bytes begin as zeros, also where others have lain") {
    for (int round = 0; round < 3; ++round)
        for (const std::size_t size : sizes) {
            SecretBytes first(size), second(size);
            CHECK(first.bytes().size() == size);
            CHECK((is_zero(first.bytes()) && is_zero(second.bytes())));
            std::ranges::fill(first.bytes(), std::uint8_t{0xaa});
            CHECK(is_zero(second.bytes()));
        }
}

TEST_CASE("secret bytes keep their content when they move and when they shrink") {
    for (const std::size_t size : {std::size_t{100}, std::size_t{5000}}) {
        SecretBytes content(size), other(10);
        std::ranges::fill(content.bytes(), std::uint8_t{7});
        other = std::move(content);
        SecretBytes moved(std::move(other));
        moved.shrink(40);
        moved.shrink(60);
        CHECK(moved.bytes().size() == 40);
        CHECK(std::ranges::count(moved.bytes(), 7) == 40);
    }
}

TEST_CASE("a write behind the end of secret bytes ends the process") {
    for (const std::size_t size : sizes) {
        const pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            signal(SIGSEGV, SIG_DFL);
            SecretBytes content(size);
            volatile std::uint8_t* const bytes = content.bytes().data();
            bytes[size] = 1;
            _exit(0);
        }
        int status = 0;
        REQUIRE(waitpid(pid, &status, 0) == pid);
        CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
    }
}

TEST_CASE("secret bytes are locked also in a process that was forked since", "[unsanitized]") {
    { const SecretBytes before(100); }
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        const SecretBytes content(100);
        std::ifstream status("/proc/self/status");
        for (std::string word; status >> word;)
            if (word == "VmLck:") _exit(status >> word && word != "0" ? 0 : 1);
        _exit(2);
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

TEST_CASE("a secret is copied, compared and written as base64") {
    const Secret32 secret = Secret32::random();
    Secret32 copy = secret.copy();
    CHECK(copy.equals(secret));
    copy.bytes()[31] ^= 1;
    CHECK_FALSE(copy.equals(secret));
    char text[base64_secret_length];
    secret_to_base64(secret, text);
    Secret32 back;
    REQUIRE(secret_from_base64({text, sizeof text}, back));
    CHECK(back.equals(secret));
    CHECK_FALSE(secret_from_base64({text, sizeof text - 1}, back));
    text[5] = '-';
    CHECK_FALSE(secret_from_base64({text, sizeof text}, back));
    CHECK(is_zero(Secret32().bytes()));
}
