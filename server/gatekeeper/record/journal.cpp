#include "server/gatekeeper/record/journal.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.hpp"
#include "common/secret.hpp"
#include "keys/names.hpp"
#include "keys/record_files.hpp"
#include "server/gatekeeper/record/block.hpp"

namespace oneknock {
namespace {

constexpr std::uint64_t entries_a_step = 2048;  // 256 KiB: the file grows by so much, and not with each knock
constexpr std::uint64_t largest_count = 1u << 26;

// A file read whole. `missing` and `unreadable` are about the file, not about what is in it.
struct Found {
    Journal::Condition condition = Journal::Condition::sound;
    std::string problem;
    std::vector<std::uint8_t> content;
};

Found read_whole(const std::string& path, std::uint64_t largest) {
    const auto failed = [](Journal::Condition condition) { return Found{condition, std::strerror(errno), {}}; };
    const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) return failed(errno == ENOENT ? Journal::Condition::missing : Journal::Condition::unreadable);
    struct stat info {};
    if (fstat(file.get(), &info) != 0) return failed(Journal::Condition::unreadable);
    if (!S_ISREG(info.st_mode)) return {Journal::Condition::unreadable, "not a regular file", {}};
    if (static_cast<std::uint64_t>(info.st_size) > largest) return {Journal::Condition::damaged, "too large", {}};
    Found found;
    found.content.resize(static_cast<std::size_t>(info.st_size));
    std::size_t got = 0;
    while (got < found.content.size()) {
        const ssize_t n = ::read(file.get(), found.content.data() + got, found.content.size() - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failed(Journal::Condition::unreadable);
        if (n == 0) break;
        got += static_cast<std::size_t>(n);
    }
    found.content.resize(got);
    return found;
}

// How far the record has got, and of which file that was said.
struct Mark {
    std::uint64_t serial = 0;
    std::uint64_t count = 0;
};

std::optional<Mark> parse_mark(ByteSpan content) {
    auto block = Block::checked(content, Bytes<16>{}, Block::mark);
    if (!block) return std::nullopt;
    return Mark{block->u64(), block->u64()};
}

Block make_mark(const Mark& mark) {
    Block block;
    block.put_u64(mark.serial).put_u64(mark.count).seal(Bytes<16>{}, Block::mark);
    return block;
}

Block make_header(const Journal::Header& header, std::uint64_t carried, const Bytes<16>& id) {
    Block block;
    block.put_text(record_file_magic, 16)
        .put_u64(header.serial)
        .put_time(header.floor)
        .put_u64(static_cast<std::uint64_t>(header.closed_until.count()));
    block.put_bytes(header.boot).put_u64(carried).put_bytes(id).seal(id, Block::header);
    return block;
}

struct ParsedHeader {
    Journal::Header header;
    std::uint64_t carried = 0;
    Bytes<16> id{};
};

std::optional<ParsedHeader> parse_header(ByteSpan content) {
    auto block = Block::unchecked(content);
    if (!block) return std::nullopt;
    ParsedHeader parsed;
    const bool is_ours = block->text(16) == record_file_magic;
    parsed.header.serial = block->u64();
    parsed.header.floor = block->time();
    parsed.header.closed_until = Instant{static_cast<std::int64_t>(block->u64())};
    parsed.header.boot = block->bytes<16>();
    parsed.carried = block->u64();
    parsed.id = block->bytes<16>();
    if (!is_ours || !Block::checked(content, parsed.id, Block::header)) return std::nullopt;
    return parsed;
}

// `behind`: how many entries of the same append() come before it.
Block make_entry(const JournalEntry& entry, std::size_t behind, const Bytes<16>& id, std::uint64_t place) {
    Block block;
    block.put_u8(static_cast<std::uint8_t>(entry.kind)).put_text(entry.client, longest_name);
    block.put_time(entry.time).put_bytes(entry.tag.bytes).put_u8(entry.service.protocol).put_u16(entry.service.port);
    block.put_u8(static_cast<std::uint8_t>(entry.address.family)).put_bytes(entry.address.bytes);
    block.put_u64(static_cast<std::uint64_t>(entry.end.count())).put_u16(static_cast<std::uint16_t>(behind));
    block.seal(id, place);
    return block;
}

struct ParsedEntry {
    JournalEntry entry;
    std::uint64_t first = 0;  // the place of the first entry of the same append()
};

std::optional<ParsedEntry> parse_entry(ByteSpan content, const Bytes<16>& id, std::uint64_t place) {
    auto block = Block::checked(content, id, place);
    if (!block) return std::nullopt;
    JournalEntry entry;
    entry.kind = static_cast<EntryKind>(block->u8());
    entry.client = block->text(longest_name);
    entry.time = block->time();
    entry.tag.bytes = block->bytes<16>();
    entry.service.protocol = block->u8();
    entry.service.port = block->u16();
    entry.address.family = static_cast<Family>(block->u8());
    entry.address.bytes = block->bytes<16>();
    entry.end = Instant{static_cast<std::int64_t>(block->u64())};
    const std::uint16_t behind = block->u16();
    if (entry.kind < EntryKind::used || entry.kind > EntryKind::granted || !is_valid_name(entry.client) ||
        !entry.address.is_canonical() || behind > place)
        return std::nullopt;
    return ParsedEntry{std::move(entry), place - behind};
}

std::optional<ByteSpan> block_at(const std::vector<std::uint8_t>& content, std::uint64_t number) {
    const std::uint64_t offset = number * Block::size;
    if (offset + Block::size > content.size()) return std::nullopt;
    return ByteSpan(content).subspan(offset, Block::size);
}

// Up to the first that is not readable. What stands behind that may be of the same append(), which was cut off and so
// never accepted; an entry of a later one shows that this one was accepted, and damaged afterwards.
std::vector<JournalEntry> parse_entries(const std::vector<std::uint8_t>& content, const Bytes<16>& id,
                                        bool& is_damaged) {
    std::vector<JournalEntry> entries;
    std::optional<std::uint64_t> unreadable;
    for (std::uint64_t place = 0;; ++place) {
        const auto block = block_at(content, place + 1);
        if (!block) return entries;
        auto parsed = parse_entry(*block, id, place);
        if (!parsed) unreadable = unreadable.value_or(place);
        else if (!unreadable) entries.push_back(std::move(parsed->entry));
        else if (parsed->first > *unreadable) is_damaged = true;
    }
}

// `bytes` at `offset`, all of them.
bool write_at(int fd, ByteSpan bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (n == 0) errno = ENOSPC;
            return false;
        }
        bytes = bytes.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return true;
}

Journal::Content damaged(std::string problem) {
    Journal::Content content;
    content.condition = Journal::Condition::damaged;
    content.problem = std::move(problem);
    return content;
}

}  // namespace

