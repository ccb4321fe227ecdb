// A door whose services change while the firewall is up.
#include "server/firewall/firewall.hpp"

#include <cerrno>

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/sockets.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

struct Door {
    TestNetwork network;
    Descriptor sshd = listen_tcp(ssh.port), httpd = listen_tcp(web.port);

    [[nodiscard]] Port reached(const Service& service, const Address& to = server4,
                               const Address& from = client4) const {
        Port result = Port::silent;
        network.in_client([&] { result = connect_tcp(to, service.port, from).port; });
        return result;
    }
};

bool changed(Firewall& firewall, std::vector<Service> services) {
    const auto result = firewall.change_services(std::move(services), now());
    if (!result) FAIL(result.error().message);
    return *result;
}

// In seconds; 0: there is no such element.
int time_left(const std::string& listing, const std::string& element) {
    const auto at = listing.find(element + " timeout ");
    return at == std::string::npos ? 0 : std::stoi(listing.substr(at + element.size() + 9));
}

}  // namespace

TEST_CASE("a service that is added is closed, and grants of the others stay with their ends") {
    const Door door;
    Firewall firewall = installed({}, {ssh});
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{40}, now()) == 0);
    CHECK(door.reached(web) == Port::open);
    CHECK(changed(firewall, {ssh, web}));
    CHECK(door.reached(web) == Port::refused);
    CHECK(door.reached(web, server6, client6) == Port::refused);
    CHECK(door.reached(ssh) == Port::open);
    const int left = time_left(listing(), "10.77.0.2 . tcp . 22");
    CHECK(left > 20);
    CHECK(left <= 40);
    CHECK(firewall.open_grant(web, client4, Seconds{30}, now()) == 0);
    CHECK(door.reached(web) == Port::open);
    CHECK(door.reached(web, server4, other_client4) == Port::refused);
    CHECK_FALSE(firewall.on_watch_readable());  // our own change is nobody else's
    CHECK_FALSE(repaired(firewall, now()));
}

TEST_CASE("a session with a service that is added goes on") {
    const Door door;
    Firewall firewall = installed({}, {ssh});
    Connection session;
    door.network.in_client([&] { session = connect_tcp(server4, web.port, client4); });
    const auto peer = accept_from(door.httpd);
    CHECK(changed(firewall, {ssh, web}));
    CHECK(talk(session.socket, peer));
}

TEST_CASE("a service that is removed is not closed any more, its grants end, and it can be granted no more") {
    const Door door;
    Firewall firewall = installed({}, {ssh, web});
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{40}, now()) == 0);
    REQUIRE(firewall.open_grant(web, client4, Seconds{40}, now()) == 0);
    CHECK(door.reached(web, server4, other_client4) == Port::refused);
    CHECK(changed(firewall, {ssh}));
    CHECK(door.reached(web, server4, other_client4) == Port::open);
    CHECK(door.reached(ssh, server4, other_client4) == Port::refused);
    CHECK(door.reached(ssh) == Port::open);
    const std::string text = listing();
    CHECK(time_left(text, "10.77.0.2 . tcp . 22") > 0);
    CHECK(time_left(text, "10.77.0.2 . tcp . 8443") == 0);
    CHECK(firewall.open_grant(web, client4, Seconds{30}, now()) == EINVAL);
    CHECK_FALSE(repaired(firewall, now()));
    // Added again, it is as closed as at first.
    CHECK(changed(firewall, {ssh, web}));
    CHECK(door.reached(web) == Port::refused);
}

TEST_CASE("what others damage is put right for the services of now") {
    const Door door;
    Firewall firewall = installed({}, {ssh});
    CHECK(changed(firewall, {web, vpn}));
    const std::string wanted = timeless(listing());
    CHECK(wanted == [&] {
        run("nft delete table inet oneknock");
        const Firewall fresh = installed({}, {web, vpn});
        return timeless(listing());
    }());
    run("nft flush ruleset");
    CHECK(firewall.on_watch_readable());
    CHECK(repaired(firewall, now()));
    CHECK(timeless(listing()) == wanted);
    CHECK(door.reached(ssh) == Port::open);
    CHECK(door.reached(web) == Port::refused);
    run("nft add rule inet oneknock guarded accept");
    CHECK(changed(firewall, {ssh}));  // together with what a change finds damaged
    CHECK_FALSE(repaired(firewall, now()));
}

