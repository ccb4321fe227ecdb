// Packets from the network, through libpcap. Opening needs CAP_NET_RAW; nothing afterwards does.
//
// An interface given by name that is not there, is down, or vanishes, is waited for: a second capture over all
// interfaces takes it up when it returns (a new packet socket would need the privilege that is gone by then). The
// kernel tells of interfaces that come and go (rtnetlink), so nothing is polled. Which of the second capture's packets
// are wanted is looked at here, not by the kernel: so that no filter need ever be changed, and each is locked. Of the
// interfaces that have a capture of their own, and of the loopback interface, the kernel lets nothing through to it.
//
// The second capture cannot replace the others, even with every name in its filter. It gets packets without their
// link layer's header: those with two VLAN tags cannot be read in it (tried with Linux 6.18), and what a bridge's port
// receives for another address than its own, such as the bridge's, counts as another host's.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <poll.h>

#include "common/fd.hpp"
#include "common/result.hpp"
#include "server/listener/packet.hpp"

struct pcap;

namespace oneknock {

class Capture {
public:
    // `interfaces`: names, or "any" alone. Interfaces that are missing get a warning; one whose link type cannot be
    // read is an error (ExitCode::config).
    [[nodiscard]] static Result<Capture> open(const std::vector<std::string>& interfaces);
    Capture(Capture&&) noexcept;
    ~Capture();

    void add_to(std::vector<pollfd>& polled) const;

    // Reads what is there, at most a burst of it. `received(link, bytes, arrival)` for each packet; the arrival is the
    // kernel's stamp. False if there may be more.
    using Stamp = std::chrono::sys_time<std::chrono::microseconds>;
    using Received = std::function<void(LinkLayer, ByteSpan, Stamp)>;
    bool read(const Received& received);

    // An interface has been in another network namespace and is back: its capture hears it no more, and no other can be
    // opened from inside.
    [[nodiscard]] bool is_deaf() const { return is_deaf_; }

    struct Counters {
        std::uint64_t packets = 0;
        std::uint64_t dropped = 0;
    };
    [[nodiscard]] Counters counters() const;
    [[nodiscard]] std::uint64_t packets_read() const { return packets_read_; }  // also such as were not wanted

private:
    struct Handle {
        void operator()(pcap* handle) const;
    };
    struct Source {
        std::string interface;
        LinkLayer link = LinkLayer::ethernet;
        std::unique_ptr<pcap, Handle> handle;  // null: the interface was not there, or down
        unsigned bound = 0;                    // the index of the interface that the handle is bound to
        unsigned index = 0;                    // of the interface that has the name now; 0: none
    };

    Capture() = default;
    [[nodiscard]] static Result<Source> open_source(const std::string& interface);
    [[nodiscard]] Result<void> open_standby();
    [[nodiscard]] Result<void> open_named(const std::string& interface);
    [[nodiscard]] unsigned index_of(const std::string& interface) const;
    [[nodiscard]] bool interfaces_changed() const;
    [[nodiscard]] bool has_handle(unsigned index) const;
    [[nodiscard]] bool is_wanted(unsigned index) const;
    [[nodiscard]] bool is_heard(const Source& source) const { return source.handle && is_wanted(source.bound); }
    [[nodiscard]] static bool is_bound(const Source& source);
    void look_after_interfaces();
    [[nodiscard]] Result<void> filter_standby();
    bool read_source(Source& source, const Received& received);

    std::vector<Source> sources_;
    std::optional<Source> standby_;  // over all interfaces; only with interfaces given by name
    Descriptor changes_;             // rtnetlink, likewise
    bool is_deaf_ = false;
    std::uint64_t packets_ = 0;
    std::uint64_t packets_read_ = 0;
};

}  // namespace oneknock
