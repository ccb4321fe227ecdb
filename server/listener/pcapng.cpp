#include "server/listener/pcapng.hpp"

#include <algorithm>
#include <string>

namespace oneknock {
namespace {

constexpr std::uint32_t section_block = 0x0a0d0d0a, interface_block = 1, old_packet_block = 2, simple_packet_block = 3,
                        packet_block = 6;
constexpr std::size_t head_size = 8, tail_size = 4;  // type and length, the length again
constexpr std::uint32_t longest_block = 16U << 20;   // bytes; packets of any interface are far shorter
constexpr std::size_t most_interfaces = 65536;       // what an old packet's block can name
constexpr std::uint16_t option_end = 0, option_resolution = 9, option_offset = 14;

tl::unexpected<Error> damaged(const std::string& how) { return fail(ExitCode::data, "damaged: " + how); }

// if_tsresol: a power of 10, or with the highest bit set of 2. 0: cannot be counted in 64 bits.
std::uint64_t ticks_of(std::uint8_t resolution) {
    const unsigned power = resolution & 0x7fU;
    if ((resolution & 0x80) != 0) return power < 64 ? std::uint64_t{1} << power : 0;
    if (power > 19) return 0;
    std::uint64_t ticks = 1;
    for (unsigned i = 0; i < power; ++i) ticks *= 10;
    return ticks;
}

}  // namespace

std::uint16_t Pcapng::u16(const std::uint8_t* at) const {
    return static_cast<std::uint16_t>(is_big_endian_ ? at[0] << 8 | at[1] : at[1] << 8 | at[0]);
}

std::uint32_t Pcapng::u32(const std::uint8_t* at) const {
    const std::uint32_t first = u16(at), second = u16(at + 2);
    return is_big_endian_ ? first << 16 | second : second << 16 | first;
}

// The order of bytes is each section's own, and stands behind the length that is to be read in it.
bool Pcapng::begin_section(ByteSpan magic) {
    constexpr std::uint32_t in_our_order = 0x1a2b3c4d;
    for (const bool big : {false, true}) {
        is_big_endian_ = big;
        if (u32(magic.data()) == in_our_order) {
            interfaces_.clear();
            return true;
        }
    }
    return false;
}

Result<std::optional<Pcapng::Block>> Pcapng::read_block() {
    const auto read = [this](std::size_t from, std::size_t size) {
        block_.resize(from + size);
        return std::fread(block_.data() + from, 1, size, file_);
    };
    const std::size_t head = read(0, head_size);
    if (head == 0 && std::feof(file_) != 0) return std::nullopt;
    if (head < head_size) return damaged("it ends within a block");
    std::size_t have = head_size;
    const bool is_section = u32(block_.data()) == section_block;  // the same in both orders
    if (is_section) {
        have += read(have, 4);
        if (have < head_size + 4) return damaged("it ends within a block");
        if (!begin_section(ByteSpan(block_).subspan(head_size))) return damaged("a section without a byte order");
    }
    const std::uint32_t length = u32(&block_[4]);
    if (length % 4 != 0 || length < have + tail_size || length > longest_block)
        return damaged("a block of " + std::to_string(length) + " bytes");
    if (read(have, length - have) < length - have) return damaged("it ends within a block");
    if (u32(&block_[length - tail_size]) != length) return damaged("a block whose two lengths differ");
    return Block{u32(block_.data()), ByteSpan(block_).subspan(head_size, length - head_size - tail_size)};
}

Result<void> Pcapng::add_interface(ByteSpan body) {
    constexpr std::size_t fixed = 8;
    if (body.size() < fixed || interfaces_.size() == most_interfaces) return damaged("a description of an interface");
    Interface interface;
    interface.link_type = u16(body.data());
    for (ByteSpan options = body.subspan(fixed); options.size() >= 4;) {
        const std::uint16_t code = u16(options.data()), size = u16(&options[2]);
        const std::size_t padded = (size + 3U) / 4 * 4;
        options = options.subspan(4);
        if (code == option_end) break;
        if (padded > options.size()) return damaged("an option of an interface");
        if (code == option_resolution && size == 1) interface.ticks = ticks_of(options[0]);
        if (code == option_offset && size == 8) {
            const std::uint64_t first = u32(options.data()), second = u32(&options[4]);
            interface.offset = static_cast<std::int64_t>(is_big_endian_ ? first << 32 | second : second << 32 | first);
        }
        options = options.subspan(padded);
    }
    interfaces_.push_back(interface);
    return {};
}

Result<Pcapng::Frame> Pcapng::frame_of(const Block& block) const {
    if (block.type == simple_packet_block) return fail(ExitCode::data, "a packet without a time cannot be judged");
    constexpr std::size_t fixed = 20;
    if (block.body.size() < fixed) return damaged("a packet's block is too short");
    const std::uint8_t* const at = block.body.data();
    const std::uint32_t index = block.type == packet_block ? u32(at) : u16(at);
    const std::uint64_t ticks = std::uint64_t{u32(at + 4)} << 32 | u32(at + 8);
    const std::uint32_t captured = u32(at + 12);
    if (index >= interfaces_.size()) return damaged("a packet of an interface that is not described");
    if (captured > block.body.size() - fixed) return damaged("a packet that is longer than its block");
    const Interface& interface = interfaces_[index];
    // What a time in nanoseconds can hold, in seconds either way.
    constexpr std::int64_t farthest = 9'000'000'000;
    const std::uint64_t whole = interface.ticks == 0 ? UINT64_MAX : ticks / interface.ticks;
    if (whole > farthest || interface.offset > farthest - static_cast<std::int64_t>(whole) ||
        interface.offset < -farthest)
        return damaged("a packet's time");
    const long double part =
        static_cast<long double>(ticks % interface.ticks) / static_cast<long double>(interface.ticks);
    const std::chrono::nanoseconds time = std::chrono::seconds{static_cast<std::int64_t>(whole) + interface.offset} +
                                          std::chrono::nanoseconds{static_cast<std::int64_t>(part * 1e9L)};
    return Frame{interface.link_type, block.body.subspan(fixed, captured), u32(at + 16),
                 std::chrono::sys_time<std::chrono::nanoseconds>{time}};
}

Result<std::optional<Pcapng::Frame>> Pcapng::next() {
    for (;;) {
        const auto block = read_block();
        if (!block) return tl::unexpected(block.error());
        if (!*block) return std::nullopt;
        const std::uint32_t type = (*block)->type;
        if (type == interface_block) {
            if (const auto added = add_interface((*block)->body); !added) return tl::unexpected(added.error());
        } else if (type == packet_block || type == old_packet_block || type == simple_packet_block) {
            auto frame = frame_of(**block);
            if (!frame) return tl::unexpected(frame.error());
            return std::optional(*frame);
        }
    }
}

}  // namespace oneknock
