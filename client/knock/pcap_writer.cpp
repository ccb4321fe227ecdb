#include "client/knock/pcap_writer.hpp"

#include <array>
#include <bit>
#include <cerrno>

#include <fcntl.h>

#include "common/secret.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

// pcap-savefile(5). Numbers are in the writer's byte order, which the first one tells.
constexpr std::uint32_t magic_microseconds = 0xa1b2c3d4;
constexpr std::uint32_t version =
    std::endian::native == std::endian::little ? 4U << 16 | 2 : 2U << 16 | 4;  // 2 and 4, 16 bits each
constexpr std::uint32_t longest_packet = 65535;
constexpr std::uint32_t linktype_raw = 101;

}  // namespace

PcapWriter::PcapWriter(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {
    append(std::array{magic_microseconds, version, 0U, 0U, longest_packet, linktype_raw});
}

void PcapWriter::append(std::span<const std::uint32_t> words) {
    const auto bytes = std::as_bytes(words);
    for (const std::byte byte : bytes) content_.push_back(static_cast<std::uint8_t>(byte));
}

Result<PcapWriter> PcapWriter::create(const std::string& path) {
    Descriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd && errno == EEXIST)
        return fail(ExitCode::cannot_create,
                    "--write " + printable(path) + ": this file already exists; name a new one");
    if (!fd) return tl::unexpected(system_error("create", path, ExitCode::cannot_create));
    return PcapWriter(path, std::move(fd));
}

Result<std::optional<PcapWriter>> PcapWriter::create_if(const std::optional<std::string>& path) {
    if (!path) return std::optional<PcapWriter>{};
    return create(*path).map([](PcapWriter&& writer) { return std::optional(std::move(writer)); });
}

void PcapWriter::add(Via via, PacketEnds ends, std::span<const std::uint16_t> ports,
                     std::chrono::sys_time<std::chrono::microseconds> time) {
    for (const std::uint16_t port : ports) {
        ends.destination_port = port;
        Bytes<4> sequence{};
        fill_random(sequence);
        const auto bytes = via == Via::udp ? udp_packet(ends) : syn_packet(ends, load_u32be(sequence.data()));
        const auto second = std::chrono::floor<Seconds>(time);
        const auto length = static_cast<std::uint32_t>(bytes.size());
        append(std::array{static_cast<std::uint32_t>(second.time_since_epoch().count()),
                          static_cast<std::uint32_t>((time - second).count()), length, length});
        content_.insert(content_.end(), bytes.begin(), bytes.end());
        time += std::chrono::microseconds{1};
    }
}

Result<void> PcapWriter::finish() {
    if (!write_all(fd_.get(), content_)) return tl::unexpected(system_error("write", path_, ExitCode::cannot_create));
    content_.clear();
    return {};
}

}  // namespace oneknock