Journal::Content Journal::read(const std::string& folder) {
    const Found file = read_whole(folder + record_file_name, largest_count * Block::size);
    const Found mark_file = read_whole(folder + mark_file_name, Block::size);
    for (const Found* found : {&file, &mark_file})
        if (found->condition == Condition::unreadable) return {Condition::unreadable, found->problem, {}, {}, false};
    if (file.condition == Condition::missing) return {Condition::missing, file.problem, {}, {}, false};
    const auto first = block_at(file.content, 0);
    const auto header = first ? parse_header(*first) : std::nullopt;
    if (!header) return damaged("it has no valid beginning");
    const auto mark = parse_mark(mark_file.content);
    if (!mark)
        return damaged("how far it had got is not known: the file " + std::string(mark_file_name) +
                       " is gone or damaged");
    bool is_damaged = false;
    Content content{Condition::sound, {}, header->header, parse_entries(file.content, header->id, is_damaged), false};
    if (is_damaged) return damaged("an entry is not readable");
    // The mark follows a new file: for a moment it is still that of the file before.
    if (header->header.serial < mark->serial || header->header.serial > mark->serial + 1)
        return damaged("it is not the latest one");
    content.is_ahead_of_mark = header->header.serial != mark->serial;
    const std::uint64_t wanted = content.is_ahead_of_mark ? header->carried : mark->count;
    if (content.entries.size() < wanted)
        return damaged("of " + std::to_string(wanted) + " entries it has " + std::to_string(content.entries.size()));
    return content;
}

