// Packets from a pcapng file (draft-ietf-opsawg-pcapng), in its order, whatever interfaces and link types they are of:
// libpcap reads only files of a single type. The content is taken as hostile.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <vector>

#include "common/bytes.hpp"
#include "common/result.hpp"

namespace oneknock {

class Pcapng {
public:
    // What every such file begins with.
    static constexpr std::uint8_t first_byte = 0x0a;

    // At the beginning of the file, which must live as long.
    explicit Pcapng(std::FILE* file) : file_(file) {}

    struct Frame {
        int link_type = 0;
        ByteSpan bytes;            // good until the next one is read
        std::uint32_t length = 0;  // on the wire
        std::chrono::sys_time<std::chrono::nanoseconds> time;
    };
    // Nothing at the end; ExitCode::data, with the reason alone, where the file is damaged.
    [[nodiscard]] Result<std::optional<Frame>> next();

private:
    struct Interface {
        int link_type = 0;
        std::uint64_t ticks = 1'000'000;  // in a second
        std::int64_t offset = 0;          // seconds
    };

    // The next block into block_, as its type and what is between the two lengths. Nothing at the end.
    struct Block {
        std::uint32_t type = 0;
        ByteSpan body;
    };
    [[nodiscard]] Result<std::optional<Block>> read_block();
    [[nodiscard]] bool begin_section(ByteSpan magic);
    [[nodiscard]] Result<void> add_interface(ByteSpan body);
    [[nodiscard]] Result<Frame> frame_of(const Block& block) const;
    [[nodiscard]] std::uint16_t u16(const std::uint8_t* at) const;
    [[nodiscard]] std::uint32_t u32(const std::uint8_t* at) const;

    std::FILE* file_;
    bool is_big_endian_ = false;
    std::vector<std::uint8_t> block_;
    std::vector<Interface> interfaces_;  // of this section; at most most_interfaces
};

}  // namespace oneknock
