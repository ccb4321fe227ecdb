// Packets from a capture file (pcap or pcapng), in its order.
#pragma once

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/bytes.hpp"
#include "common/result.hpp"
#include "server/listener/packet.hpp"
#include "server/listener/pcapng.hpp"

struct pcap;

namespace oneknock {

class CaptureFile {
public:
    // "-" is standard input. Not a capture file, or a pcap file of packets that cannot be read: ExitCode::data.
    [[nodiscard]] static Result<CaptureFile> open(const std::string& path);

    struct Frame {
        LinkLayer link;
        ByteSpan bytes;  // good until the next one is read
        bool is_cut;     // to less than what may have to be looked at
        std::chrono::sys_time<std::chrono::nanoseconds> time;
    };
    // Nothing at the end; ExitCode::data where the file is damaged. Packets of a pcapng file's interfaces whose link
    // type cannot be read are left out: see unreadable().
    [[nodiscard]] Result<std::optional<Frame>> next();

    // How many were left out, if any, and of which link types: an ExitCode::data for the end.
    [[nodiscard]] Result<void> unreadable() const;

private:
    struct Close {
        void operator()(pcap* file) const;
        void operator()(std::FILE* file) const;
    };
    explicit CaptureFile(std::string name) : name_(std::move(name)) {}
    [[nodiscard]] Result<void> open_pcap();
    [[nodiscard]] Result<std::optional<Pcapng::Frame>> next_of_any_type();

    std::string name_;
    std::unique_ptr<std::FILE, Close> stream_;  // until libpcap owns it
    std::unique_ptr<pcap, Close> pcap_;
    std::optional<Pcapng> pcapng_;  // reads stream_
    int pcap_type_ = 0;
    std::map<int, std::uint64_t> unreadable_;  // by link type, of which there are at most 65536
};

}  // namespace oneknock
