#include "tests/firewall/network.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "tests/firewall/sockets.hpp"

namespace oneknock::test {
namespace {

Descriptor this_namespace() { return Descriptor(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)); }

Descriptor new_namespace() {
    if (unshare(CLONE_NEWNET) != 0) throw std::runtime_error("cannot make a network namespace");
    return this_namespace();
}

void enter(const Descriptor& there) {
    if (setns(there.get(), CLONE_NEWNET) != 0) throw std::runtime_error("cannot enter a network namespace");
}

void bring_up(const std::string& interface, const std::vector<std::string>& addresses) {
    run("ip link set lo up");
    for (const std::string& address : addresses)
        run("ip addr add " + address + (address.find(':') == std::string::npos ? "" : " nodad") + " dev " + interface);
    run("sysctl -qw net.ipv6.conf." + interface + ".accept_dad=0");
    run("ip link set " + interface + " up");
}

// A new link takes its time: until the other end answers, and be it with a refusal.
void await(const Address& server, const Address& from) {
    constexpr std::uint16_t unused = 9;
    for (int i = 0; connect_tcp(server, unused, from).port == Port::silent; ++i)
        if (i == 40) throw std::runtime_error("the test's link does not come up");
}

}  // namespace

TestNetwork::TestNetwork() : home_(this_namespace()), client_(new_namespace()), inside_(new_namespace()) {
    server_ = new_namespace();
    link(client_, "s0", "c0");
    bring_up("s0", {"10.77.0.1/16", "fd77::1/64", "fe80::1/64"});
    in_client([] {
        bring_up("c0", {"10.77.0.2/16", "10.77.0.3/16", "10.77.9.2/16", "fd77::2/64", "fe80::2/64"});
        await(server4, client4);
        await(server6, client6);
    });
}

TestNetwork::~TestNetwork() {
    if (setns(home_.get(), CLONE_NEWNET) != 0) std::perror("setns");
}

void TestNetwork::connect_inside() {
    link(inside_, "r0", "i0");
    bring_up("r0", {"10.78.0.1/24", "fd78::1/64"});
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    in_inside([] {
        bring_up("i0", {"10.78.0.2/24", "fd78::2/64"});
        run("ip route add default via 10.78.0.1 && ip route add default via fd78::1");
    });
    in_client([] {
        run("ip route add 10.78.0.0/24 via 10.77.0.1 && ip route add fd78::/64 via fd77::1");
        await(inside4, client4);
    });
}

void TestNetwork::link(const Descriptor& there, const std::string& here_name, const std::string& there_name) const {
    const std::string process = std::to_string(getpid());
    run("nsenter --net=/proc/" + process + "/fd/" + std::to_string(there.get()) + " ip link add " + there_name +
        " type veth peer name " + here_name + " netns " + process);
}

void TestNetwork::in(const Descriptor& there, const std::function<void()>& act) const {
    enter(there);
    try {
        act();
    } catch (...) {
        enter(server_);
        throw;
    }
    enter(server_);
}

void run(const std::string& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

std::string output(const std::string& command) {
    FILE* pipe = popen(command.c_str(), "r");
    std::string text;
    std::array<char, 4096> part{};
    while (const auto length = fread(part.data(), 1, part.size(), pipe)) text.append(part.data(), length);
    if (pclose(pipe) != 0) throw std::runtime_error("failed: " + command);
    return text;
}

std::string timeless(std::string text) {
    for (auto at = text.find(" timeout "); at != std::string::npos; at = text.find(" timeout "))
        text.erase(at, text.find_first_of(",}\n", at) - at);
    return text;
}

FirewallConfig dropping() {
    FirewallConfig config;
    config.closed = ClosedAnswer::drop;
    return config;
}

FirewallConfig trusting(std::vector<Network> networks) {
    FirewallConfig config;
    config.trusted = std::move(networks);
    return config;
}

FirewallConfig marking(std::uint32_t mark) {
    FirewallConfig config;
    config.mode = FirewallMode::mark;
    config.mark = mark;
    return config;
}

FirewallConfig using_sets(std::string family, std::string table, std::string ipv4, std::string ipv6) {
    FirewallConfig config;
    config.mode = FirewallMode::set;
    config.set_table_family = std::move(family);
    config.set_table = std::move(table);
    config.set_ipv4 = std::move(ipv4);
    config.set_ipv6 = std::move(ipv6);
    return config;
}

bool repaired(Firewall& firewall, Instant when) {
    const auto result = firewall.repair(when);
    if (!result) throw std::runtime_error(result.error().message);
    return *result;
}

Firewall installed(const FirewallConfig& config, const std::vector<Service>& services, std::vector<Grant>* adopted,
                   const std::vector<Grant>& recorded) {
    auto firewall = Firewall::open(config, services);
    if (!firewall) throw std::runtime_error(firewall.error().message);
    const auto grants = firewall->install(recorded, now());
    if (!grants) throw std::runtime_error(grants.error().message);
    if (adopted != nullptr) *adopted = grants->adopted;
    return std::move(*firewall);
}

}  // namespace oneknock::test
