#include "server/listener/capture_file.hpp"

#include <pcap/pcap.h>

#include "common/files.hpp"
#include "server/listener/link_type.hpp"

namespace oneknock {

void CaptureFile::Close::operator()(pcap* file) const { pcap_close(file); }

Result<CaptureFile> CaptureFile::open(const std::string& path) {
    const auto readable = open_to_read(path);  // pcap would not tell a missing file from a forbidden one
    if (!readable) return tl::unexpected(readable.error());
    char error[PCAP_ERRBUF_SIZE] = "";
    std::unique_ptr<pcap, Close> file(
        pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error));
    if (!file) return fail(ExitCode::data, path + ": not a capture file: " + error);
    const int type = pcap_datalink(file.get());
    const auto link = link_layer_of(type);
    if (!link) return fail(ExitCode::data, path + ": packets of link type " + link_type_name(type) + " cannot be read");
    return CaptureFile(path, std::move(file), *link);
}

Result<std::optional<CaptureFile::Frame>> CaptureFile::next() {
    pcap_pkthdr* header = nullptr;
    const u_char* bytes = nullptr;
    const int status = pcap_next_ex(file_.get(), &header, &bytes);
    if (status == PCAP_ERROR) return fail(ExitCode::data, path_ + ": damaged: " + pcap_geterr(file_.get()));
    if (status != 1) return std::nullopt;
    const std::chrono::sys_time<std::chrono::nanoseconds> time{std::chrono::seconds{header->ts.tv_sec} +
                                                               std::chrono::nanoseconds{header->ts.tv_usec}};
    return Frame{{bytes, header->caplen}, time};
}

}  // namespace oneknock
