// flood: sends junk at a steady rate out of one interface, as whole Ethernet frames, so that it can claim any source.
// Empty UDP datagrams or, with --tcp, SYNs over IPv4 or IPv6, as --to is: what knocks are made of. Ends after --seconds
// or on SIGTERM, and prints as one JSON object what it really sent. For namespaces a benchmark made: only private
// addresses are flooded.
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "common/bytes.hpp"
#include "common/protocol/address.hpp"

namespace {

using namespace oneknock;

constexpr std::size_t batch = 64;           // frames per system call
constexpr double step = 0.00025;            // seconds between two looks at the clock
constexpr double longest_catch_up = 0.005;  // what a stall may leave behind to be sent at once, in seconds
constexpr std::size_t ip_at = 14, udp_header = 8, tcp_header = 20;
using Frame = std::array<std::uint8_t, ip_at + 40 + tcp_header>;

// Where the fields are in a frame; the addresses stand right in front of the transport header.
struct Layout {
    bool ipv6;
    bool tcp;

    [[nodiscard]] std::size_t address_length() const { return ipv6 ? 16 : 4; }
    [[nodiscard]] std::size_t transport_at() const { return ip_at + (ipv6 ? 40 : 20); }
    [[nodiscard]] std::size_t source_at() const { return transport_at() - 2 * address_length(); }
    [[nodiscard]] std::size_t destination_at() const { return transport_at() - address_length(); }
    [[nodiscard]] std::size_t transport_length() const { return tcp ? tcp_header : udp_header; }
    [[nodiscard]] std::size_t checksum_at() const { return transport_at() + (tcp ? 16 : 6); }
    [[nodiscard]] std::uint8_t protocol() const { return tcp ? protocol_tcp : protocol_udp; }
    [[nodiscard]] std::size_t frame_length() const { return transport_at() + transport_length(); }
    // UDP over IPv4 can do without.
    [[nodiscard]] bool has_checksum() const { return ipv6 || tcp; }
};

volatile std::sig_atomic_t stopped = 0;

struct Options {
    std::string interface, to_mac, to, source = "random", destination_ports = "0-65535", ports_file;
    unsigned source_port = 0;  // 0: random
    bool tcp = false;
    double rate = 0;  // packets a second; 0: as many as go
    double seconds = 0;

    [[nodiscard]] Address victim() const { return Address::parse(to).value(); }
    [[nodiscard]] Layout layout() const { return {victim().family == Family::ipv6, tcp}; }
};

// Where the fields of the next packet come from.
class Junk {
public:
    explicit Junk(const Options& options)
        : layout_(options.layout()), source_port_(static_cast<std::uint16_t>(options.source_port)) {
        if (options.source != "random") {
            const auto network = Network::parse(options.source);
            if (!network || network->base.family != options.victim().family)
                throw CLI::ValidationError("--source", "is none of the victim's family");
            source_ = network->base;
            const unsigned bits = static_cast<unsigned>(8 * layout_.address_length()) - network->prefix_length;
            if (bits > 31) throw CLI::ValidationError("--source", "has too many addresses");
            varied_ = (std::uint32_t{1} << bits) - 1;
        }
        if (options.ports_file.empty()) {
            unsigned low = 0, high = 0;
            if (std::sscanf(options.destination_ports.c_str(), "%u-%u", &low, &high) != 2 || low > high || high > 65535)
                throw CLI::ValidationError("--destination-ports", "write LOW-HIGH");
            for (unsigned port = low; port <= high; ++port) ports_.push_back(static_cast<std::uint16_t>(port));
        } else {
            std::ifstream file(options.ports_file);
            for (unsigned port = 0; file >> port;) ports_.push_back(static_cast<std::uint16_t>(port));
        }
        if (ports_.empty()) throw CLI::ValidationError("--ports-file", "there are no ports in it");
    }

