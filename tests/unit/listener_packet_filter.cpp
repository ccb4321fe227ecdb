#include "server/listener/packet_filter.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

// Runs the few instructions that a test of interfaces has, as the kernel would: true if it goes on behind its end.
bool goes_on(const std::vector<sock_filter>& code, unsigned interface) {
    std::uint32_t value = 0;
    for (std::size_t at = 0;;) {
        if (at == code.size()) return true;
        const sock_filter& step = code.at(at++);
        switch (step.code) {
            case BPF_LD | BPF_W | BPF_ABS:
                REQUIRE(step.k == static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_IFINDEX));
                value = interface;
                break;
            case BPF_JMP | BPF_JEQ | BPF_K: at += value == step.k ? step.jt : step.jf; break;
            case BPF_RET | BPF_K: REQUIRE(step.k == 0); return false;
            default: FAIL("an instruction that should not be there");
        }
    }
}

}  // namespace

TEST_CASE("packets of the refused interfaces are refused, however many they are, and no others") {
    for (const unsigned count : {0U, 1U, 2U, 255U, 256U, 300U, 1000U}) {
        CAPTURE(count);
        std::vector<unsigned> interfaces;
        for (unsigned i = 0; i < count; ++i) interfaces.push_back(10 + 2 * i);
        const auto code = refuse_interfaces(interfaces);
        for (const unsigned interface : interfaces) REQUIRE_FALSE(goes_on(code, interface));
        for (const unsigned other : {0U, 1U, 9U, 11U, 10 + 2 * count}) CHECK(goes_on(code, other));
    }
}
