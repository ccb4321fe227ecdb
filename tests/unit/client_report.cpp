#include "client/commands/report.hpp"

#include <nlohmann/json.hpp>

#include "client_fixtures.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using namespace std::chrono_literals;

namespace {

Report sample_report() {
    Report report;
    report.service = "ssh";
    report.request.port = 22;
    report.request.time = 1'800'000'000;
    report.request.address = *Address::parse("192.0.2.7");
    report.destination = *Address::parse("203.0.113.5");
    report.source_port = 50'000;
    report.ports = {2000, 1024, 65535};
    report.sent = true;
    return report;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("sent is not called open") {
    Report report = sample_report();
    CHECK(sent_line(report) ==
          "sent: open tcp/22 for 192.0.2.7 at 203.0.113.5 (3 packets); nothing is confirmed, use "
          "--wait to see it open");
    report.request.protocol = protocol_udp;
    report.request.address = Address::any(Family::ipv4);
    CHECK(sent_line(report) ==
          "sent: open udp/22 for the address the server sees at 203.0.113.5 (3 packets); nothing "
          "is confirmed");
}

TEST_CASE("what was seen is told with its time") {
    Report report = sample_report();
    report.elapsed = 3149us;
    CHECK(confirmed_line(report) == "open: tcp/22 at 203.0.113.5 after 3.1 ms");
    report.was_open = false;
    CHECK(confirmed_line(report) == "open: tcp/22 at 203.0.113.5 after 3.1 ms");
    report.request.operation = 2;
    report.was_open = true;
    CHECK(confirmed_line(report) == "closed: tcp/22 at 203.0.113.5 after 3.1 ms");
}

TEST_CASE("a port that was so before is not said to have become so") {
    Report report = sample_report();
    report.elapsed = 3149us;
    report.was_open = true;
    CHECK(confirmed_line(report) ==
          "was open before: tcp/22 at 203.0.113.5; what the knock did cannot be seen from here");
    report.request.operation = 2;
    report.was_open = false;
    CHECK(confirmed_line(report) == "was not open before: tcp/22 at 203.0.113.5");
}

TEST_CASE("a dry run tells address, time and ports") {
    const std::string text = dry_run_text(sample_report());
    CHECK(contains(text, "open tcp/22 for 192.0.2.7 at 203.0.113.5"));
    CHECK(contains(text, "2027-01-15T08:00:00Z (1800000000)"));
    CHECK(contains(text, "from port 50000 to 3 ports: 2000 1024 65535"));
}

TEST_CASE("the JSON object has every field, with null for what is not known") {
    Report report = sample_report();
    auto object = nlohmann::json::parse(json_line(report));
    CHECK(object["schema"] == 1);
    CHECK(object["operation"] == "open");
    CHECK(object["service"] == "ssh");
    CHECK(object["protocol"] == "tcp");
    CHECK(object["port"] == 22);
    CHECK(object["time"] == 1'800'000'000);
    CHECK(object["address"] == "192.0.2.7");
    CHECK(object["destination"] == "203.0.113.5");
    CHECK(object["source_port"] == 50'000);
    CHECK(object["via"] == "udp");
    CHECK(object["ports"] == nlohmann::json({2000, 1024, 65535}));
    CHECK(object["sent"] == true);
    CHECK(object["was_open"].is_null());
    CHECK(object["confirmed"].is_null());
    CHECK(object["elapsed_ms"].is_null());

    report.destination.reset();
    report.was_open = true;
    report.confirmed = false;
    report.elapsed = 1500us;
    report.service = "a\"b";
    object = nlohmann::json::parse(json_line(report));
    CHECK(object["destination"].is_null());
    CHECK(object["was_open"] == true);
    CHECK(object["confirmed"] == false);
    CHECK(object["elapsed_ms"] == 1.5);
    CHECK(object["service"] == "a\"b");
}