TEST_CASE("a change to the same services changes nothing") {
    const Door door;
    Firewall firewall = installed({}, {ssh, web});
    const std::string before = output("nft -a list table inet oneknock");
    CHECK_FALSE(changed(firewall, {ssh, web}));
    CHECK(output("nft -a list table inet oneknock") == before);
}

TEST_CASE("set mode takes our elements of a service that is removed, and the administrator's stay") {
    const Door door;
    run("nft add table inet filter");
    const FirewallConfig config = using_sets("inet", "filter", "knocked4", "");
    run(grant_set_command(Family::ipv4, grant_sets(config).table, "knocked4"));
    Firewall firewall = installed(config, {ssh, web});
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    REQUIRE(firewall.open_grant(web, client4, Seconds{30}, now()) == 0);
    run("nft 'add element inet filter knocked4 { 10.9.9.9 . tcp . 8443 }'");
    CHECK(changed(firewall, {ssh}));
    const std::string left = output("nft list set inet filter knocked4");
    INFO(left);
    CHECK(left.find("10.77.0.2 . tcp . 22") != std::string::npos);
    CHECK(left.find("10.77.0.2 . tcp . 8443") == std::string::npos);
    CHECK(left.find("10.9.9.9 . tcp . 8443") != std::string::npos);
    CHECK(firewall.open_grant(web, client4, Seconds{30}, now()) == EINVAL);
    CHECK_FALSE(changed(firewall, {ssh, vpn}));  // nothing of ours to change in the kernel
    CHECK(firewall.open_grant(vpn, client4, Seconds{30}, now()) == 0);
}

TEST_CASE(
    "set mode takes our elements of a service that was removed while no daemon ran, and what only looks like ours") {
    const Door door;
    run("nft add table inet filter");
    const FirewallConfig config = using_sets("inet", "filter", "knocked4", "");
    run(grant_set_command(Family::ipv4, grant_sets(config).table, "knocked4"));
    const auto left = [] { return output("nft list set inet filter knocked4"); };
    const auto open_web = [&] {
        Firewall before = installed(config, {ssh, web});
        REQUIRE(before.open_grant(web, client4, Seconds{30}, now()) == 0);
        run("nft 'add element inet filter knocked4 { 10.9.9.9 . tcp . 22 comment \"oneknock\" }'");
        CHECK(left().find("10.77.0.2 . tcp . 8443") != std::string::npos);
    };
    open_web();
    CHECK(installed(config, {ssh}).foreign_elements().empty());
    CHECK(left().find("elements") == std::string::npos);
    open_web();
    auto after = Firewall::open(config, {ssh});
    REQUIRE(after);
    CHECK(after->remove());
    CHECK(left().find("elements") == std::string::npos);
}

TEST_CASE("services that the kernel cannot be told of hold all the same, and the repair brings them") {
    const Door door;
    run("nft add table inet filter");
    const FirewallConfig config = using_sets("inet", "filter", "knocked4", "");
    const std::string make_set = grant_set_command(Family::ipv4, grant_sets(config).table, "knocked4");
    run(make_set);
    Firewall firewall = installed(config, {ssh});
    run("nft flush ruleset");
    CHECK_FALSE(firewall.change_services({web}, now()));
    CHECK(firewall.open_grant(ssh, client4, Seconds{30}, now()) == EINVAL);
    run("nft add table inet filter");
    run(make_set);
    CHECK(firewall.repair(now()));
    CHECK(firewall.open_grant(web, client4, Seconds{30}, now()) == 0);
}