bool Journal::mark(const Content& content) {
    serial_ = content.header.serial;
    count_ = content.entries.size();
    return open_mark() && write_mark(true);
}

bool Journal::renew(const Header& header, std::span<const JournalEntry> entries) {
    count_ = entries.size();
    if (folder_.empty()) return true;
    const std::string path = folder_ + record_file_name, new_path = path + ".new";
    if (!write_new(new_path, header, entries)) {
        unlink(new_path.c_str());
        return false;
    }
    if (std::rename(new_path.c_str(), path.c_str()) != 0) return fail_with_errno("rename");
    if (const auto synced = sync_folder(folder_); !synced) return fail_with_errno("sync the folder of");
    return write_mark(true);
}

bool Journal::write_new(const std::string& path, const Header& header, std::span<const JournalEntry> entries) {
    unlink(path.c_str());  // of a start that was cut off
    file_.reset(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file_) return fail_with_errno("create");
    fill_random(id_);
    serial_ = header.serial;
    count_ = capacity_ = 0;
    if (!write_at(file_.get(), make_header(header, entries.size(), id_).span(), 0)) return fail_with_errno("write");
    if (!make_room(entries.size())) return false;
    for (; count_ < entries.size(); ++count_)  // each by itself: what is carried over was accepted long ago
        if (!write_entries(entries.subspan(count_, 1))) return false;
    if (fsync(file_.get()) != 0) return fail_with_errno("sync");
    return open_mark();
}

bool Journal::open_mark() {
    if (!mark_) mark_.reset(open((folder_ + mark_file_name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    return mark_ || fail_with_errno("create the mark of");
}

bool Journal::append(std::span<const JournalEntry> entries) {
    if (folder_.empty()) {
        count_ += entries.size();
        return true;
    }
    if (!file_) return false;
    if (!make_room(entries.size()) || !write_entries(entries)) return false;
    if (fdatasync(file_.get()) != 0) return fail_with_errno("sync");
    count_ += entries.size();
    return write_mark(false);
}

bool Journal::write_entries(std::span<const JournalEntry> entries) {
    std::vector<std::uint8_t> bytes;
    bytes.reserve(entries.size() * Block::size);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const Block block = make_entry(entries[i], i, id_, count_ + i);
        bytes.insert(bytes.end(), block.span().begin(), block.span().end());
    }
    return write_at(file_.get(), bytes, (count_ + 1) * Block::size) || fail_with_errno("write");
}

// Behind what is there, so that an append overwrites, which costs a sync a third of what growing costs.
bool Journal::make_room(std::uint64_t entries) {
    while (count_ + entries > capacity_) {
        const std::vector<std::uint8_t> nothing(entries_a_step * Block::size);
        if (!write_at(file_.get(), nothing, (capacity_ + 1) * Block::size)) return fail_with_errno("write");
        capacity_ += entries_a_step;
    }
    return true;
}

// Each time, but without waiting for the disk: what it is for is a file that was lost, not a machine that was.
bool Journal::write_mark(bool durably) {
    if (!write_at(mark_.get(), make_mark({serial_, count_}).span(), 0)) return fail_with_errno("write the mark of");
    return !durably || fsync(mark_.get()) == 0 || fail_with_errno("sync the mark of");
}

// Closes the file: after a failed write or sync nobody knows what is in it.
bool Journal::fail_with_errno(const char* what) {
    problem_ = std::string("cannot ") + what + " " + record_file_name + ": " + std::strerror(errno);
    file_.reset();
    return false;
}

}  // namespace oneknock