    void fill(Frame& frame) {
        const std::uint64_t drawn = next();
        put_source(&frame[layout_.source_at()]);
        if (!layout_.ipv6) {
            store_u16be(&frame[ip_at + 10], 0);
            store_u16be(&frame[ip_at + 10], checksum(frame, ip_at, layout_.transport_at(), 0));
        }
        const std::size_t transport_at = layout_.transport_at();
        const std::uint64_t any_port = 1024 + (drawn & 0xffff) % 64512;
        store_u16be(&frame[transport_at], source_port_ != 0 ? source_port_ : static_cast<std::uint16_t>(any_port));
        store_u16be(&frame[transport_at + 2], ports_[static_cast<std::size_t>((drawn >> 32) * ports_.size() >> 32)]);
        if (layout_.tcp) store_u32be(&frame[transport_at + 4], static_cast<std::uint32_t>(drawn));  // sequence number
        if (!layout_.has_checksum()) return;
        store_u16be(&frame[layout_.checksum_at()], 0);
        const auto pseudo_header = static_cast<std::uint32_t>(layout_.protocol() + layout_.transport_length());
        store_u16be(&frame[layout_.checksum_at()],
                    checksum(frame, layout_.source_at(), layout_.frame_length(), pseudo_header));
    }

private:
    // xorshift64*: quick, and good enough for junk.
    std::uint64_t next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545f4914f6cdd1dULL;
    }

    std::uint32_t draw_32() { return static_cast<std::uint32_t>(next() >> 32); }

    void put_source(std::uint8_t* place) {
        std::uint8_t* const last = place + layout_.address_length() - 4;
        if (source_) {
            std::memcpy(place, source_->bytes.data(), layout_.address_length());
            store_u32be(last, load_u32be(last) | (draw_32() & varied_));
        } else if (layout_.ipv6) {  // of 2000::/3
            for (std::size_t at = 0; at < 16; at += 4) store_u32be(place + at, draw_32());
            place[0] = static_cast<std::uint8_t>(0x20 | (place[0] & 0x1f));
        } else {
            store_u32be(place, random_ipv4());
        }
    }

    // A unicast address the kernel does not drop for what it is: not in 0/8, 127/8 or from 224/4 on.
    std::uint32_t random_ipv4() {
        for (;;) {
            const std::uint32_t address = draw_32();
            if (const std::uint32_t first = address >> 24; first != 0 && first != 127 && first < 224) return address;
        }
    }

    static std::uint16_t checksum(const Frame& frame, std::size_t from, std::size_t to, std::uint32_t sum) {
        for (std::size_t at = from; at < to; at += 2) sum += load_u16be(&frame[at]);
        sum = (sum & 0xffff) + (sum >> 16);
        return static_cast<std::uint16_t>(~((sum & 0xffff) + (sum >> 16)));
    }

    Layout layout_;
    std::optional<Address> source_;  // nothing: any
    std::uint32_t varied_ = 0;       // its last bits, which are drawn
    std::uint16_t source_port_;
    std::vector<std::uint16_t> ports_;
    std::uint64_t state_ = 0x9e3779b97f4a7c15ULL ^ static_cast<std::uint64_t>(getpid());
};

