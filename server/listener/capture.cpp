#include "server/listener/capture.hpp"

#include <cerrno>
#include <cstring>

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/log.hpp"
#include "server/listener/packet_filter.hpp"

namespace oneknock {
namespace {

constexpr int snapshot_length = 160;          // bytes: link header, two tags, IPv6 or IPv4 with options, ports, flags
constexpr int buffer_size = 4 << 20;          // bytes, of the kernel's: about 16,000 packets
constexpr int burst = 1024;                   // packets read at a time, so that verdicts get their turn
constexpr Instant check_interval = Seconds{1};
constexpr const char* any_interface = "any";

// PACKET_IGNORE_OUTGOING (Linux 4.20): the kernel need not even copy what we send.
void ignore_outgoing(pcap_t* handle) {
    const int on = 1;
    setsockopt(pcap_fileno(handle), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    pcap_setdirection(handle, PCAP_D_IN);
}

Error capture_error(const std::string& interface, int status, pcap_t* handle) {
    if (status == PCAP_ERROR_PERM_DENIED)
        return {Exit::permission, "cannot capture on " + interface + ": permission denied; run as root, or with " +
                                      "AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN"};
    const char* detail = pcap_geterr(handle);
    return {Exit::unavailable, "cannot capture on " + interface + ": " +
                                   (*detail != '\0' ? std::string(detail) : std::string(pcap_statustostr(status)))};
}

struct Program {
    bpf_program code{};
    Program() = default;
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program() { pcap_freecode(&code); }
};

bool knows_vlan(LinkLayer link) { return link == LinkLayer::ethernet; }

Result<void> compile(pcap_t* handle, LinkLayer link, Program& program) {
    const std::string expression = packet_filter(knows_vlan(link));
    if (pcap_compile(handle, &program.code, expression.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0)
        return fail(Exit::software, std::string("cannot compile the packet filter: ") + pcap_geterr(handle));
    return {};
}

}  // namespace

std::optional<LinkLayer> link_layer_of(int pcap_link_type) {
    switch (pcap_link_type) {
        case DLT_EN10MB: return LinkLayer::ethernet;
        case DLT_LINUX_SLL: return LinkLayer::cooked;
        case DLT_LINUX_SLL2: return LinkLayer::cooked_v2;
        case DLT_RAW:
        case 101 /* LINKTYPE_RAW, as some writers leave it */:
        case DLT_IPV4:
        case DLT_IPV6: return LinkLayer::raw;
        case DLT_NULL:
        case DLT_LOOP: return LinkLayer::null_family;
        default: return std::nullopt;
    }
}

void Capture::Handle::operator()(pcap* handle) const { pcap_close(handle); }

Capture::Capture(Capture&&) noexcept = default;
Capture::~Capture() = default;

Result<Capture::Source> Capture::open_source(const std::string& interface) {
    char error[PCAP_ERRBUF_SIZE] = "";
    Source source{interface, if_nametoindex(interface.c_str()), LinkLayer::ethernet, nullptr, false};
    source.handle.reset(pcap_create(interface.c_str(), error));
    pcap_t* handle = source.handle.get();
    if (handle == nullptr) return fail(Exit::unavailable, "cannot capture on " + interface + ": " + error);
    pcap_set_snaplen(handle, snapshot_length);
    pcap_set_immediate_mode(handle, 1);
    pcap_set_buffer_size(handle, buffer_size);
    const int status = pcap_activate(handle);
    if (status < 0) return tl::unexpected(capture_error(interface, status, handle));
    if (interface == any_interface) pcap_set_datalink(handle, DLT_LINUX_SLL2);
    const int type = pcap_datalink(handle);
    const auto link = link_layer_of(type);
    if (!link) {
        const char* name = pcap_datalink_val_to_name(type);
        return fail(Exit::config, "cannot read packets of interface " + interface + ": its link type is " +
                                      (name != nullptr ? name : std::to_string(type)) +
                                      "; use another interface, or \"any\", which reads IP packets of every kind");
    }
    source.link = *link;
    Program program;
    if (const auto compiled = compile(handle, *link, program); !compiled) return tl::unexpected(compiled.error());
    if (pcap_setfilter(handle, &program.code) != 0) return tl::unexpected(capture_error(interface, PCAP_ERROR, handle));
    ignore_outgoing(handle);
    if (pcap_setnonblock(handle, 1, error) != 0) return fail(Exit::unavailable, "cannot capture on " + interface + ": " + error);
    return source;
}

Result<void> Capture::open_standby() {
    auto opened = open_source(any_interface);
    if (!opened) return tl::unexpected(opened.error());
    standby_ = std::move(*opened);
    filter_standby();
    return {};
}

Result<Capture> Capture::open(const std::vector<std::string>& interfaces) {
    Capture capture;
    const bool by_name = interfaces != std::vector<std::string>{any_interface};
    if (by_name)
        if (const auto opened = capture.open_standby(); !opened) return tl::unexpected(opened.error());
    for (const std::string& interface : interfaces) {
        if (by_name && if_nametoindex(interface.c_str()) == 0) {
            log::warning("interface " + interface + " is not there yet; waiting for it");
            capture.returning_.push_back({interface, 0});
            capture.check_at_ = Instant{0};
            continue;
        }
        auto source = open_source(interface);
        if (!source) return tl::unexpected(source.error());
        capture.sources_.push_back(std::move(*source));
    }
    return capture;
}

void Capture::add_to(std::vector<pollfd>& polled) const {
    for (const Source& source : sources_)
        if (!source.gone) polled.push_back({pcap_get_selectable_fd(source.handle.get()), POLLIN, 0});
    if (standby_) polled.push_back({pcap_get_selectable_fd(standby_->handle.get()), POLLIN, 0});
}

bool Capture::read_source(Source& source, const Received& received) {
    struct Context {
        const Received& received;
        LinkLayer link;
    } context{received, source.link};
    const auto hand_over = [](u_char* user, const pcap_pkthdr* header, const u_char* bytes) {
        const auto& to = *reinterpret_cast<const Context*>(user);
        to.received(to.link, {bytes, header->caplen});
    };
    const int count = pcap_dispatch(source.handle.get(), burst, hand_over, reinterpret_cast<u_char*>(&context));
    if (count > 0) packets_ += static_cast<std::uint64_t>(count);
    return count >= 0;
}

void Capture::read(const Received& received) {
    for (Source& source : sources_)
        // An interface that goes down tells so once and works again later; only one that is deleted is lost.
        if (!source.gone && !read_source(source, received) && index_of(source.interface) != source.index) lose(source);
    if (standby_)
        read_source(*standby_, [&](LinkLayer link, ByteSpan bytes) {
            const unsigned index = interface_of(link, bytes);
            for (const Returning& back : returning_)
                if (back.index != 0 && back.index == index) received(link, bytes);
        });
}

// By ioctl on a socket we have: no new one can be made in the sandbox.
unsigned Capture::index_of(const std::string& interface) const {
    const Source& any_source = standby_ ? *standby_ : sources_.front();
    ifreq request{};
    std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
    if (interface == any_interface || ioctl(pcap_fileno(any_source.handle.get()), SIOCGIFINDEX, &request) != 0) return 0;
    return static_cast<unsigned>(request.ifr_ifindex);
}

void Capture::lose(Source& source) {
    log::warning("interface " + source.interface + " is gone; waiting for it");
    source.gone = true;
    returning_.push_back({source.interface, 0});
    check_at_ = Instant{0};
}

std::optional<Instant> Capture::next_due() const { return check_at_; }

void Capture::check_missing(Instant now) {
    if (!check_at_ || now < *check_at_) return;
    check_at_ = now + check_interval;
    bool changed = false;
    for (Returning& back : returning_) {
        const unsigned index = index_of(back.interface);
        if (index == back.index) continue;
        log::warning("interface " + back.interface + (index != 0 ? " is back in use" : " is gone; waiting for it"));
        back.index = index;
        changed = true;
    }
    if (changed) filter_standby();
}

// The standby's kernel filter: the packet filter for interfaces that are back, nothing at all without any. Jumps in
// classic BPF are relative, so a test of the interface can simply stand before the compiled filter.
void Capture::filter_standby() {
    std::vector<sock_filter> code;
    std::vector<unsigned> indexes;
    for (const Returning& back : returning_)
        if (back.index != 0) indexes.push_back(back.index);
    code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_IFINDEX)));
    for (std::size_t i = 0; i < indexes.size(); ++i)  // to behind the refusal that ends the tests
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, indexes[i], static_cast<std::uint8_t>(indexes.size() - i), 0));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
    Program program;
    pcap_t* handle = standby_->handle.get();
    if (!indexes.empty() && compile(handle, standby_->link, program))
        for (unsigned i = 0; i < program.code.bf_len; ++i) {
            const bpf_insn& insn = program.code.bf_insns[i];
            code.push_back({insn.code, insn.jt, insn.jf, insn.k});
        }
    const sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
    if (setsockopt(pcap_fileno(handle), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
        log::warning(std::string("cannot set the filter of interfaces that came back: ") + std::strerror(errno));
}

Capture::Counters Capture::counters() const {
    Counters counters{packets_, 0};
    for (const Source& source : sources_) {
        pcap_stat stats{};
        if (!source.gone && pcap_stats(source.handle.get(), &stats) == 0) counters.dropped += stats.ps_drop;
    }
    return counters;
}

}  // namespace oneknock
