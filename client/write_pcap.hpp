// The packets of a knock in a capture file of raw IP packets (libpcap behind it), for `oneknockd --read` and for tests.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "client/packet.hpp"
#include "common/clock.hpp"
#include "common/result.hpp"

namespace oneknock {

class PcapWriter {
public:
    // Creates the file, mode 0600; an existing one is refused with Exit::cannot_create.
    [[nodiscard]] static Result<PcapWriter> create(const std::string& path);

    // One packet to each port, in this order, `ends.destination_port` aside. The first is stamped `time`, each next
    // one a microsecond later.
    void add(Via via, PacketEnds ends, std::span<const std::uint16_t> ports,
             std::chrono::sys_time<std::chrono::microseconds> time);

    // Flushes; says whether everything is in the file.
    [[nodiscard]] Result<void> finish();

private:
    struct File;
    struct Close {
        void operator()(File* file) const;
    };
    explicit PcapWriter(std::unique_ptr<File, Close> file) : file_(std::move(file)) {}
    std::unique_ptr<File, Close> file_;
};

}  // namespace oneknock
