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

// A TCP segment without payload, checksum right.
[[nodiscard]] Segment tcp_segment(Family family, std::uint16_t source_port, std::uint16_t port, std::uint8_t flags);
[[nodiscard]] Segment tcp_segment(const Address& from, const Address& to, std::uint16_t source_port, std::uint16_t port,
                                  std::uint8_t flags);

// Opens before sending; hears the kernel's answers to it.
class RawTcp {
public:
    explicit RawTcp(Family family);
    void send_whole(const Segment& segment) const;
    // In two fragments: the first with `first` bytes of the segment (a multiple of 8), the second with the rest. Their
    // identification is the source port.
    void send_fragments(const Segment& segment, std::size_t first) const;
    // The flags of the first segment that came back to this port of ours.
    [[nodiscard]] std::optional<std::uint8_t> answer(std::uint16_t source_port) const;

private:
    void send_ip(const Segment& payload, std::uint16_t id, std::uint16_t offset, bool more, bool fragment) const;

    Family family_;
    Descriptor sender_, receiver_;
};

}  // namespace oneknock::test
