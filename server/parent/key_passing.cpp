#include "server/parent/key_passing.hpp"

#include <algorithm>
#include <cerrno>
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
constexpr std::string_view extension = ".json";
const std::string door_name;  // no file has an empty name

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * second_ns + time.tv_nsec; }

// The end of a long path is what tells files apart. It begins with a whole character.
PassedKeyFile announcement(const std::string& path, bool is_door) {
    PassedKeyFile message;
    message.is_door = is_door;
    const std::string shown = printable(path);
    std::string_view end = shown;
    while (end.size() > PassedKeyFile::longest_name) end.remove_prefix(utf8_length(end));
    std::ranges::copy(end, message.name);
    return message;
}

}  // namespace

void KeyPassing::begin(RequestId last_request) {
    state_ = State::more;
    ++load_;
    last_request_ = last_request;
    door_was_seen_ = folder_was_seen_ = false;
    still_there_ = 0;
    next_known_ = known_.begin();
    ready_.reset();
    passed_.clear();
    missing_.clear();
}

Result<void> KeyPassing::step(Channel& gatekeeper) {
    state_ = State::more;
    for (int looks = 0; looks < looks_a_slice && state_ == State::more; ++looks) {
        if (ready_) {
            pass(gatekeeper);
        } else if (folder_was_seen_ && (still_there_ == known_.size() || next_known_ == known_.end())) {
            end(gatekeeper, true);
        } else if (const auto looked = folder_was_seen_ ? look_for_next_known(gatekeeper) : look(); !looked) {
            end(gatekeeper, false);
            return looked;
        }
    }
    return {};
}

Result<void> KeyPassing::look() {
    if (door_was_seen_) return look_at_next_client();
    door_was_seen_ = true;
    struct stat info {};
    if (stat(door_path_.c_str(), &info) == 0 && is_as_it_was(door_name, info)) return {};
    return open(AT_FDCWD, door_path_.c_str(), door_name);
}

Result<void> KeyPassing::look_at_next_client() {
    errno = 0;
    if (!folder_) folder_.reset(opendir(folder_path_.c_str()));
    const dirent* entry = folder_ ? readdir(folder_.get()) : nullptr;
    if (entry == nullptr) {
        folder_was_seen_ = folder_ != nullptr && errno == 0;
        if (folder_was_seen_) return {};
        return tl::unexpected(system_error("read the clients' directory", folder_path_, ExitCode::no_input));
    }
    if (!is_client_file(entry->d_name)) return {};
    const auto looked = look_at_client(entry->d_name);  // one that is not there any more was removed just now
    return looked ? Result<void>{} : tl::unexpected(looked.error());
}

// A file that is replaced while the folder is read may not be listed at all: what is gone was looked for by its name.
Result<void> KeyPassing::look_for_next_known(Channel& gatekeeper) {
    const auto& [name, known] = *next_known_++;
    if (known.seen_in == load_ || name == door_name) return {};
    const auto is_there = look_at_client(name);
    if (!is_there) return tl::unexpected(is_there.error());
    if (*is_there) return {};
    MissingKeyFile message;
    name.copy(message.client, std::min(longest_name, name.size() - extension.size()));
    gatekeeper.send(message, SIZE_MAX);
    missing_.push_back(name);
    return {};
}

Result<bool> KeyPassing::look_at_client(const std::string& name) {
    struct stat info {};
    const int folder = dirfd(folder_.get());
    if (fstatat(folder, name.c_str(), &info, 0) == 0 && is_as_it_was(name, info)) return true;
    if (fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) return false;
    const auto opened = open(folder, name.c_str(), name);
    return opened ? Result<bool>(true) : tl::unexpected(opened.error());
}

bool KeyPassing::is_as_it_was(const std::string& name, const struct stat& info) {
    const auto known = known_.find(name);
    if (known == known_.end()) return false;
    if (std::exchange(known->second.seen_in, load_) != load_) ++still_there_;
    const auto stamp = stamp_of(info);
    return stamp && stamp == known->second.stamp;
}

Result<void> KeyPassing::open(int folder, const char* at, std::string name) {
    const std::string path = name == door_name ? door_path_ : (std::filesystem::path(folder_path_) / name).string();
    Descriptor file(openat(folder, at, O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a FIFO must not block us
    struct stat info {};
    if (!file || fstat(file.get(), &info) != 0) return tl::unexpected(system_error("open", path, ExitCode::no_input));
    // A folder's descriptor would be a way out of the gatekeeper's root folder.
    if (!S_ISREG(info.st_mode)) return fail(ExitCode::data, printable(path) + ": not a regular file; take it away");
    ready_ = Ready{announcement(path, name == door_name), std::move(file), {std::move(name), stamp_of(info)}};
    return {};
}

std::optional<KeyPassing::Stamp> KeyPassing::stamp_of(const struct stat& info) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const std::int64_t changed = nanoseconds(info.st_ctim);
    if (changed > nanoseconds(now) - settled_after_ns) return std::nullopt;
    return Stamp{info.st_dev, info.st_ino, info.st_size, changed};
}

void KeyPassing::pass(Channel& gatekeeper) {
    if (!gatekeeper.try_send_with(datagram_of(ready_->message), ready_->file.get())) {
        state_ = State::channel_full;
        return;
    }
    if (ready_->message.is_door) ++doors_passed_;
    passed_.push_back(std::move(ready_->passed));
    ready_.reset();
}

void KeyPassing::end(Channel& gatekeeper, bool is_whole) {
    KeyFilesEnd end;
    end.is_whole = is_whole;
    end.count = static_cast<std::uint32_t>(passed_.size() + missing_.size());
    end.last_request = last_request_;
    gatekeeper.send(end, SIZE_MAX);  // one a load: never dropped for lack of room
    folder_.reset();
    state_ = State::awaiting_answer;
}

void KeyPassing::on_answer(bool taken) {
    state_ = State::idle;
    if (!taken) return;
    for (Passed& passed : passed_) known_.insert_or_assign(std::move(passed.name), Known{passed.stamp, load_});
    for (const std::string& name : missing_) known_.erase(name);
    passed_ = {};
    missing_ = {};
}

}  // namespace oneknock
