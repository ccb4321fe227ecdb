// Packets from a capture file (pcap or pcapng), in its order.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "common/bytes.hpp"
#include "common/result.hpp"
#include "server/listener/packet.hpp"

struct pcap;

namespace oneknock {

class CaptureFile {
public:
    // Not a capture file, or one of packets that cannot be read: ExitCode::data.
    [[nodiscard]] static Result<CaptureFile> open(const std::string& path);

    [[nodiscard]] LinkLayer link() const { return link_; }

    struct Frame {
        ByteSpan bytes;  // good until the next one is read
        std::chrono::sys_time<std::chrono::nanoseconds> time;
    };
    // Nothing at the end; ExitCode::data where the file is damaged.
    [[nodiscard]] Result<std::optional<Frame>> next();

private:
    struct Close {
        void operator()(pcap* file) const;
    };
    CaptureFile(std::string path, std::unique_ptr<pcap, Close> file, LinkLayer link)
        : path_(std::move(path)), file_(std::move(file)), link_(link) {}

    std::string path_;
    std::unique_ptr<pcap, Close> file_;
    LinkLayer link_;
};

}  // namespace oneknock