Frame template_frame(const Options& options, const std::string& own_mac) {
    const Layout layout = options.layout();
    const std::size_t transport_at = layout.transport_at();
    Frame frame{};
    ether_addr to{}, from{};
    if (ether_aton_r(options.to_mac.c_str(), &to) == nullptr) throw CLI::ValidationError("--to-mac", "is none");
    ether_aton_r(own_mac.c_str(), &from);
    std::memcpy(&frame[0], &to, sizeof to);
    std::memcpy(&frame[6], &from, sizeof from);
    store_u16be(&frame[12], layout.ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
    constexpr std::uint8_t hops = 64;
    if (layout.ipv6) {
        frame[ip_at] = 0x60;
        store_u16be(&frame[ip_at + 4], static_cast<std::uint16_t>(layout.transport_length()));
        frame[ip_at + 6] = layout.protocol();
        frame[ip_at + 7] = hops;
    } else {
        frame[ip_at] = 0x45;
        store_u16be(&frame[ip_at + 2], static_cast<std::uint16_t>(layout.frame_length() - ip_at));
        frame[ip_at + 8] = hops;
        frame[ip_at + 9] = layout.protocol();
    }
    std::memcpy(&frame[layout.destination_at()], options.victim().bytes.data(), layout.address_length());
    if (options.tcp) {
        frame[transport_at + 12] = 5 << 4;  // words
        frame[transport_at + 13] = 0x02;    // SYN
        store_u16be(&frame[transport_at + 14], 64240);
    } else {
        store_u16be(&frame[transport_at + 4], udp_header);  // over IPv4 a checksum of 0 means "none"
    }
    return frame;
}

class Sender {
public:
    explicit Sender(const Options& options) : fd_(socket(AF_PACKET, SOCK_RAW, 0)) {
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_ifindex = static_cast<int>(if_nametoindex(options.interface.c_str()));
        const auto* to = reinterpret_cast<const sockaddr*>(&address);
        if (fd_ < 0 || address.sll_ifindex == 0 || bind(fd_, to, sizeof address) != 0)
            throw CLI::ValidationError("--interface", std::string("cannot send on it: ") + std::strerror(errno));
        const int on = 1;
        setsockopt(fd_, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
        frames_.fill(template_frame(options, "02:00:00:00:0f:0f"));
        for (std::size_t i = 0; i < batch; ++i) {
            vectors_[i] = {frames_[i].data(), options.layout().frame_length()};
            headers_[i].msg_hdr.msg_iov = &vectors_[i];
            headers_[i].msg_hdr.msg_iovlen = 1;
        }
    }

    // Sends at most `count` and a batch; returns how many went. None: the queue is full.
    std::size_t send(Junk& junk, std::size_t count) {
        count = std::min(count, batch);
        for (std::size_t i = 0; i < count; ++i) junk.fill(frames_[i]);
        const int sent = sendmmsg(fd_, headers_.data(), static_cast<unsigned>(count), 0);
        return sent > 0 ? static_cast<std::size_t>(sent) : 0;
    }

private:
    int fd_;
    std::array<Frame, batch> frames_{};
    std::array<iovec, batch> vectors_{};
    std::array<mmsghdr, batch> headers_{};
};

double seconds_now() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Packets are due evenly; a quarter of a millisecond's worth goes together. What a stall of the machine left behind is
// made good as far as longest_catch_up, so that it does not turn into a burst of its own.
std::uint64_t flood(Sender& sender, Junk& junk, const Options& options, double start) {
    std::uint64_t sent = 0;
    double last = start, due = 0;
    while (stopped == 0) {
        const double now = seconds_now();
        if (now - start >= options.seconds) break;
        if (options.rate == 0) {
            sent += sender.send(junk, batch);
            continue;
        }
        due = std::min(due + (now - last) * options.rate, std::max(1.0, longest_catch_up * options.rate));
        last = now;
        while (due >= 1) {
            const std::size_t went = sender.send(junk, static_cast<std::size_t>(due));
            if (went == 0) break;
            sent += went;
            due -= static_cast<double>(went);
        }
        const timespec pause{0, static_cast<long>(step * 1e9)};
        nanosleep(&pause, nullptr);
    }
    return sent;
}

void describe(CLI::App& app, Options& options) {
    app.add_option("--interface", options.interface, "to send on")->required();
    app.add_option("--to-mac", options.to_mac, "the next hop's Ethernet address")->required();
    app.add_option("--to", options.to, "the victim's address")->required();
    app.add_option("--source", options.source, "an address, a network to draw from, or random");
    app.add_option("--source-port", options.source_port, "0: a random one each time")->check(CLI::Range(0, 65535));
    app.add_option("--destination-ports", options.destination_ports, "LOW-HIGH, drawn at random");
    app.add_option("--ports-file", options.ports_file, "draw destination ports from this list instead");
    app.add_flag("--tcp", options.tcp, "SYNs instead of UDP datagrams");
    app.add_option("--rate", options.rate, "packets a second; 0: as many as go")->check(CLI::NonNegativeNumber);
    app.add_option("--seconds", options.seconds, "how long, at most")->required()->check(CLI::Range(0.0, 3600.0));
}

void run(const Options& options) {
    const auto to = Address::parse(options.to);
    if (!to || !to->is_private()) throw CLI::ValidationError("--to", "only private addresses are flooded");
    Junk junk(options);
    Sender sender(options);
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);  // nanoseconds; the default would stretch every step by a fifth
    const double start = seconds_now();
    const std::uint64_t sent = flood(sender, junk, options, start);
    const double took = seconds_now() - start;
    std::printf("{\"sent\":%llu,\"seconds\":%.3f,\"rate\":%.0f}\n", static_cast<unsigned long long>(sent), took,
                static_cast<double>(sent) / took);
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("flood: junk at a steady rate, inside namespaces");
    struct sigaction stop {};
    stop.sa_handler = [](int) { stopped = 1; };
    sigaction(SIGTERM, &stop, nullptr);
    sigaction(SIGINT, &stop, nullptr);
    describe(app, options);
    try {
        app.parse(argc, argv);
        run(options);
    } catch (const CLI::Error& error) {
        return app.exit(error);
    }
    return 0;
}
