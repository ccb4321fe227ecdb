#include "server/listener/capture_file.hpp"

#include <fcntl.h>
#include <pcap/pcap.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "common/files.hpp"
#include "common/text.hpp"
#include "server/listener/pcap_link_type.hpp"

namespace oneknock {
namespace {

// An IPv6 header and what is looked at of TCP's behind it, after the longest link layer.
constexpr std::uint32_t longest_looked_at = 14 + 4 + 4 + 8 + 40 + 8 + 14;

Result<Descriptor> open_file(const std::string& path) {
    if (path == "-") return Descriptor(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    auto file = open_to_read(path);
    // Of a pipe, as the shell's <(...) makes them, the rest may be on its way.
    if (file) fcntl(file->get(), F_SETFL, fcntl(file->get(), F_GETFL) & ~O_NONBLOCK);
    return file;
}

}  // namespace

void CaptureFile::Close::operator()(pcap* file) const { pcap_close(file); }
void CaptureFile::Close::operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }

Result<CaptureFile> CaptureFile::open(const std::string& path) {
    CaptureFile file(path == "-" ? "standard input" : printable(path));
    auto descriptor = open_file(path);
    if (!descriptor) return tl::unexpected(descriptor.error());
    file.stream_.reset(fdopen(descriptor->get(), "rb"));
    if (!file.stream_) return tl::unexpected(system_error("read", file.name_, ExitCode::no_input));
    static_cast<void>(descriptor->release());
    const int first = std::fgetc(file.stream_.get());
    if (first == EOF && std::ferror(file.stream_.get()) != 0)
        return tl::unexpected(system_error("read", file.name_, ExitCode::no_input));
    if (first == EOF) return fail(ExitCode::data, file.name_ + ": not a capture file: it is empty");
    std::ungetc(first, file.stream_.get());
    if (first == Pcapng::first_byte) file.pcapng_.emplace(file.stream_.get());
    else if (const auto opened = file.open_pcap(); !opened) return tl::unexpected(opened.error());
    return file;
}

Result<void> CaptureFile::open_pcap() {
    char error[PCAP_ERRBUF_SIZE] = "";
    pcap_.reset(pcap_fopen_offline_with_tstamp_precision(stream_.get(), PCAP_TSTAMP_PRECISION_NANO, error));
    if (!pcap_) return fail(ExitCode::data, name_ + ": not a capture file: " + error);
    static_cast<void>(stream_.release());
    pcap_type_ = pcap_datalink(pcap_.get());
    if (link_layer_of(pcap_type_)) return {};
    return fail(ExitCode::data, name_ + ": packets of link type " + link_type_name(pcap_type_) + " cannot be read");
}

Result<std::optional<Pcapng::Frame>> CaptureFile::next_of_any_type() {
    if (pcapng_) return pcapng_->next();
    pcap_pkthdr* header = nullptr;
    const u_char* bytes = nullptr;
    const int status = pcap_next_ex(pcap_.get(), &header, &bytes);
    if (status == PCAP_ERROR) return fail(ExitCode::data, std::string("damaged: ") + pcap_geterr(pcap_.get()));
    if (status != 1) return std::nullopt;
    const std::chrono::sys_time<std::chrono::nanoseconds> time{std::chrono::seconds{header->ts.tv_sec} +
                                                               std::chrono::nanoseconds{header->ts.tv_usec}};
    return Pcapng::Frame{pcap_type_, {bytes, header->caplen}, header->len, time};
}

Result<std::optional<CaptureFile::Frame>> CaptureFile::next() {
    for (;;) {
        const auto frame = next_of_any_type();
        if (!frame) return fail(frame.error().code, name_ + ": " + frame.error().message);
        if (!*frame) return std::nullopt;
        const auto& [type, bytes, length, time] = **frame;
        if (const auto link = link_layer_of(type))
            return Frame{*link, bytes, bytes.size() < length && bytes.size() < longest_looked_at, time};
        ++unreadable_[type];
    }
}

Result<void> CaptureFile::unreadable() const {
    if (unreadable_.empty()) return {};
    const auto text = [](const auto& entry) {
        return counted(entry.second, "packet") + " of link type " + link_type_name(entry.first);
    };
    return fail(ExitCode::data, name_ + ": " + join(unreadable_, text) + " cannot be read");
}

}  // namespace oneknock
