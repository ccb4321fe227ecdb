// What oneknockctl makes of the daemon's status.
#include "server/ctl/show.hpp"

#include "server/gatekeeper/control/answers.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

std::string status(int knocks) {
    CaptureReport report;
    report.packets = 9120;
    KnockLatency times;
    for (int i = 0; i < knocks; ++i)
        times.add(
            {Seconds{10}, Seconds{11}, Seconds{11} + Instant{500'000}, Seconds{12}, Seconds{12} + Instant{250'000}});
    return status_json({"home", Seconds{3600}, 2, 1}, report, DecisionLog{}, times);
}

bool has(const std::string& text, const std::string& line) { return text.find(line + "\n") != std::string::npos; }

}  // namespace

TEST_CASE("the table has the averages of accepted knocks, once there is one") {
    CHECK(has(status_table(status(3)),
              "took      2000.2 ms an accepted knock: assembly 1000.0, verification 0.5, record 999.5, netlink 0.2"));
    CHECK(status_table(status(0)).find("took") == std::string::npos);
}

TEST_CASE("Prometheus gets a summary for each part, in seconds") {
    const std::string text = status_prometheus(status(3));
    CHECK(has(text, "# TYPE oneknock_knock_seconds summary"));
    CHECK(has(text, "oneknock_knock_seconds_sum{part=\"assembly\"} 3.000000000"));
    CHECK(has(text, "oneknock_knock_seconds_sum{part=\"verification\"} 0.001500000"));
    CHECK(has(text, "oneknock_knock_seconds_sum{part=\"total\"} 6.000750000"));
    CHECK(has(text, "oneknock_knock_seconds_count{part=\"netlink\"} 3"));
    CHECK(has(text, "oneknock_capture_packets_total 9120"));
    CHECK(has(status_prometheus(status(0)), "oneknock_knock_seconds_count{part=\"total\"} 0"));
}

TEST_CASE("the status of a daemon that does not measure its knocks can be shown") {
    const std::string old = R"({"schema":1,"door":"home","capture":{},"refused":{"stale":2}})";
    CHECK(has(status_table(old), "refused   2"));
    CHECK(has(status_prometheus(old), "oneknock_refused_total{reason=\"stale\"} 2"));
}
