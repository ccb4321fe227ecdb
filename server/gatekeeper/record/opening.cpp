// Opening the record: found sound, made new, or put aside as damaged and made new.
#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "common/files.hpp"
#include "common/secret.hpp"
#include "keys/record_files.hpp"
#include "server/gatekeeper/record/put_aside.hpp"
#include "server/gatekeeper/record/record.hpp"

namespace oneknock {
namespace {

// Too large to be met again by counting or by chance, with room to count on.
std::uint64_t any_serial() {
    Bytes<8> random;
    fill_random(random);
    return load_u64be(random.data()) >> 1;
}

// True if the folder says that this door's record was never begun.
bool is_new_door(const std::string& folder, const DoorId& door) {
    const auto marker = read_file(folder + new_door_name);
    if (!marker) return false;
    auto text = marker->text();
    while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    DoorId found;
    return from_hex(text, found.bytes) && found == door;
}

// True once the folder says so no more, durably: a record that is missing from then on was lost.
bool remove_marker(const std::string& folder) {
    if (unlink((folder + new_door_name).c_str()) != 0) return errno == ENOENT;
    return sync_folder(folder).has_value();
}

}  // namespace

Result<Record> Record::open(const std::string& folder, const DoorId& door, const Now& now, Seconds tolerance,
                            const BootId& boot, Seconds flows_after) {
    using Condition = Journal::Condition;
    const auto give_up = [](const std::string& problem) {
        return fail(ExitCode::cannot_create, "the replay record in the state folder: " + problem +
                                                 "; without it no knock can be accepted. Check the disk and the "
                                                 "folder's owner");
    };
    Record record(folder, flows_after);
    record.boot_ = boot;
    const bool in_memory = folder.empty();
    const auto content = in_memory ? Journal::Content{} : Journal::read(folder);
    if (content.condition == Condition::unreadable) return give_up(content.problem);
    const bool had_marker = !in_memory && is_new_door(folder, door);
    const bool is_missing = content.condition == Condition::missing;
    // A record that continues no other is told from those that were here before, should one of them come back.
    if (content.condition != Condition::sound) record.serial_ = any_serial();
    const bool is_new = in_memory || (is_missing && had_marker && remove_marker(folder));
    if (content.condition == Condition::sound) {
        // One that was cut off between file and mark may be met once: the next file would be two ahead of the mark.
        if (content.is_ahead_of_mark && !record.journal_.mark(content)) return give_up(record.journal_.problem());
        record.take_in(content, now, tolerance);
    } else if (!is_new) {
        if (!is_missing && !put_aside(folder + record_file_name, now.wall))
            return give_up("it is damaged, and cannot be put aside");
        record.lost_ = is_missing ? Loss::missing : Loss::damaged;
        record.damage_ = content.problem;
        record.begin_closed(now, tolerance);
    }
    // Written anew at each start: nothing is ever appended behind what another run may have left half written.
    if (!record.write_anew(record.closed_until_)) return give_up(record.journal_.problem());
    if (had_marker) static_cast<void>(remove_marker(folder));  // beside a record that was begun it means nothing
    return record;
}

void Record::take_in(const Journal::Content& content, const Now& now, Seconds tolerance) {
    serial_ = content.header.serial;
    floor_ = content.header.floor;
    const bool same_boot = content.header.boot == boot_;
    // After a boot nobody knows how much of the window has passed.
    const Instant whole_window = now.steady + Record::window_behind_a_loss(tolerance);
    if (content.header.closed_until != Instant{})
        closed_until_ = same_boot ? std::min(content.header.closed_until, whole_window) : whole_window;
    for (JournalEntry entry : content.entries) {
        if (!same_boot) entry.end = {};
        apply(entry, now.steady);
    }
    undo_.clear();
}

void Record::begin_closed(const Now& now, Seconds tolerance) {
    floor_ = now.wall + tolerance;
    closed_until_ = now.steady + Record::window_behind_a_loss(tolerance);
}

}  // namespace oneknock
