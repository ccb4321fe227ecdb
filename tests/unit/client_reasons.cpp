#include "client/commands/reasons.hpp"

#include "client_fixtures.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using namespace std::chrono_literals;

namespace {

Report sample_report() {
    Report report;
    report.request.port = 22;
    report.request.address = *Address::parse("192.0.2.7");
    report.destination = *Address::parse("203.0.113.5");
    report.sent = true;
    return report;
}

std::string text(const Report& report, const KnockOptions& options, const char* policy = "same") {
    const Error error = timed_out(report, sample_key(policy), options, sample_time);
    CHECK(error.code == ExitCode::try_later);
    return error.message;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }
bool precedes(const std::string& text, std::string_view one, std::string_view other) {
    return contains(text, one) && text.find(one) < text.find(other);
}

}  // namespace

TEST_CASE("when the time is up the hints fit the case") {
    KnockOptions options = sample_options();
    options.wait = 10s;
    Report report = sample_report();
    CHECK(contains(text(report, options), "tcp/22 at 203.0.113.5 did not open within 10s"));
    CHECK(contains(text(report, options), "2027-01-15T08:00:00Z"));
    CHECK(contains(text(report, options), "try --via tcp"));
    CHECK(contains(text(report, options), "--source YOUR.PUBLIC.ADDRESS"));
    CHECK(contains(text(report, options, "observed"), "--source observed"));
    CHECK_FALSE(contains(text(report, options), "could not be sent"));
    report.failure = "no route to 203.0.113.5";
    CHECK(contains(text(report, options), "the last knock could not be sent: no route to 203.0.113.5"));
    report.via = Via::tcp;
    options.via_chosen = true;
    options.wait = 1500ms;
    CHECK(contains(text(report, options), "try --via udp"));
    CHECK(contains(text(report, options), "within 1500ms"));
    report.request.operation = 2;
    CHECK(contains(text(report, options), "did not close within 1500ms; it still accepts connections"));
    CHECK_FALSE(contains(text(report, options), "is the service itself running"));
}

TEST_CASE("a reset and silence are told apart, with the likeliest reason first") {
    KnockOptions options = sample_options();
    options.wait = 10s;
    Report report = sample_report();
    report.sign = PortWatch::Sign::reset;
    CHECK(contains(text(report, options), "did not open within 10s; it answers with resets"));
    CHECK_FALSE(contains(text(report, options), "the server may be off"));
    CHECK(contains(text(report, options), "is the service itself running"));
    report.sign = PortWatch::Sign::silence;
    CHECK(contains(text(report, options), "; nothing answers"));
    CHECK(precedes(text(report, options), "the server may be off", "this machine's clock"));
    report.sign = PortWatch::Sign::unreachable;
    CHECK(precedes(text(report, options), "check this machine's network", "the server may be off"));
}

TEST_CASE("what --wait has tried by itself is not advised") {
    KnockOptions options = sample_options();
    Report report = sample_report();
    report.changed_carrier = true;
    CHECK(contains(text(report, options), "was sent by udp and by tcp, fast and slowly"));
    CHECK_FALSE(contains(text(report, options), "try --via"));
}

TEST_CASE("an address that was left open may have been several: two uplinks are named") {
    Report report = sample_report();
    report.request.address = Address::any(Family::ipv4);
    CHECK(contains(text(report, sample_options(), "observed"), "two uplinks"));
}

TEST_CASE("a private address that was asked for is likelier the reason than the clock, and a public one is not") {
    Report report = sample_report();
    report.request.address = *Address::parse("10.0.0.5");
    CHECK(precedes(text(report, sample_options()), "the knock asked for 10.0.0.5", "this machine's clock"));
    report.request.address = *Address::parse("1.0.0.5");
    CHECK(precedes(text(report, sample_options()), "this machine's clock", "the knock asked for 1.0.0.5"));
}

TEST_CASE("a knock that never left is no matter of the server's") {
    KnockOptions options = sample_options();
    options.wait = 3s;
    Report report = sample_report();
    report.sent = false;
    report.failure = "no route to 203.0.113.5: Network is unreachable";
    const Error error = timed_out(report, sample_key(), options, sample_time);
    CHECK(error.code == ExitCode::unavailable);
    CHECK(error.message == "no route to 203.0.113.5: Network is unreachable (tried again for 3s)");
}
