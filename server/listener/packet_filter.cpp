#include "server/listener/packet_filter.hpp"

#include <memory>
#include <string>

#include <pcap/pcap.h>
#include <sys/socket.h>

#include "common/fd.hpp"

namespace oneknock {
namespace {

// pcap knows tcp[...] for IPv4 only, where it also refuses later fragments. For IPv6: next header at 6, the transport
// header at 40, or at 48 behind an atomic fragment header (offset and more-flag zero).
const std::string untagged =
    "(ip and tcp and tcp[13] & 0x17 = 0x02)"
    " or (ip and udp and udp[4:2] >= 8 and udp[4:2] <= 16)"
    " or (ip6 and ip6[6] = 6 and ip6[53] & 0x17 = 0x02)"
    " or (ip6 and ip6[6] = 17 and ip6[44:2] >= 8 and ip6[44:2] <= 16)"
    " or (ip6 and ip6[6] = 44 and ip6[42:2] & 0xfff9 = 0 and"
    " ((ip6[40] = 6 and ip6[61] & 0x17 = 0x02) or (ip6[40] = 17 and ip6[52:2] >= 8 and ip6[52:2] <= 16)))";

// "vlan" moves the offsets of all that follows it, so the deeper cases come last. Only Ethernet's link type knows it.
std::string expression_for(LinkLayer link) {
    if (link != LinkLayer::ethernet) return untagged;
    return "(" + untagged + ") or (vlan and (" + untagged + ")) or (vlan and (" + untagged + "))";
}

struct Program {
    bpf_program code{};
    Program() = default;
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program() { pcap_freecode(&code); }
};

Result<void> compile(pcap_t* capture, LinkLayer link, Program& program) {
    if (pcap_compile(capture, &program.code, expression_for(link).c_str(), 1, PCAP_NETMASK_UNKNOWN) == 0) return {};
    return fail(ExitCode::system, std::string("cannot compile the packet filter: ") + pcap_geterr(capture));
}

}  // namespace

Result<void> set_packet_filter(pcap_t* capture, LinkLayer link) {
    Program program;
    if (auto compiled = compile(capture, link, program); !compiled) return compiled;
    if (pcap_setfilter(capture, &program.code) == 0) return {};
    return fail(ExitCode::unavailable, std::string("cannot set the packet filter: ") + pcap_geterr(capture));
}

// The kernel runs it on packets that begin with the IP header: the cooked one is made by libpcap, whose own
// pcap_setfilter() would move all offsets.
Result<void> set_packet_filter(int socket, const std::vector<unsigned>& without) {
    constexpr int longest_packet = 65535;  // of what is compiled for only
    auto code = refuse_interfaces(without);
    const std::unique_ptr<pcap_t, decltype(&pcap_close)> bare(pcap_open_dead(DLT_RAW, longest_packet), pcap_close);
    Program program;
    if (auto compiled = compile(bare.get(), LinkLayer::raw, program); !compiled) return compiled;
    for (unsigned i = 0; i < program.code.bf_len; ++i) {
        const bpf_insn& insn = program.code.bf_insns[i];
        code.push_back({insn.code, insn.jt, insn.jf, insn.k});
    }
    const sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
    if (setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0) return {};
    return tl::unexpected(system_error("set", "the packet filter for interfaces that come back"));
}

// Jumps in classic BPF are relative, so that this can simply stand before a program.
std::vector<sock_filter> refuse_interfaces(const std::vector<unsigned>& interfaces) {
    std::vector<sock_filter> code;
    code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_IFINDEX)));
    for (const unsigned interface : interfaces) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, interface, 0, 1));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
    }
    return code;
}

Result<void> lock_packet_filter(int socket) {
    const int on = 1;
    if (setsockopt(socket, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) == 0) return {};
    return tl::unexpected(system_error("lock", "the packet filter of a capture"));
}

}  // namespace oneknock
