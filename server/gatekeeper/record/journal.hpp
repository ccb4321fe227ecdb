// The replay record's file: an append-only sequence of entries of one size, each with a checksum over its content, its
// place and the file's identity. How far it had got is a fact of its own, kept in a second file (the mark): a file that
// is missing, cut short, older, emptied, or unreadable anywhere before that place is found out, whatever did it.
//
// Durable: what append() has accepted survives a crash and a power cut. A write that was cut off, and so was never
// accepted, is the one thing that may stand unreadable behind the last entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/boot_id.hpp"
#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/protocol/address.hpp"
#include "common/protocol/message.hpp"

namespace oneknock {

// What an entry says. The numbers are the file's.
enum class EntryKind : std::uint8_t {
    used = 1,      // a message: its tag, its time, its client; and the grant that it gave, if it gave one
    closed,        // the client closed the service with a message of this time: its grant for the address ends
    ended,         // the client's grant ended otherwise: revoked, no longer allowed, refused by the firewall
    client_floor,  // messages of the client made at or before this time are refused
    granted,       // a live grant whose message is forgotten, or stands for itself: in files written anew
};

struct JournalEntry {
    EntryKind kind = EntryKind::used;
    std::string client;  // a valid name
    UnixTime time{};
    Tag tag{};          // of `used`
    Service service{};  // of a grant
    Address address{};  // likewise
    Instant end{};      // likewise, on this boot's steady clock; 0: no grant

    static constexpr std::size_t size = 128;  // bytes in the file
};

class Journal {
public:
    struct Header {
        std::uint64_t serial = 0;  // one more than the file's before it
        UnixTime floor{};
        Instant closed_until{};  // where a record was lost: by the steady clock of `boot`; 0: not closed
        BootId boot{};
    };
    enum class Condition : std::uint8_t { sound, missing, damaged, unreadable };
    struct Content {
        Condition condition = Condition::missing;
        std::string problem;  // of one that is not sound: in words
        Header header;
        std::vector<JournalEntry> entries;
        bool is_ahead_of_mark = false;  // of a sound one: the mark is still that of the file before
    };
    // What is in `folder` (ending in '/').
    [[nodiscard]] static Content read(const std::string& folder);

    Journal() = default;
    // In memory only if `folder` is empty: then there are no files, and nothing fails.
    explicit Journal(std::string folder) : folder_(std::move(folder)) {}

    // Durably: the mark is that of what read() found. False: problem() says why.
    [[nodiscard]] bool mark(const Content& content);

    // Begins a new file with these entries in the place of whatever is there. False: problem() says why, and what was
    // there is as it was.
    [[nodiscard]] bool renew(const Header& header, std::span<const JournalEntry> entries);

    // All of them, durably. False: problem() says why; none of them counts, and renew() must come before the next.
    [[nodiscard]] bool append(std::span<const JournalEntry> entries);
    [[nodiscard]] bool must_be_renewed() const { return !folder_.empty() && !file_; }

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] const std::string& problem() const { return problem_; }

private:
    [[nodiscard]] bool write_new(const std::string& path, const Header& header, std::span<const JournalEntry> entries);
    [[nodiscard]] bool write_entries(std::span<const JournalEntry> entries);
    [[nodiscard]] bool make_room(std::uint64_t entries);
    [[nodiscard]] bool open_mark();
    [[nodiscard]] bool write_mark(bool durably);
    bool fail_with_errno(const char* what);

    std::string folder_;
    Descriptor file_, mark_;
    Bytes<16> id_{};  // of the file: the key of its checksums
    std::uint64_t serial_ = 0;
    std::uint64_t count_ = 0;     // entries
    std::uint64_t capacity_ = 0;  // entries that the file has room for
    std::string problem_;
};

}  // namespace oneknock
