// Packets that no ordinary program sends: TCP segments with chosen flags, and fragments. Made in the client's
// namespace, sent to 10.77.0.1 (fd77::1) from 10.77.0.2 (fd77::2).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/fd.hpp"
#include "common/protocol/address.hpp"

namespace oneknock::test {

inline constexpr std::uint8_t fin = 0x01, syn = 0x02, rst = 0x04, psh = 0x08, ack = 0x10, urg = 0x20;

using Segment = std::vector<std::uint8_t>;

// A TCP segment without payload, checksum right. Options are a multiple of 4 bytes.
[[nodiscard]] Segment tcp_segment(Family family, std::uint16_t source_port, std::uint16_t port, std::uint8_t flags);
[[nodiscard]] Segment tcp_segment(const Address& from, const Address& to, std::uint16_t source_port, std::uint16_t port,
                                  std::uint8_t flags, const Segment& options = {});

// Opens before sending; hears the kernel's answers to it.
class RawTcp {
public:
    explicit RawTcp(Family family);
    void send_whole(const Segment& segment) const;
    // In two fragments: the first with `first` bytes of the segment (a multiple of 8), the second with the rest.
    // `begins_with`: what the first of them begins with, the segment itself or extension headers in front of it.
    void send_fragments(const Segment& segment, std::size_t first, std::uint8_t begins_with = protocol_tcp) const;
    // One packet with this behind its IP header; whole unless it says otherwise.
    struct Fragment {
        std::uint16_t id = 0, offset = 0;
        bool more = false;
        std::uint8_t begins_with = protocol_tcp;  // IPv6 alone
    };
    void send(const Segment& payload, const Fragment& fragment) const;
    // The flags of the first segment that came back to this port of ours.
    [[nodiscard]] std::optional<std::uint8_t> answer(std::uint16_t source_port) const;

private:
    Family family_;
    Descriptor sender_, receiver_;
};

}  // namespace oneknock::test
