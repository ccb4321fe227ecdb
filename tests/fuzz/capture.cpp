// Capture files, as `oneknockd --read` reads them.
#include <cstdlib>
#include <filesystem>

#include <sys/mman.h>
#include <unistd.h>

#include "client/message/packet_bytes.hpp"
#include "common/fd.hpp"
#include "common/files.hpp"
#include "server/oneshot/read_capture.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/home.hpp"

namespace oneknock::fuzz {
namespace {

// A door's folder with its clients, gone at the end.
class Folder {
public:
    Folder() {
        HOLDS(mkdtemp(path_) != nullptr);
        config_.door = std::string(path_) + "/door.json";
        config_.clients = std::string(path_) + "/clients.d";
        std::filesystem::create_directory(config_.clients);
        HOLDS(create_private_file(config_.door, door_text(home()).bytes()));
        for (const Member& member : members)
            HOLDS(create_private_file(config_.clients + "/" + member.name + ".json",
                                      client_text(client_of(member)).bytes()));
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] const DaemonConfig& config() const { return config_; }

private:
    char path_[32] = "/tmp/oneknock-fuzz-XXXXXX";
    DaemonConfig config_;
};

void put_u32(Bytes& to, std::uint32_t value) {  // in this host's order
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
    to.insert(to.end(), bytes, bytes + sizeof value);
}

void put_frame(Bytes& file, UnixTime time, ByteSpan frame) {
    put_u32(file, static_cast<std::uint32_t>(time.time_since_epoch().count()));
    put_u32(file, 5);
    put_u32(file, static_cast<std::uint32_t>(frame.size()));
    put_u32(file, static_cast<std::uint32_t>(frame.size()));
    append(file, frame);
}

Bytes pcap(std::uint32_t magic, std::uint32_t link, UnixTime time, std::size_t frames) {
    Bytes file;
    for (const std::uint32_t word : {magic, 0x00040002U, 0U, 0U, 65535U, link}) put_u32(file, word);
    Request request;
    request.port = ssh.port;
    request.address = *Address::parse("192.0.2.7");
    request.time = static_cast<std::uint32_t>(time.time_since_epoch().count());
    const Knock knock = make_knock(request, secret_of(11), secret_of(1), home().id, home().span);
    for (std::size_t i = 0; i < frames; ++i)
        put_frame(file, time, udp_packet({request.address, *Address::parse("192.0.2.1"), 40000, knock.ports[i]}));
    return file;
}

void put_block(Bytes& file, std::uint32_t type, const Bytes& body) {
    const auto length = static_cast<std::uint32_t>(body.size() + 12);
    put_u32(file, type);
    put_u32(file, length);
    append(file, body);
    put_u32(file, length);
}

// The newer format, with a time of 64 bits.
Bytes pcapng(std::uint32_t seconds_high, const Bytes& resolution) {
    Bytes file, section, interface, packet;
    for (const std::uint32_t word : {0x1a2b3c4dU, 0x00000001U, 0xffffffffU, 0xffffffffU}) put_u32(section, word);
    put_block(file, 0x0a0d0d0a, section);
    for (const std::uint32_t word : {101U, 65535U}) put_u32(interface, word);
    append(interface, resolution);
    put_block(file, 1, interface);
    const Bytes frame = syn_packet({*Address::parse("192.0.2.7"), *Address::parse("192.0.2.1"), 40000, 50000}, 1);
    for (const std::uint32_t word : {0U, seconds_high, 7U, 40U, 40U}) put_u32(packet, word);
    append(packet, frame);
    put_block(file, 6, packet);
    return file;
}

}  // namespace

void one_input(Input input) {
    static const Folder folder;
    const Descriptor file(memfd_create("capture", MFD_CLOEXEC));
    HOLDS(file && write_all(file.get(), input.rest()));
    const std::string path = "/proc/self/fd/" + std::to_string(file.get());
    const auto read = read_capture(folder.config(), path, (input.rest().size() & 1) != 0);
    if (read) return;
    HOLDS(read.error().code == ExitCode::data);
    HOLDS(read.error().message.starts_with(path));
}

std::vector<Bytes> seeds() {
    return {pcap(0xa1b2c3d4, 101, noon, 64),
            pcap(0xa1b23c4d, 101, noon, 40),
            pcap(0xa1b2c3d4, 1, noon, 2),
            pcap(0xa1b2c3d4, 101, UnixTime{}, 2),
            pcap(0xa1b2c3d4, 101, UnixTime{Seconds{0xffffffff}}, 2),
            pcap(0xa1b2c3d4, 147, noon, 1),
            pcapng(0x60000, {}),
            pcapng(0x60000, {9, 0, 1, 0, 9, 0, 0, 0}),
            pcapng(0xffffffff, {9, 0, 1, 0, 0, 0, 0, 0})};
}

}  // namespace oneknock::fuzz
