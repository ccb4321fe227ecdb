// The packets of a knock in a capture file of raw IP packets, for `oneknockd --read` and for tests. The format is that
// of pcap-savefile(5), 40 bytes in all: linking libpcap, which brings fourteen libraries, would make every knock a
// millisecond slower.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/message/knock_settings.hpp"
#include "client/message/packet_bytes.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"

namespace oneknock {

class PcapWriter {
public:
    // Creates the file, mode 0600; an existing one is refused with ExitCode::cannot_create.
    [[nodiscard]] static Result<PcapWriter> create(const std::string& path);
    // None without a path.
    [[nodiscard]] static Result<std::optional<PcapWriter>> create_if(const std::optional<std::string>& path);

    // One packet to each port, in this order, `ends.destination_port` aside. The first is stamped `time`, each next
    // one a microsecond later.
    void add(Via via, PacketEnds ends, std::span<const std::uint16_t> ports,
             std::chrono::sys_time<std::chrono::microseconds> time);

    // Writes what was added; says whether everything is in the file.
    [[nodiscard]] Result<void> finish();

private:
    PcapWriter(std::string path, Descriptor fd);

    void append(std::span<const std::uint32_t> words);

    std::string path_;
    Descriptor fd_;
    std::vector<std::uint8_t> content_;
};

}  // namespace oneknock
