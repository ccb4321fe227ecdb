#include "server/listener/capture.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/log.hpp"
#include "server/listener/packet_filter.hpp"
#include "server/listener/pcap_link_type.hpp"

namespace oneknock {
namespace {

constexpr int snapshot_length = 160;  // bytes: link header, two tags, IPv6 or IPv4 with options, ports, flags
constexpr int buffer_size = 4 << 20;  // bytes, of the kernel's: about 16,000 packets
constexpr int burst = 1024;           // packets read at a time, so that verdicts get their turn
constexpr const char* any_interface = "any";
constexpr const char* loopback_interface = "lo";

// PACKET_IGNORE_OUTGOING (Linux 4.20): the kernel need not even copy what we send.
void ignore_outgoing(pcap_t* handle) {
    const int on = 1;
    setsockopt(pcap_fileno(handle), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    pcap_setdirection(handle, PCAP_D_IN);
}

Error link_type_error(const std::string& interface, int type) {
    return {ExitCode::config, "cannot read packets of interface " + interface + ": its link type is " +
                                  link_type_name(type) +
                                  "; use another interface, or \"any\", which reads IP packets of every kind"};
}

// Interfaces that come, go, rise and fall (rtnetlink(7)); needs no privilege.
Result<Descriptor> watch_interfaces() {
    Descriptor fd(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK;
    if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return tl::unexpected(system_error("watch", "the network interfaces"));
    return fd;
}

Error capture_error(const std::string& interface, int status, pcap_t* handle) {
    if (status == PCAP_ERROR_PERM_DENIED)
        return {ExitCode::permission, "cannot capture on " + interface + ": permission denied; run as root, or with " +
                                          "AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN"};
    const char* detail = pcap_geterr(handle);
    return {ExitCode::unavailable, "cannot capture on " + interface + ": " +
                                       (*detail != '\0' ? std::string(detail) : std::string(pcap_statustostr(status)))};
}

}  // namespace

void Capture::Handle::operator()(pcap* handle) const { pcap_close(handle); }

Capture::Capture(Capture&&) noexcept = default;
Capture::~Capture() = default;

Result<Capture::Source> Capture::open_source(const std::string& interface) {
    char error[PCAP_ERRBUF_SIZE] = "";
    const unsigned index = if_nametoindex(interface.c_str());
    Source source{interface, LinkLayer::ethernet, nullptr, index, index};
    source.handle.reset(pcap_create(interface.c_str(), error));
    pcap_t* handle = source.handle.get();
    if (handle == nullptr) return fail(ExitCode::unavailable, "cannot capture on " + interface + ": " + error);
    pcap_set_snaplen(handle, snapshot_length);
    pcap_set_immediate_mode(handle, 1);
    pcap_set_buffer_size(handle, buffer_size);
    const int status = pcap_activate(handle);
    if (status == PCAP_ERROR_IFACE_NOT_UP || status == PCAP_ERROR_NO_SUCH_DEVICE)
        return Source{interface, LinkLayer::ethernet, nullptr, 0, 0};
    if (status < 0) return tl::unexpected(capture_error(interface, status, handle));
    if (interface == any_interface) pcap_set_datalink(handle, DLT_LINUX_SLL2);
    const int type = pcap_datalink(handle);
    const auto link = link_layer_of(type);
    if (!link) return tl::unexpected(link_type_error(interface, type));
    source.link = *link;
    if (const auto set = set_packet_filter(handle, *link); !set) return tl::unexpected(set.error());
    ignore_outgoing(handle);
    if (pcap_setnonblock(handle, 1, error) != 0)
        return fail(ExitCode::unavailable, "cannot capture on " + interface + ": " + error);
    return source;
}

Result<void> Capture::open_standby() {
    auto opened = open_source(any_interface);
    if (!opened) return tl::unexpected(opened.error());
    auto changes = watch_interfaces();
    if (!changes) return tl::unexpected(changes.error());
    standby_ = std::move(*opened);
    changes_ = std::move(*changes);
    return {};
}

Result<void> Capture::open_named(const std::string& interface) {
    auto source = open_source(interface);
    if (!source) return tl::unexpected(source.error());
    if (source->handle) {
        if (auto locked = lock_packet_filter(pcap_fileno(source->handle.get())); !locked) return locked;
    } else
        log::warning("interface " + interface +
                     (if_nametoindex(interface.c_str()) == 0 ? " is not there yet" : " is down") + "; waiting for it");
    sources_.push_back(std::move(*source));
    return {};
}

Result<Capture> Capture::open(const std::vector<std::string>& interfaces) {
    Capture capture;
    const bool by_name = interfaces != std::vector<std::string>{any_interface};
    // The watch before the first look, so that nothing falls in between.
    Result<void> opened = by_name ? capture.open_standby() : Result<void>{};
    for (const std::string& interface : interfaces)
        if (opened) opened = capture.open_named(interface);
    if (opened && by_name) opened = capture.filter_standby();
    if (!opened) return tl::unexpected(opened.error());
    if (by_name) capture.look_after_interfaces();
    return capture;
}

void Capture::add_to(std::vector<pollfd>& polled) const {
    for (const Source& source : sources_)
        if (is_heard(source)) polled.push_back({pcap_get_selectable_fd(source.handle.get()), POLLIN, 0});
    if (!standby_) return;
    polled.push_back({pcap_get_selectable_fd(standby_->handle.get()), POLLIN, 0});
    polled.push_back({changes_.get(), POLLIN, 0});
}

// Errors are not looked at: an interface that goes down works again when it is up, and one that is deleted is told of.
bool Capture::read_source(Source& source, const Received& received) {
    struct Context {
        const Received& received;
        LinkLayer link;
    } context{received, source.link};
    const auto hand_over = [](u_char* user, const pcap_pkthdr* header, const u_char* bytes) {
        const auto& to = *reinterpret_cast<const Context*>(user);
        const Stamp arrival{std::chrono::seconds{header->ts.tv_sec} + std::chrono::microseconds{header->ts.tv_usec}};
        to.received(to.link, {bytes, header->caplen}, arrival);
    };
    const int count = pcap_dispatch(source.handle.get(), burst, hand_over, reinterpret_cast<u_char*>(&context));
    if (count > 0) packets_read_ += static_cast<std::uint64_t>(count);
    return count < burst;
}

bool Capture::read(const Received& received) {
    const Received counted = [&](LinkLayer link, ByteSpan bytes, Stamp arrival) {
        ++packets_;
        received(link, bytes, arrival);
    };
    bool all = true;
    for (Source& source : sources_)
        if (is_heard(source) && !read_source(source, counted)) all = false;
    if (!standby_) return all;
    const auto from_named = [&](LinkLayer link, ByteSpan bytes, Stamp arrival) {
        const unsigned index = interface_of(link, bytes);
        if (is_wanted(index) && !has_handle(index)) counted(link, bytes, arrival);
    };
    if (!read_source(*standby_, from_named)) all = false;
    if (interfaces_changed()) look_after_interfaces();
    return all;
}

// What the messages say does not matter: they are the occasion to look.
bool Capture::interfaces_changed() const {
    char buffer[4096];
    bool any = false;
    while (recv(changes_.get(), buffer, sizeof buffer, 0) > 0 || errno == ENOBUFS) any = true;
    return any;
}

// By ioctl on a socket we have: no new one can be made in the sandbox.
unsigned Capture::index_of(const std::string& interface) const {
    ifreq request{};
    std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
    if (ioctl(pcap_fileno(standby_->handle.get()), SIOCGIFINDEX, &request) != 0) return 0;
    return static_cast<unsigned>(request.ifr_ifindex);
}

bool Capture::has_handle(unsigned index) const {
    return std::ranges::any_of(sources_, [index](const Source& s) { return s.handle && s.bound == index; });
}

// The capture of all interfaces by the name "any" is bound to none, and always wanted.
bool Capture::is_wanted(unsigned index) const {
    return std::ranges::any_of(sources_, [index](const Source& s) { return s.index == index; }) &&
           (index != 0 || !standby_);
}

// While its interface is away the kernel forgets which one a socket was bound to.
bool Capture::is_bound(const Source& source) {
    sockaddr_ll address{};
    socklen_t size = sizeof address;
    return getsockname(pcap_fileno(source.handle.get()), reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
           address.sll_ifindex == static_cast<int>(source.bound);
}

void Capture::look_after_interfaces() {
    for (Source& source : sources_) {
        const unsigned index = index_of(source.interface);
        if (source.handle && index != 0 && index == source.bound && !is_bound(source)) {
            log::error("interface " + source.interface +
                       " was in another network namespace and is back; only a new start can listen on it");
            is_deaf_ = true;
        }
        if (index == source.index) continue;
        if (index == 0) log::warning("interface " + source.interface + " is gone; waiting for it");
        else log::warning("interface " + source.interface + " is back in use");
        source.index = index;
    }
}

// Those that are heard by captures of their own; and the loopback interface, which carries much, unless it is waited
// for.
Result<void> Capture::filter_standby() {
    std::vector<unsigned> without;
    for (const Source& source : sources_)
        if (source.handle) without.push_back(source.bound);
    if (std::ranges::find(sources_, loopback_interface, &Source::interface) == sources_.end())
        without.push_back(if_nametoindex(loopback_interface));
    const int socket = pcap_fileno(standby_->handle.get());
    if (auto set = set_packet_filter(socket, without); !set) return set;
    return lock_packet_filter(socket);
}

Capture::Counters Capture::counters() const {
    Counters counters{packets_, 0};
    for (const Source& source : sources_) {
        pcap_stat stats{};
        if (source.handle && pcap_stats(source.handle.get(), &stats) == 0) counters.dropped += stats.ps_drop;
    }
    return counters;
}

}  // namespace oneknock
