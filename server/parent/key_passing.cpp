#include "server/parent/key_passing.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include "common/text.hpp"
#include "keys/keyring.hpp"

namespace oneknock {
namespace {

constexpr int looks_a_slice = 200;  // some 0.3 ms
constexpr std::int64_t second_ns = 1'000'000'000;
// The clock of a file system may tick slowly, or be another machine's.
constexpr std::int64_t settled_after_ns = 2 * second_ns;
// A change is acted on within 5 s, also on a busy machine.
constexpr Instant look_every = Seconds{3};
// The more files there are, the oftener, up to this.
constexpr Instant look_at_most_every = std::chrono::milliseconds{300};
const std::string door_name;  // no file has an empty name

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * second_ns + time.tv_nsec; }

// The end of a long path is what tells files apart. It begins with a whole character.
void put_name(const std::string& path, FileName& name) {
    const std::string shown = printable(path);
    std::string_view end = shown;
    while (end.size() > longest_file_name) end.remove_prefix(utf8_length(end));
    std::ranges::copy(end, name);
}

bool is_gone(int error) { return error == ENOENT || error == ENOTDIR; }

// What was wrong with the file itself stays so until it is changed; the rest, such as a lack of memory, may pass.
bool lies_in_the_file(int error) { return error == EACCES || error == ENXIO || error == ELOOP || is_gone(error); }

}  // namespace

void KeyPassing::begin(RequestId last_request, bool asked) {
    state_ = State::more;
    ++load_;
    last_request_ = last_request;
    asked_ = asked;
    count_ = 0;
    door_was_seen_ = folder_was_seen_ = false;
    folder_error_ = 0;
    still_there_ = 0;
    next_known_ = known_.begin();
    ready_.reset();
    told_.clear();
    missing_.clear();
    links_.clear();
}

void KeyPassing::step(Channel& gatekeeper) {
    state_ = State::more;
    for (int looks = 0; looks < looks_a_slice && state_ == State::more; ++looks) {
        if (ready_) pass(gatekeeper);
        else look(gatekeeper);
    }
}

void KeyPassing::look(Channel& gatekeeper) {
    if (!door_was_seen_) return look_at_door(gatekeeper);
    if (!folder_was_seen_) return folder_ ? look_at_next_client(gatekeeper) : open_folder(gatekeeper);
    if (still_there_ == known_.size() || next_known_ == known_.end()) return end(gatekeeper);
    look_for_next_known(gatekeeper);
}

void KeyPassing::look_at_door(Channel& gatekeeper) {
    door_was_seen_ = true;
    if (is_as_it_was(door_name, look_at(AT_FDCWD, door_path_.c_str()))) return;
    open(AT_FDCWD, door_path_.c_str(), door_name, gatekeeper);
}

// Looked at before it is read: what changes meanwhile is seen by the next look.
void KeyPassing::open_folder(Channel& gatekeeper) {
    folder_seen_now_ = settled(look_at(AT_FDCWD, folder_path_.c_str()));
    folder_.reset(opendir(folder_path_.c_str()));
    if (folder_) return;
    folder_error_ = errno;
    folder_was_seen_ = true;
    UnopenedKeyFile message;
    message.error = folder_error_;
    message.place = UnopenedKeyFile::Place::folder;
    put_name(folder_path_, message.name);
    gatekeeper.send(message, SIZE_MAX);
    ++count_;
}

void KeyPassing::look_at_next_client(Channel& gatekeeper) {
    const dirent* entry = readdir(folder_.get());
    if (entry == nullptr) folder_was_seen_ = true;  // should it be an error: the rest is looked for by name
    if (entry == nullptr || !is_client_file(entry->d_name)) return;
    if (entry->d_type == DT_LNK && links_.size() < most_links) links_.push_back(path_of(entry->d_name));
    look_at_client(entry->d_name, gatekeeper);  // one that is not there any more was removed just now
}

// A file that is replaced while the folder is read may not be listed at all: what is gone was looked for by its name.
void KeyPassing::look_for_next_known(Channel& gatekeeper) {
    const auto& [name, known] = *next_known_++;
    if (known.seen_in == load_ || name == door_name) return;
    if (folder_ ? !look_at_client(name, gatekeeper) : is_gone(folder_error_)) return tell_missing(name, gatekeeper);
    if (!folder_) tell_unopened(name, folder_error_, std::nullopt, gatekeeper);
}

