#include "client/write_pcap.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <pcap/pcap.h>

#include "common/files.hpp"
#include "common/secret.hpp"

namespace oneknock {

struct PcapWriter::File {
    std::string path;
    pcap_t* pcap = nullptr;
    pcap_dumper_t* dumper = nullptr;

    File() = default;
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (dumper != nullptr) pcap_dump_close(dumper);
        if (pcap != nullptr) pcap_close(pcap);
    }
};

void PcapWriter::Close::operator()(File* file) const { delete file; }

Result<PcapWriter> PcapWriter::create(const std::string& path) {
    // libpcap's own way of opening would overwrite.
    Descriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd && errno == EEXIST)
        return fail(Exit::cannot_create, "--write " + path + ": exists already and is left as it is; name a new file");
    if (!fd) return tl::unexpected(system_error("create", path, Exit::cannot_create));
    std::unique_ptr<File, Close> file(new File);
    file->path = path;
    file->pcap = pcap_open_dead(DLT_RAW, 65535);
    FILE* stream = fdopen(fd.get(), "wb");
    if (stream != nullptr) {
        [[maybe_unused]] const int owned = fd.release();
        file->dumper = pcap_dump_fopen(file->pcap, stream);
    }
    if (file->dumper == nullptr) return fail(Exit::cannot_create, "cannot write " + path + "; is the disk full?");
    return PcapWriter(std::move(file));
}

void PcapWriter::add(Via via, PacketEnds ends, std::span<const std::uint16_t> ports,
                     std::chrono::sys_time<std::chrono::microseconds> time) {
    for (const std::uint16_t port : ports) {
        ends.destination_port = port;
        Bytes<4> sequence{};
        fill_random(sequence);
        const auto bytes = via == Via::udp ? udp_packet(ends) : syn_packet(ends, load_u32be(sequence.data()));
        const auto second = std::chrono::floor<Seconds>(time);
        pcap_pkthdr header{};
        header.ts.tv_sec = static_cast<time_t>(second.time_since_epoch().count());
        header.ts.tv_usec = static_cast<suseconds_t>((time - second).count());
        header.caplen = header.len = static_cast<bpf_u_int32>(bytes.size());
        pcap_dump(reinterpret_cast<u_char*>(file_->dumper), &header, bytes.data());
        time += std::chrono::microseconds{1};
    }
}

Result<void> PcapWriter::finish() {
    if (pcap_dump_flush(file_->dumper) == 0 && ferror(pcap_dump_file(file_->dumper)) == 0) return {};
    return fail(Exit::cannot_create, "cannot write " + file_->path + "; is the disk full?");
}

}  // namespace oneknock
