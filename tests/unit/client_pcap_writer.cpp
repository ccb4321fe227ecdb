#include "client/knock/pcap_writer.hpp"

#include <cstdlib>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

#include "common/files.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using namespace std::chrono_literals;

namespace {

struct Folder {
    std::string path = "/tmp/oneknock-test-XXXXXX";
    Folder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
    ~Folder() {
        unlink(file().c_str());
        rmdir(path.c_str());
    }
    [[nodiscard]] std::string file() const { return path + "/knock.pcap"; }
};

std::uint32_t word(const SecretBytes& content, std::size_t at) {
    std::uint32_t value = 0;  // of the writer's byte order, which is ours
    std::memcpy(&value, &content.bytes()[at], sizeof value);
    return value;
}

const PacketEnds ends{*Address::parse("192.0.2.7"), *Address::parse("203.0.113.5"), 50'000, 0};

}  // namespace

TEST_CASE("the packets lie in the file as raw IP, in sending order, a microsecond apart") {
    const Folder folder;
    auto writer = PcapWriter::create(folder.file());
    REQUIRE(writer);
    const std::vector<std::uint16_t> ports{3000, 1024};
    writer->add(Via::udp, ends, ports, UnixTime{1'800'000'000s} + 999'999us);
    REQUIRE(writer->finish());

    const auto content = read_file(folder.file());
    REQUIRE(content);
    constexpr std::size_t file_header = 24, record = 16 + 28;
    REQUIRE(content->bytes().size() == file_header + 2 * record);
    CHECK(word(*content, 0) == 0xa1b2c3d4);
    CHECK(word(*content, 20) == 101);  // LINKTYPE_RAW
    CHECK(word(*content, file_header) == 1'800'000'000);
    CHECK(word(*content, file_header + 4) == 999'999);
    CHECK(word(*content, file_header + 8) == 28);
    CHECK(load_u16be(&content->bytes()[file_header + 16 + 22]) == 3000);
    CHECK(word(*content, file_header + record) == 1'800'000'001);
    CHECK(word(*content, file_header + record + 4) == 0);
    CHECK(load_u16be(&content->bytes()[file_header + record + 16 + 22]) == 1024);
}

TEST_CASE("the file is private, and an existing one is left alone") {
    const Folder folder;
    REQUIRE(PcapWriter::create(folder.file()));
    struct stat info {};
    REQUIRE(stat(folder.file().c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    const auto again = PcapWriter::create(folder.file());
    REQUIRE_FALSE(again);
    CHECK(again.error().code == ExitCode::cannot_create);
    const auto nowhere = PcapWriter::create(folder.path + "/missing/knock.pcap");
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().code == ExitCode::cannot_create);
}
