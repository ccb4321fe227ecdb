#include "server/listener/pcapng.hpp"

#include <memory>
#include <random>

#include "tests/catch.hpp"

using namespace oneknock;
using Octets = std::vector<std::uint8_t>;

namespace {

void put32(Octets& to, std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) to.push_back(static_cast<std::uint8_t>(value >> shift));
}

Octets block(std::uint32_t type, const Octets& body) {
    Octets all;
    put32(all, type);
    put32(all, static_cast<std::uint32_t>(body.size()) + 12);
    all.insert(all.end(), body.begin(), body.end());
    put32(all, static_cast<std::uint32_t>(body.size()) + 12);
    return all;
}

Octets words(const std::vector<std::uint32_t>& values) {
    Octets bytes;
    for (const auto value : values) put32(bytes, value);
    return bytes;
}

const Octets section = block(0x0a0d0d0a, words({0x1a2b3c4d, 1, 0xffffffff, 0xffffffff}));
const Octets raw_interface = block(1, words({101, 0}));

Octets joined(std::initializer_list<Octets> parts) {
    Octets all;
    for (const Octets& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

// How many packets there are until the end, or the error.
Result<int> read_all(Octets content) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(fmemopen(content.data(), content.size(), "rb"),
                                                               std::fclose);
    Pcapng reader(file.get());
    for (int count = 0;; ++count) {
        const auto frame = reader.next();
        if (!frame) return tl::unexpected(frame.error());
        if (!*frame) return count;
    }
}

}  // namespace

TEST_CASE("a packet's time is counted in its interface's resolution") {
    const std::tuple<std::uint32_t, std::uint64_t, std::int64_t> cases[] = {{6, 1'500'000, 1'500'000'000},
                                                                            {9, 1'500'000'000, 1'500'000'000},
                                                                            {0, 3, 3'000'000'000},
                                                                            {0x81, 3, 1'500'000'000}};
    for (const auto& [resolution, ticks, nanoseconds] : cases) {
        const auto interface = block(1, words({101, 0, 9 | 1 << 16, resolution, 0}));
        auto content = joined({section, interface,
                               block(6, words({0, static_cast<std::uint32_t>(ticks >> 32),
                                               static_cast<std::uint32_t>(ticks), 4, 60, 7}))});
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(fmemopen(content.data(), content.size(), "rb"),
                                                                   std::fclose);
        Pcapng reader(file.get());
        const auto frame = reader.next();
        REQUIRE((frame && *frame));
        CHECK((*frame)->time.time_since_epoch().count() == nanoseconds);
        CHECK((*frame)->link_type == 101);
        CHECK(((*frame)->bytes.size() == 4 && (*frame)->length == 60));
    }
}

TEST_CASE("a damaged pcapng file is an error that says how, and unknown blocks are passed over") {
    const Octets packet = block(6, words({0, 0, 1, 4, 4, 7}));
    CHECK(read_all(joined({section, raw_interface, packet, block(5, words({1, 2, 3})), packet})) == 2);
    CHECK(read_all(section) == 0);
    Octets other_length = packet;
    other_length.back() = 1;
    const std::pair<Octets, const char*> cases[] = {
        {joined({section, packet}), "not described"},
        {joined({section, raw_interface, block(6, words({0, 0, 1, 400, 400}))}), "longer than its block"},
        {joined({section, raw_interface, block(6, words({0, 0}))}), "too short"},
        {joined({section, raw_interface, block(3, words({4, 7}))}), "without a time"},
        {joined({section, raw_interface, block(6, words({0, 0xffffffff, 0, 4, 4, 7}))}), "time"},
        {joined({section, words({6, 13, 0})}), "block of 13 bytes"},
        {joined({section, words({6, 0xfffffffc, 0})}), "block of 4294967292 bytes"},
        {joined({section, raw_interface, other_length}), "two lengths differ"},
        {joined({section, Octets{1, 2}}), "ends within"},
        {block(0x0a0d0d0a, words({1, 1, 1, 1})), "byte order"},
        {joined({section, block(1, words({101, 0, 9 | 400 << 16}))}), "option"}};
    for (const auto& [content, says] : cases) {
        const auto count = read_all(content);
        REQUIRE_FALSE(count);
        CHECK(count.error().code == ExitCode::data);
        CAPTURE(count.error().message, says);
        CHECK(count.error().message.find(says) != std::string::npos);
    }
}

TEST_CASE("no change of a pcapng file's bytes makes its reader fail otherwise than by an error") {
    const Octets good = joined(
        {section, raw_interface, block(6, words({0, 0, 1, 4, 4, 7})), block(1, words({1, 0, 9 | 1 << 16, 9, 0}))});
    std::minstd_rand random(1);
    for (int round = 0; round < test::trials(20'000); ++round) {
        Octets content = good;
        for (int change = 0; change < 3; ++change)
            content[random() % content.size()] = static_cast<std::uint8_t>(random() % 3 == 0 ? 0xff : random());
        content.resize(1 + random() % content.size());
        const auto count = read_all(std::move(content));
        CHECK((!count || *count <= 2));
    }
}
