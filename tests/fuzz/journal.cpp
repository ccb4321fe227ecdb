// The replay record's files at the next start: entries that the fuzzer made up under right checksums, and sound files
// that were damaged.
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "keys/names.hpp"
#include "keys/record_files.hpp"
#include "server/gatekeeper/record/block.hpp"
#include "server/gatekeeper/record/record.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/home.hpp"

namespace oneknock::fuzz {
namespace {

constexpr Seconds tolerance{60};
constexpr Now now{noon, Seconds{100000}};
constexpr BootId boot{1, 2, 3};
constexpr std::size_t most_entries = 32;

// In memory: what is written here is synced many times.
const std::string& folder() {
    static const struct Made {
        Made() { HOLDS(mkdtemp(path) != nullptr), name = std::string(path) + "/"; }
        ~Made() { std::filesystem::remove_all(path); }
        Made(const Made&) = delete;
        Made& operator=(const Made&) = delete;
        char path[40] = "/dev/shm/oneknock-fuzz-XXXXXX";
        std::string name;
    } made;
    return made.name;
}

void write(const std::string& name, ByteSpan bytes) {
    std::ofstream file(folder() + name, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

Bytes read(const std::string& name) {
    std::ifstream file(folder() + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void clear() {
    for (const auto& entry : std::filesystem::directory_iterator(folder())) std::filesystem::remove_all(entry);
}

Result<Record> open_record() { return Record::open(folder(), home().id, now, tolerance, boot); }

// What is left of it is written anew and read again, the same.
void check(Record& record) {
    HOLDS(record.lost() == Record::Loss::none || record.is_closed(now.steady));
    const auto grants = record.grants().live(now.steady);
    const bool had_tags = record.has_tags();
    HOLDS(record.renew(now.steady).has_value());
    auto again = open_record();
    HOLDS(again && again->lost() == Record::Loss::none);
    HOLDS(again->floor() == record.floor() && again->has_tags() == had_tags);
    HOLDS(again->is_closed(now.steady) == record.is_closed(now.steady));
    HOLDS(again->grants().live(now.steady).size() == grants.size());
}

Tag tag_of(std::uint8_t number) { return Tag{{number, 1, 2, 3}}; }

// Entries that are accepted one after the other; then some of the files' bytes are others. What is not found out is all
// there.
void damage(Input& input) {
    const std::size_t count = input.u8() % 8;
    {
        auto record = open_record();
        HOLDS(record.has_value());
        for (std::uint8_t i = 0; i < count; ++i) {
            record->begin();
            record->add_tag(tag_of(i), noon, members[i % members.size()].name);
            HOLDS(record->commit().has_value());
        }
    }
    const char* const name = input.flag() ? record_file_name : mark_file_name;
    Bytes bytes = read(name);
    if (input.flag()) bytes.resize(input.u16() % (bytes.size() + 1));
    const std::size_t written = std::min(bytes.size(), (count + 2) * Block::size);
    for (int changes = input.u8() % 4; changes > 0 && written > 0; --changes) {
        const std::size_t at = input.u16() % written;
        bytes[at] ^= input.u8();
    }
    write(name, bytes);
    auto record = open_record();
    HOLDS(record.has_value());
    if (record->lost() == Record::Loss::none)
        for (std::uint8_t i = 0; i < count; ++i) HOLDS(record->holds(tag_of(i), noon));
    check(*record);
}

Block take_header(Input& input, const oneknock::Bytes<16>& id, std::uint64_t serial, std::uint64_t count) {
    Block header;
    const bool usual = input.flag();
    header.put_text(record_file_magic, 16)
        .put_u64(serial)
        .put_time(usual ? UnixTime{} : UnixTime{Seconds{static_cast<std::int64_t>(input.u64())}});
    header.put_u64(usual ? 0 : input.u64()).put_bytes(input.flag() ? boot : BootId{}).put_u64(count).put_bytes(id);
    header.seal(id, Block::header);
    return header;
}

Block take_entry(Input& input, const oneknock::Bytes<16>& id, std::uint64_t place) {
    Block entry;
    const std::uint8_t unusual = input.u8();
    entry.put_u8(static_cast<std::uint8_t>((unusual & 1) != 0 ? input.u8() : 1 + unusual / 32 % 5));
    std::string client = members[unusual / 8 % members.size()].name;
    if ((unusual & 2) != 0)
        client = std::string(reinterpret_cast<const char*>(input.take(8).data()),
                             std::min<std::size_t>(8, input.rest().size()));
    entry.put_text(client, longest_name);
    entry.put_time((unusual & 4) != 0 ? UnixTime{Seconds{static_cast<std::int64_t>(input.u64())}} : noon);
    entry.put_bytes(tag_of(input.u8()).bytes).put_u8(protocol_tcp).put_u16(input.u8());
    entry.put_u8(input.flag() ? 6 : 4).put_bytes(oneknock::Bytes<16>{input.u8()});
    entry.put_u64(input.flag() ? input.u64() : static_cast<std::uint64_t>(now.steady.count()) + input.u32());
    entry.put_u16(input.u8() % 4 == 3 ? input.u16() : 0);
    entry.seal(id, place);
    return entry;
}

void make_up(Input& input) {
    const oneknock::Bytes<16> id{5};
    const std::uint64_t serial = input.u8(), carried = input.u8() % 4;
    Bytes file, mark_file;
    append(file, take_header(input, id, serial, carried).span());
    std::uint64_t count = 0;
    for (; !input.empty() && count < most_entries; ++count) append(file, take_entry(input, id, count).span());
    Block mark;
    mark.put_u64(serial).put_u64(count).seal(oneknock::Bytes<16>{}, Block::mark);
    append(mark_file, mark.span());
    write(record_file_name, file);
    write(mark_file_name, mark_file);
    auto record = open_record();
    HOLDS(record.has_value());
    check(*record);
}

}  // namespace

void one_input(Input input) {
    clear();
    if (input.flag()) damage(input);
    else make_up(input);
}

std::vector<Bytes> seeds() {
    std::vector<Bytes> all{
        {1, 3, 1, 0, 0}, {1, 3, 1, 0, 1, 0, 200, 1}, {1, 7, 1, 1, 1, 0}, {1, 2, 0, 0, 1, 0, 3, 1}, {1, 2, 0, 1, 0, 0}};
    Bytes entries{0, 9, 0, 1, 1};
    for (std::uint8_t i = 0; i < 5; ++i)
        append(entries, Bytes{static_cast<std::uint8_t>(i * 32), i, 22, 0, 7, 0, 1, 0, 0, 0, 0});
    all.push_back(entries);
    return all;
}

}  // namespace oneknock::fuzz
