// Starting again: what an earlier run left in the kernel.
#include "server/firewall/firewall.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/sockets.hpp"
#include "tests/firewall/stream.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

void leave_grants(const std::vector<Service>& services) {
    Firewall earlier = installed({}, services);
    REQUIRE(earlier.open_grant(ssh, client4, Seconds{40}, now()) == 0);
    REQUIRE(earlier.open_grant(web, client6, Seconds{20}, now()) == 0);
}

const std::vector<Grant> left{{ssh, client4, Seconds{60}}, {web, client6, Seconds{60}}};

std::string with_handles() { return output("nft -a list table inet oneknock | grep handle"); }

}  // namespace

TEST_CASE("the next start adopts the grants with their remaining times") {
    const TestNetwork network;
    leave_grants({ssh, web});
    const auto handles = with_handles();
    usleep(1'100'000);
    std::vector<Grant> adopted;
    Firewall firewall = installed({}, {ssh, web}, &adopted, left);
    REQUIRE(adopted.size() == 2);
    CHECK(adopted[0].service == ssh);
    CHECK(adopted[0].address == client4);
    CHECK(std::chrono::ceil<Seconds>(adopted[0].remaining) == Seconds{39});
    CHECK(adopted[1].address == client6);
    CHECK(std::chrono::ceil<Seconds>(adopted[1].remaining) == Seconds{19});
    CHECK(with_handles() == handles);  // nothing was touched
    CHECK_FALSE(repaired(firewall, now()));
}

TEST_CASE("what the record does not know is removed, and what it knows ends when the record says") {
    const TestNetwork network;
    leave_grants({ssh, web});
    run("nft 'add element inet oneknock granted4 { 10.77.0.9 . tcp . 22 timeout 40d }'");
    auto opened = Firewall::open({}, {ssh, web});
    REQUIRE(opened);
    const auto found = opened->install({{ssh, client4, Seconds{10}}, {ssh, other_client4, Seconds{10}}}, now());
    REQUIRE(found);
    REQUIRE(found->adopted.size() == 1);
    CHECK(found->adopted[0].address == client4);
    CHECK(found->adopted[0].remaining == Seconds{10});
    CHECK(found->removed == 2);
    CHECK(listing().find("10.77.0.9") == std::string::npos);
    CHECK(listing().find("fd77::2") == std::string::npos);
    CHECK(listing().find("timeout 10s") != std::string::npos);
    CHECK(output("nft list set inet oneknock granted4").find("40d") == std::string::npos);
}

TEST_CASE("another configuration rebuilds the table and keeps the grants of services that stay") {
    const TestNetwork network;
    leave_grants({ssh, web});
    std::vector<Grant> adopted;
    Firewall firewall = installed(dropping(), {ssh, vpn}, &adopted, left);
    REQUIRE(adopted.size() == 1);
    CHECK(adopted[0].service == ssh);
    CHECK(listing().find("8443") == std::string::npos);
    CHECK(listing().find("10.77.0.2 . tcp . 22 timeout") != std::string::npos);
    CHECK(listing().find("\t\tdrop\n") != std::string::npos);
}

TEST_CASE("permanent elements, malformed ones and other services' are not adopted and go") {
    const TestNetwork network;
    leave_grants({ssh, web});
    run("nft 'add element inet oneknock granted4 { 10.77.0.3 . tcp . 22, 10.77.0.4 . tcp . 99 timeout 1h, "
        "* timeout 1h }'");
    std::vector<Grant> adopted;
    const Firewall firewall = installed({}, {ssh, web}, &adopted, left);
    CHECK(adopted.size() == 2);
    CHECK(listing().find("10.77.0.3") == std::string::npos);
    CHECK(listing().find("10.77.0.4") == std::string::npos);
    CHECK(listing().find("*") == std::string::npos);
}

TEST_CASE("whatever else is called inet oneknock is replaced") {
    const TestNetwork network;
    run("nft 'table inet oneknock { map granted4 { type ipv4_addr : verdict; }; chain guard { accept; }; "
        "chain x { jump guard; }; }'");
    std::vector<Grant> adopted;
    Firewall firewall = installed({}, {ssh}, &adopted);
    CHECK(adopted.empty());
    CHECK_FALSE(repaired(firewall, now()));
    CHECK(listing().find("chain x") == std::string::npos);
}

TEST_CASE("a start under a stream of connections refuses none of a granted address") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    leave_grants({ssh, web});
    ConnectionStream stream(network, sshd, 22);
    for (int i = 0; i < 30 || stream.accepted() < 500; ++i) {  // each start finds the other configuration
        (void)installed(i % 2 == 0 ? dropping() : FirewallConfig{}, {ssh, web}, nullptr, left);
        stream.accept_all();
    }
    CHECK(stream.finish());
}

TEST_CASE("remove takes the table away, and what is not there is removed already") {
    const TestNetwork network;
    Firewall firewall = installed({}, {ssh});
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{40}, now()) == 0);
    CHECK(firewall.remove());
    CHECK(output("nft list ruleset").empty());
    CHECK(firewall.remove());
}

TEST_CASE("without CAP_NET_ADMIN the error says so") {
    const TestNetwork network;
    const pid_t child = fork();
    if (child == 0) {
        const bool dropped = setresuid(65534, 65534, 65534) == 0;
        const auto firewall = Firewall::open({}, {ssh});
        const bool said = !firewall && firewall.error().code == ExitCode::permission &&
                          firewall.error().message.find("needs CAP_NET_ADMIN") != std::string::npos;
        _exit(dropped && said ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
}
