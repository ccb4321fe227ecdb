// What oneknockctl makes of the daemon's status.
#include "server/ctl/host_clock.hpp"
#include "server/ctl/show.hpp"

#include "server/gatekeeper/control/answers.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

StatusFigures home_figures() {
    StatusFigures figures;
    figures.door = "home";
    figures.uptime = Seconds{3600};
    figures.clients = 2;
    figures.grants = 1;
    return figures;
}

std::string status(int knocks, const KeyProblems& problems = {}, Instant now = {}) {
    CaptureReport report;
    report.packets = 9120;
    KnockLatency times;
    for (int i = 0; i < knocks; ++i)
        times.add(
            {Seconds{10}, Seconds{11}, Seconds{11} + Instant{500'000}, Seconds{12}, Seconds{12} + Instant{250'000}});
    return status_json(home_figures(), report, DecisionLog{}, times, problems, now);
}

bool has(const std::string& text, const std::string& line) { return text.find(line + "\n") != std::string::npos; }

// Laptop's file is cut short, and there is a copy of Desk's, since a minute.
KeyProblems two_problems() {
    LoadedKeys loaded;
    loaded.wrong["laptop.json"] = {"laptop", "clients.d/laptop.json:3: it ends here"};
    loaded.wrong["desk (copy).json"] = {"", "clients.d/desk (copy).json: rename it"};
    Keyring keyring;
    keyring.clients.emplace_back().name = "laptop";
    KeyProblems problems;
    problems.take_in(loaded, keyring, Seconds{0});
    return problems;
}

}  // namespace

TEST_CASE("the table has the averages of accepted knocks, once there is one") {
    CHECK(has(status_table(status(3)),
              "took      2000.2 ms an accepted knock: assembly 1000.0, verification 0.5, record 999.5, netlink 0.2"));
    CHECK(status_table(status(0)).find("took") == std::string::npos);
}

TEST_CASE("a clock that nothing keeps right is told of, and no other") {
    const auto with = [](std::optional<bool> synchronised) { return with_host_clock(status(0), synchronised); };
    CHECK(status_table(with(false)).find("clock     this host's clock is not synchronised") != std::string::npos);
    CHECK(has(status_prometheus(with(false)), "oneknock_clock_synchronised 0"));
    CHECK(has(status_prometheus(with(true)), "oneknock_clock_synchronised 1"));
    CHECK(with(std::nullopt).find("\"clock_synchronised\":null") != std::string::npos);
    for (const auto& told : {with(true), with(std::nullopt), status(0)})
        CHECK(status_table(told).find("clock") == std::string::npos);
    CHECK(status_prometheus(with(std::nullopt)).find("clock") == std::string::npos);
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

TEST_CASE("elements that are not ours are listed until they end; what is not listed is counted") {
    ForeignElementsSeen seen;
    seen.elements.count = 5;
    seen.elements.told = 3;
    seen.elements.elements[0] = {0, Service{protocol_tcp, 22}, *Address::parse("2001:db8::7"), {}};
    seen.elements.elements[1] = {60, Service{protocol_udp, 51820}, *Address::parse("192.0.2.7"), {}};
    seen.elements.elements[2] = {10, Service{protocol_tcp, 22}, *Address::parse("192.0.2.8"), {}};
    seen.at = Seconds{100};
    StatusFigures figures = home_figures();
    figures.foreign = seen;
    const auto shown = [&](Instant now) {
        return status_json(figures, CaptureReport{}, DecisionLog{}, KnockLatency{}, {}, now);
    };
    const std::string text = status_table(shown(Seconds{120}));
    CHECK(has(text, "foreign   4 elements of the administrator's sets are not oneknock's"));
    CHECK(has(text, "  tcp/22 for 2001:db8::7, without an end"));
    CHECK(has(text, "  udp/51820 for 192.0.2.7, 40 s left"));
    CHECK(has(text, "  and 2 more"));
    CHECK(text.find("192.0.2.8") == std::string::npos);
    CHECK(has(status_prometheus(shown(Seconds{120})), "oneknock_foreign_elements 4"));
    CHECK(status_table(status(0)).find("foreign") == std::string::npos);
}

TEST_CASE("the status of a daemon that does not measure its knocks can be shown") {
    const std::string old = R"({"schema":1,"door":"home","capture":{},"refused":{"stale":2}})";
    CHECK(has(status_table(old), "refused   2"));
    CHECK(has(status_prometheus(old), "oneknock_refused_total{reason=\"stale\"} 2"));
}

TEST_CASE("files that are wrong stand in the status, in the metrics and in the answer to a reload") {
    const KeyProblems problems = two_problems();
    const std::string text = status_table(status(0, problems, Seconds{60}));
    CHECK(has(text, "wrong     2 key files"));
    CHECK(has(text, "  clients.d/desk (copy).json: rename it; no client is read from it"));
    CHECK(has(text,
              "  clients.d/laptop.json:3: it ends here; laptop keeps the keys it had for at most 10 minutes (540 s "
              "left)"));
    const std::string metrics = status_prometheus(status(0, problems, Seconds{60}));
    CHECK(has(metrics, "oneknock_key_files_wrong 2"));
    CHECK(has(metrics, "oneknock_clients_on_old_keys 1"));
    Keyring keyring;
    keyring.door.generations.emplace_back();
    const std::string sentence = wrong_files_in(reloaded_json(keyring, "laptop", problems, Seconds{60}));
    CHECK_THAT(sentence, Catch::StartsWith("what is right was reloaded, but 2 key files are wrong: "));
    CHECK_THAT(sentence, Catch::Contains("desk (copy).json: rename it") && Catch::Contains("it ends here"));

    CHECK(status_table(status(0)).find("wrong") == std::string::npos);
    CHECK(has(status_prometheus(status(0)), "oneknock_key_files_wrong 0"));
    CHECK(wrong_files_in(reloaded_json(keyring, "", {}, Seconds{0})).empty());
}
