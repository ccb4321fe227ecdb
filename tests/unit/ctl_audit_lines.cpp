// What oneknockctl audit asks for, and how it shows a line.
#include "server/ctl/audit_lines.hpp"

#include <nlohmann/json.hpp>

#include "common/text.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

const ServiceNames services{{"ssh", {protocol_tcp, 22}}, {"vpn", {protocol_udp, 1194}}};
constexpr UnixTime now{Seconds{1'800'000'000}};

AuditLine accepted_line() {
    return {.id = 7,
            .when = now,
            .client = "laptop",
            .generation = 2,
            .source = "192.0.2.7",
            .operation = "open",
            .protocol = "tcp",
            .port = 22,
            .address = "192.0.2.7",
            .duration_s = 60,
            .decision = "accepted",
            .reason = ""};
}

Result<AuditFilter> filter(const AuditWords& words) { return audit_filter(words, services, now); }

AuditWords since(const char* time) {
    AuditWords words;
    words.since = time;
    return words;
}

AuditWords service(const char* name) {
    AuditWords words;
    words.service = name;
    return words;
}

AuditWords decision(const char* word) {
    AuditWords words;
    words.decision = word;
    return words;
}

}  // namespace

TEST_CASE("times of the audit are ago, a day's beginning, or exact") {
    CHECK(filter(since("2h"))->since == now - Seconds{7200});
    CHECK(filter(since("0s"))->since == now);
    CHECK(filter(since("2027-01-15"))->since == parse_time("2027-01-15T00:00:00Z"));
    CHECK(filter(since("2027-01-15T08:00:01Z"))->since == parse_time("2027-01-15T08:00:01Z"));
    CHECK(filter({})->since == std::nullopt);
    for (const char* wrong :
         {"", "yesterday", "-2h", "2h30m", "500ms", "2027-02-30", "2027-01-15 08:00", "99999999w"}) {
        INFO(wrong);
        REQUIRE_FALSE(filter(since(wrong)));
        CHECK(filter(since(wrong)).error().code == ExitCode::usage);
    }
}

TEST_CASE("a span of time that is empty, or that following would leave, is refused") {
    AuditWords words = since("1h");
    words.until = "2h";
    CHECK_FALSE(filter(words));
    words.until = "1h";
    CHECK(filter(words));
    words.follow = true;
    CHECK_FALSE(filter(words));
}

TEST_CASE("a service is asked for by its name or by protocol and port") {
    CHECK(filter(service("vpn"))->service == Service{protocol_udp, 1194});
    CHECK(filter(service("udp/53"))->service == Service{protocol_udp, 53});
    CHECK(needs_service_names(service("vpn")));
    CHECK_FALSE(needs_service_names(service("udp/53")));
    CHECK_FALSE(needs_service_names({}));
    CHECK(filter(service("vpm")).error().message == "--service vpm: the door has no such service; did you mean vpn?");
}

TEST_CASE("a decision is asked for by its name or by a reason") {
    for (const char* right : {"accepted", "refused", "future", "service-not-allowed"}) CHECK(filter(decision(right)));
    CHECK(filter(decision("acepted")).error().message ==
          "--decision acepted: must be accepted, refused or a reason of refusals that the audit has; did you mean "
          "accepted?");
    for (const char* without_lines : {"stale", "replayed", "unknown-key"}) CHECK_FALSE(filter(decision(without_lines)));
}

TEST_CASE("a line tells who opened what, when, from where, for how long, and for whom else") {
    AuditLine line = accepted_line();
    CHECK(audit_text(line, services) ==
          "2027-01-15T08:00:00Z  laptop            192.0.2.7        open       ssh        accepted for 60s\n");
    line.port = 23;
    line.address = "198.51.100.1";
    CHECK(audit_text(line, services) ==
          "2027-01-15T08:00:00Z  laptop            192.0.2.7        open       tcp/23     accepted for 60s, opened for "
          "198.51.100.1\n");
    line.decision = "refused";
    line.reason = "future";
    CHECK(audit_text(line, services) ==
          "2027-01-15T08:00:00Z  laptop            192.0.2.7        open       tcp/23     refused: future\n");
}

TEST_CASE("a line as JSON has the fields of oneknockd --read, with null where there is no reason") {
    AuditLine line = accepted_line();
    CHECK(
        audit_json(line, services) ==
        R"({"time":"2027-01-15T08:00:00Z","source":"192.0.2.7","client":"laptop","operation":"open","protocol":"tcp",)"
        R"("port":22,"service":"ssh","decision":"accepted","reason":null,"address":"192.0.2.7","generation":2,)"
        R"("duration_s":60})"
        "\n");
    line.reason = "future";
    const auto refused = nlohmann::json::parse(audit_json(line, services));
    CHECK(refused["reason"] == "future");
    CHECK_FALSE(refused.contains("duration_s"));
}

TEST_CASE("what a taken-over room could write into the audit neither moves the cursor nor forges a line") {
    AuditLine line = accepted_line();
    line.client = "lap\033[2J\ntop\xff\x7f\xc2\x9b";
    line.decision = "accepted\n";
    const std::string text = audit_text(line, services);
    CHECK(text.find('\033') == std::string::npos);
    CHECK(text.find('\n') == text.size() - 1);
    const std::string json = audit_json(line, services);
    CHECK(json.find('\n') == json.size() - 1);
    CHECK(nlohmann::json::accept(json));
    CHECK(json.substr(0, json.size() - 1) == printable(json.substr(0, json.size() - 1)));
}
