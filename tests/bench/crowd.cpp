// crowd: many clients knock at a steady rate, each from an address of its own, and each is timed until the firewall has
// let it in. For namespaces a benchmark made.
//
//   crowd --interface c0 --to-mac MAC --to 10.77.0.1 --namespace /run/netns/server --rate 1000 < PLAN
//
// A line of the plan is a client: its address, then its packets in their order, as udp/FROM/TO[/PAYLOAD] or tcp/FROM/TO
// (a SYN), the payload in hexadecimal. The packets of a client go out at once, as whole Ethernet frames. A client is
// let in when the kernel tells of a new rule or set element of nf_tables that has its address in it (NFNLGRP_NFTABLES
// in the server's namespace), which the times include the reading of. Prints a JSON object: the seconds of each client,
// null where it was not let in within five seconds of the last knock; how long the sending took; and the time from the
// first knock to the last opening.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <CLI/CLI.hpp>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "common/protocol/address.hpp"

namespace {

using namespace oneknock;

constexpr std::size_t ip_at = 14, transport_at = ip_at + 20, udp_header = 8, tcp_header = 20;
constexpr int told_buffer = 64 << 20;
constexpr Seconds patience{5};
using Frame = std::vector<std::uint8_t>;

struct Options {
    std::string interface, to_mac, to, server;
    double rate = 0;  // clients a second
};

struct Client {
    std::uint32_t address = 0;
    std::vector<Frame> frames;
    Instant knocked{}, let_in{};
};

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "crowd: %s\n", why.c_str());
    std::exit(64);
}

std::uint16_t checksum(const Frame& frame, std::size_t from, std::size_t to, std::uint32_t sum) {
    for (std::size_t at = from; at < to; at += 2) sum += load_u16be(&frame[at]);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~((sum & 0xffff) + (sum >> 16)));
}

Frame empty_frame(const Options& options, std::uint32_t source, std::size_t transport_length, std::uint8_t protocol) {
    Frame frame(transport_at + transport_length);
    const ether_addr* const to = ether_aton(options.to_mac.c_str());
    if (to == nullptr) give_up("--to-mac is no address");
    std::memcpy(frame.data(), to, sizeof *to);
    frame[6] = 2;  // a local address, as good as any
    store_u16be(&frame[12], ETHERTYPE_IP);
    frame[ip_at] = 0x45;
    store_u16be(&frame[ip_at + 2], static_cast<std::uint16_t>(frame.size() - ip_at));
    frame[ip_at + 8] = 64;  // hops
    frame[ip_at + 9] = protocol;
    store_u32be(&frame[ip_at + 12], source);
    store_u32be(&frame[ip_at + 16], ntohl(inet_addr(options.to.c_str())));
    store_u16be(&frame[ip_at + 10], checksum(frame, ip_at, transport_at, 0));
    return frame;
}

Frame udp_frame(const Options& options, std::uint32_t source, std::uint16_t from, std::uint16_t to,
                const Frame& payload) {
    Frame frame = empty_frame(options, source, udp_header + payload.size(), IPPROTO_UDP);
    store_u16be(&frame[transport_at], from);
    store_u16be(&frame[transport_at + 2], to);
    store_u16be(&frame[transport_at + 4], static_cast<std::uint16_t>(udp_header + payload.size()));  // no checksum: 0
    std::copy(payload.begin(), payload.end(), frame.begin() + transport_at + udp_header);
    return frame;
}

Frame syn_frame(const Options& options, std::uint32_t source, std::uint16_t from, std::uint16_t to) {
    Frame frame = empty_frame(options, source, tcp_header, IPPROTO_TCP);
    store_u16be(&frame[transport_at], from);
    store_u16be(&frame[transport_at + 2], to);
    frame[transport_at + 12] = 5 << 4;  // words
    frame[transport_at + 13] = 0x02;    // SYN
    store_u16be(&frame[transport_at + 14], 64240);
    store_u16be(&frame[transport_at + 16], checksum(frame, ip_at + 12, frame.size(), IPPROTO_TCP + tcp_header));
    return frame;
}

Frame packet(const Options& options, std::uint32_t source, const std::string& word) {
    char protocol[4] = "", payload[4096] = "";
    unsigned from = 0, to = 0;
    const int fields = std::sscanf(word.c_str(), "%3[a-z]/%u/%u/%4095[0-9a-f]", protocol, &from, &to, payload);
    if (fields < 3 || from > 65535 || to > 65535) give_up(word + " is no packet");
    const auto from_port = static_cast<std::uint16_t>(from), to_port = static_cast<std::uint16_t>(to);
    if (std::strcmp(protocol, "tcp") == 0) return syn_frame(options, source, from_port, to_port);
    Frame bytes(std::strlen(payload) / 2);
    if (!from_hex(payload, bytes)) give_up(word + " has no hexadecimal payload");
    return udp_frame(options, source, from_port, to_port, bytes);
}

std::vector<Client> read_plan(const Options& options) {
    std::vector<Client> clients;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string word;
        words >> word;
        Client client{ntohl(inet_addr(word.c_str())), {}, {}, {}};
        while (words >> word) client.frames.push_back(packet(options, client.address, word));
        clients.push_back(std::move(client));
    }
    if (clients.empty()) give_up("there is nobody in the plan");
    return clients;
}

