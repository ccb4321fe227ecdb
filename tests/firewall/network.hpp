// The network of the firewall's tests, made of namespaces that vanish with the test:
//
//      client                                  server (this process)              inside
//   10.77.0.2, 10.77.0.3, 10.77.9.2  c0 --- s0  10.77.0.1     10.78.0.1  r0 --- i0  10.78.0.2
//   fd77::2, fe80::2                            fd77::1, fe80::1
//
// The firewall under test and the services run in `server`; `inside` is reached through it, like a container.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "server/firewall/firewall.hpp"

namespace oneknock::test {

class TestNetwork {
public:
    TestNetwork();
    ~TestNetwork();
    TestNetwork(const TestNetwork&) = delete;
    TestNetwork& operator=(const TestNetwork&) = delete;

    // Calls a function as if this process were there. Sockets that are opened in it stay there.
    void in_client(const std::function<void()>& act) const { in(client_, act); }
    void in_inside(const std::function<void()>& act) const { in(inside_, act); }

    void connect_inside();  // the right half of the drawing, and forwarding

private:
    void in(const Descriptor& there, const std::function<void()>& act) const;
    void link(const Descriptor& there, const std::string& here_name, const std::string& there_name) const;

    Descriptor home_, client_, inside_, server_;
};

inline const Address server4 = *Address::parse("10.77.0.1");
inline const Address server6 = *Address::parse("fd77::1");
inline const Address client4 = *Address::parse("10.77.0.2");
inline const Address other_client4 = *Address::parse("10.77.0.3");
inline const Address trusted_client4 = *Address::parse("10.77.9.2");
inline const Address client6 = *Address::parse("fd77::2");
inline const Address inside4 = *Address::parse("10.78.0.2");
inline const Address inside6 = *Address::parse("fd78::2");

inline const Service ssh{protocol_tcp, 22};
inline const Service web{protocol_tcp, 8443};
inline const Service vpn{protocol_udp, 51820};

// The end of a failing command is the end of the test.
void run(const std::string& command);
[[nodiscard]] std::string output(const std::string& command);
[[nodiscard]] inline std::string listing() { return output("nft list table inet oneknock"); }
// A listing without what time changes.
[[nodiscard]] std::string timeless(std::string text);

[[nodiscard]] inline Instant now() { return read_clocks().steady; }

// Configurations: guard mode with resets is FirewallConfig's default.
[[nodiscard]] FirewallConfig dropping();
[[nodiscard]] FirewallConfig trusting(std::vector<Network> networks);
[[nodiscard]] FirewallConfig marking(std::uint32_t mark);
[[nodiscard]] FirewallConfig using_sets(std::string family, std::string table, std::string ipv4, std::string ipv6);

// A firewall that is open and installed, with a record of these grants; what it adopted goes to `adopted`.
[[nodiscard]] Firewall installed(const FirewallConfig& config, const std::vector<Service>& services,
                                 std::vector<Grant>* adopted = nullptr, const std::vector<Grant>& recorded = {});

// Whether there was something to repair; throws if it could not be repaired.
[[nodiscard]] bool repaired(Firewall& firewall, Instant when);

}  // namespace oneknock::test