bool KeyPassing::look_at_client(const std::string& name, Channel& gatekeeper) {
    const int folder = dirfd(folder_.get());
    struct stat info {};
    const Seen seen = look_at(folder, name.c_str());
    if (seen.error == ENOENT && fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
    if (!is_as_it_was(name, seen)) open(folder, name.c_str(), name, gatekeeper);
    return true;
}

bool KeyPassing::is_as_it_was(const std::string& name, const Seen& seen) {
    const auto known = known_.find(name);
    if (known == known_.end()) return false;
    if (std::exchange(known->second.seen_in, load_) != load_) ++still_there_;
    return known->second.seen == seen;
}

void KeyPassing::open(int folder, const char* at, const std::string& name, Channel& gatekeeper) {
    Descriptor file(openat(folder, at, O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a FIFO must not block us
    const int error = file ? 0 : errno;
    struct stat info {};
    if (!file || fstat(file.get(), &info) != 0) {
        const auto seen = lies_in_the_file(error) ? settled(look_at(folder, at)) : std::nullopt;
        return tell_unopened(name, error != 0 ? error : EIO, seen, gatekeeper);
    }
    const auto seen = settled(seen_of(info));
    // A folder's descriptor would be a way out of the gatekeeper's root folder.
    if (!S_ISREG(info.st_mode)) return tell_unopened(name, 0, seen, gatekeeper);
    ready_ = Ready{{}, std::move(file), {name, seen}};
    ready_->message.is_door = name == door_name;
    put_name(path_of(name), ready_->message.name);
}

void KeyPassing::tell_unopened(const std::string& name, int error, const std::optional<Seen>& seen,
                               Channel& gatekeeper) {
    UnopenedKeyFile message;
    message.error = error;
    message.place = name == door_name ? UnopenedKeyFile::Place::door : UnopenedKeyFile::Place::client;
    put_name(path_of(name), message.name);
    gatekeeper.send(message, SIZE_MAX);
    ++count_;
    told_.push_back({name, seen});
}

void KeyPassing::tell_missing(const std::string& name, Channel& gatekeeper) {
    MissingKeyFile message;
    put_name(path_of(name), message.name);
    gatekeeper.send(message, SIZE_MAX);
    ++count_;
    missing_.push_back(name);
}

std::string KeyPassing::path_of(const std::string& name) const {
    return name == door_name ? door_path_ : (std::filesystem::path(folder_path_) / name).string();
}

KeyPassing::Seen KeyPassing::look_at(int folder, const char* path) {
    struct stat info {};
    return fstatat(folder, path, &info, 0) == 0 ? seen_of(info) : Seen{errno};
}

KeyPassing::Seen KeyPassing::seen_of(const struct stat& info) {
    return {0, info.st_dev, info.st_ino, info.st_size, nanoseconds(info.st_ctim)};
}

// A time ahead of the clock is no moment ago: where the clock is wrong, all files may be of such times.
std::optional<KeyPassing::Seen> KeyPassing::settled(const Seen& seen) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    if (seen.error == 0 && std::abs(nanoseconds(now) - seen.changed_ns) < settled_after_ns) return std::nullopt;
    return seen;
}

void KeyPassing::pass(Channel& gatekeeper) {
    if (!gatekeeper.try_send_with(datagram_of(ready_->message), ready_->file.get())) {
        state_ = State::channel_full;
        return;
    }
    if (ready_->message.is_door) ++doors_passed_;
    ++count_;
    told_.push_back(std::move(ready_->told));
    ready_.reset();
}

void KeyPassing::end(Channel& gatekeeper) {
    KeyFilesEnd end;
    end.count = count_;
    end.last_request = last_request_;
    end.asked = asked_;
    gatekeeper.send(end, SIZE_MAX);  // one a load: never dropped for lack of room
    folder_.reset();
    state_ = State::awaiting_answer;
}

void KeyPassing::on_answer(bool taken) {
    state_ = State::idle;
    if (!taken) return;
    folder_seen_ = folder_seen_now_;
    for (Told& told : told_) known_.insert_or_assign(std::move(told.name), Known{told.seen, load_});
    for (const std::string& name : missing_) known_.erase(name);
    told_ = {};
    missing_ = {};
}

// --- between loads --------------------------------------------------------------------------------------------------

bool KeyPassing::has_changed() {
    const auto door = known_.find(door_name);
    if (door == known_.end() || door->second.seen != look_at(AT_FDCWD, door_path_.c_str())) return true;
    if (folder_seen_ != look_at(AT_FDCWD, folder_path_.c_str())) return true;
    const Descriptor folder(::open(folder_path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    return folder && has_a_file_changed(folder.get());
}

bool KeyPassing::has_a_file_changed(int folder) {
    std::size_t looks = 0;
    for (std::size_t i = 0; i < known_.bucket_count() && looks < looks_a_time; ++i) {
        if (next_bucket_ >= known_.bucket_count()) next_bucket_ = 0;
        for (auto known = known_.begin(next_bucket_); known != known_.end(next_bucket_); ++known) {
            if (known->first == door_name) continue;
            if (known->second.seen != look_at(folder, known->first.c_str())) return true;
            ++looks;
        }
        ++next_bucket_;
    }
    return false;
}

Instant KeyPassing::look_interval() const {
    const auto times = static_cast<Instant::rep>((known_.size() + looks_a_time - 1) / looks_a_time);
    return std::max(look_every / std::max<Instant::rep>(times, 1), look_at_most_every);
}

}  // namespace oneknock
