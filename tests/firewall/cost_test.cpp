// Figures, printed and not asserted: they are this machine's.
#include "server/firewall/firewall.hpp"

#include <cerrno>
#include <chrono>

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

template <class Act>
double microseconds(int times, Act&& act) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) act(i);
    const std::chrono::duration<double, std::micro> all = std::chrono::steady_clock::now() - begin;
    return all.count() / times;
}

}  // namespace

TEST_CASE("what grants, audits and repairs cost") {
    const TestNetwork network;
    Firewall firewall = installed({}, {ssh, vpn});
    const auto address = [](int i) { return Address::ipv4(0x0a4d8000U + static_cast<std::uint32_t>(i)); };
    int failures = 0;
    const auto open = [&](int i) { failures += firewall.open_grant(ssh, address(i), Seconds{60}, now()) != 0; };
    const auto close = [&](int i) { failures += firewall.close_grant(ssh, address(i), now()) != 0; };
    const auto fresh = microseconds(10000, open), again = microseconds(10000, open), closed = microseconds(9000, close);
    const auto audit = microseconds(10, [&](int) { failures += repaired(firewall, now()); });
    run("nft flush ruleset");
    const auto rebuild = microseconds(1, [&](int) { failures += !repaired(firewall, now()); });
    WARN("microseconds: open_grant " << fresh << ", again " << again << ", close_grant " << closed
                                     << "; with 1000 grants: audit " << audit << ", rebuild " << rebuild);
    CHECK(failures == 0);
    std::vector<Grant> adopted;
    std::vector<Grant> recorded;
    for (int i = 9000; i < 10000; ++i) recorded.push_back({ssh, address(i), Seconds{60}});
    const Firewall next = installed({}, {ssh, vpn}, &adopted, recorded);
    CHECK(adopted.size() == 1000);
}

TEST_CASE("as many grants as the sets hold survive a flush") {
    const TestNetwork network;
    Firewall firewall = installed({}, {ssh});
    const auto address = [](std::size_t i) { return Address::ipv4(0x0a000000U + static_cast<std::uint32_t>(i)); };
    int failures = 0;
    for (std::size_t i = 0; i < GrantTable::capacity; ++i)
        failures += firewall.open_grant(ssh, address(i), Seconds{600}, now()) != 0;
    CHECK(failures == 0);
    CHECK(firewall.open_grant(ssh, address(GrantTable::capacity), Seconds{600}, now()) == ENFILE);
    CHECK(firewall.open_grant(ssh, address(7), Seconds{600}, now()) == 0);  // anew
    run("nft flush ruleset");
    const auto rebuild = microseconds(1, [&](int) { CHECK(repaired(firewall, now())); });
    const auto audit = microseconds(1, [&](int) { CHECK_FALSE(repaired(firewall, now())); });
    std::vector<Grant> adopted;
    std::vector<Grant> recorded;
    for (std::size_t i = 0; i < GrantTable::capacity; ++i) recorded.push_back({ssh, address(i), Seconds{600}});
    const Firewall next = installed({}, {ssh}, &adopted, recorded);
    CHECK(adopted.size() == GrantTable::capacity);
    WARN("milliseconds with as many grants: rebuild " << rebuild / 1000 << ", audit " << audit / 1000);
}