int open_sender(const std::string& interface) {
    const int fd = socket(AF_PACKET, SOCK_RAW, 0);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    if (fd < 0 || address.sll_ifindex == 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        give_up("cannot send on " + interface + ": " + std::strerror(errno));
    const int on = 1;
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
    return fd;
}

// Hears of every change of the namespace's nf_tables.
int open_changes(const std::string& file) {
    const int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (setns(there, CLONE_NEWNET) != 0) give_up("cannot enter " + file);
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = 1U << (NFNLGRP_NFTABLES - 1);
    const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &told_buffer, sizeof told_buffer);
    if (!bound || setns(home, CLONE_NEWNET) != 0) give_up("cannot hear of changes in " + file);
    return fd;
}

void send_all(int fd, std::vector<Frame>& frames) {
    std::vector<iovec> vectors;
    for (Frame& frame : frames) vectors.push_back({frame.data(), frame.size()});
    std::vector<mmsghdr> headers(frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
        headers[i].msg_hdr.msg_iov = &vectors[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
    for (std::size_t sent = 0; sent < headers.size();) {
        const int went = sendmmsg(fd, &headers[sent], static_cast<unsigned>(headers.size() - sent), 0);
        if (went > 0) sent += static_cast<std::size_t>(went);
        else if (errno != ENOBUFS && errno != EAGAIN) give_up(std::string("cannot send: ") + std::strerror(errno));
    }
}

class Door {
public:
    Door(int changes, std::vector<Client>& clients) : changes_(changes), clients_(clients) {
        for (std::size_t i = 0; i < clients.size(); ++i) by_address_[clients[i].address] = i;
    }

    // Reads what the kernel tells until then, or until all are let in.
    void watch_until(Instant until) {
        for (Instant now = read_clocks().steady; now < until && let_in_ < clients_.size(); now = read_clocks().steady) {
            pollfd wait{changes_, POLLIN, 0};
            const timespec left{static_cast<time_t>((until - now) / Seconds{1}), (until - now).count() % 1'000'000'000};
            ppoll(&wait, 1, &left, nullptr);
            read_all();
        }
    }
    void read_all() {
        for (ssize_t got; (got = recv(changes_, buffer_.data(), buffer_.size(), 0)) > 0;)
            read_messages(reinterpret_cast<const nlmsghdr*>(buffer_.data()), static_cast<unsigned>(got));
    }

private:
    void read_messages(const nlmsghdr* message, unsigned left) {
        for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
            const unsigned kind = message->nlmsg_type & 0xff;
            if (message->nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES &&
                (kind == NFT_MSG_NEWRULE || kind == NFT_MSG_NEWSETELEM))
                look_for_clients({reinterpret_cast<const std::uint8_t*>(message), message->nlmsg_len});
        }
    }
    // Attributes begin at multiples of four, and with them an address.
    void look_for_clients(ByteSpan message) {
        for (std::size_t at = 0; at + 4 <= message.size(); at += 4) {
            const auto found = by_address_.find(load_u32be(&message[at]));
            if (found == by_address_.end()) continue;
            Client& client = clients_[found->second];
            if (client.knocked == Instant{} || client.let_in != Instant{}) continue;
            client.let_in = read_clocks().steady;
            ++let_in_;
        }
    }

    int changes_;
    std::vector<Client>& clients_;
    std::unordered_map<std::uint32_t, std::size_t> by_address_;
    std::size_t let_in_ = 0;
    alignas(nlmsghdr) std::array<std::uint8_t, 1 << 16> buffer_{};
};

double seconds(Instant time) { return static_cast<double>(time.count()) * 1e-9; }

void print(const std::vector<Client>& clients, Instant begin, Instant sent) {
    Instant last = begin;
    for (const Client& client : clients) last = std::max(last, client.let_in);
    std::printf("{\"sending\":%.6f,\"took\":%.6f,\"seconds\":[", seconds(sent - begin), seconds(last - begin));
    for (const Client& client : clients) {
        if (&client != clients.data()) std::printf(",");
        if (client.let_in == Instant{}) std::printf("null");
        else std::printf("%.6f", seconds(client.let_in - client.knocked));
    }
    std::printf("]}\n");
}

void run(const Options& options) {
    const auto to = Address::parse(options.to);
    if (!to || !to->is_private()) give_up("--to: a private IPv4 address");
    std::vector<Client> clients = read_plan(options);
    const int sender = open_sender(options.interface);
    Door door(open_changes(options.server), clients);
    prctl(PR_SET_TIMERSLACK, 1UL);
    const Instant begin = read_clocks().steady;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        door.watch_until(begin + Instant{static_cast<std::int64_t>(1e9 * static_cast<double>(i) / options.rate)});
        clients[i].knocked = read_clocks().steady;
        send_all(sender, clients[i].frames);
        door.read_all();
    }
    const Instant end = read_clocks().steady;
    door.watch_until(end + patience);
    print(clients, begin, end);
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("crowd: many clients knock, inside namespaces");
    app.add_option("--interface", options.interface, "to send on")->required();
    app.add_option("--to-mac", options.to_mac, "the next hop's Ethernet address")->required();
    app.add_option("--to", options.to, "the server's IPv4 address")->required();
    app.add_option("--namespace", options.server, "the file of the server's network namespace")->required();
    app.add_option("--rate", options.rate, "clients a second")->required()->check(CLI::PositiveNumber);
    CLI11_PARSE(app, argc, argv);
    run(options);
}
