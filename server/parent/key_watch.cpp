#include "server/parent/key_watch.hpp"

#include <filesystem>
#include <system_error>
#include <utility>

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace oneknock {
namespace {

namespace fs = std::filesystem;

// A mode that was mended counts as well: the daemon asked for it.
constexpr std::uint32_t changes = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB;
constexpr std::uint32_t names = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;
constexpr int most_links_in_a_path = 8;

// Such as /tmp: what comes and goes there would wake us, be it only to annoy.
bool may_be_written_by_anybody(const fs::path& folder) {
    struct stat info {};
    return stat(folder.c_str(), &info) == 0 && (info.st_mode & S_IWOTH) != 0;
}

}  // namespace

Result<KeyWatch> KeyWatch::open(const DaemonConfig& config) {
    auto folder = fs::path(config.clients).lexically_normal();
    if (!folder.has_filename()) folder = folder.parent_path();  // written with a slash at its end
    KeyWatch watch(Descriptor(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)), folder.string(), config.door);
    if (!watch.fd_) return tl::unexpected(system_error("watch", config.clients));
    watch.follow({});
    return watch;
}

// A watch that cannot be had is done without: the files are looked at anyway.
void KeyWatch::follow(const std::vector<std::string>& links) {
    const auto before = std::exchange(beside_, {});
    const int folder_before = in_folder_;
    in_folder_ = inotify_add_watch(fd_.get(), folder_.c_str(), changes | IN_ONLYDIR | IN_MASK_ADD);
    follow_path(folder_, most_links_in_a_path);
    follow_path(door_, most_links_in_a_path);
    for (const std::string& link : links) follow_path(link, most_links_in_a_path);
    const auto give_up = [&](int watch) {
        if (watch >= 0 && watch != in_folder_ && !beside_.contains(watch)) inotify_rm_watch(fd_.get(), watch);
    };
    give_up(folder_before);
    for (const auto& [watch, of] : before)
        if (watch != folder_before) give_up(watch);
}

// Every name on the way may become another's, and so may those on the way of a link.
void KeyWatch::follow_path(const std::string& path, int most_links) {
    std::error_code error;
    const fs::path whole = fs::absolute(path, error).lexically_normal();
    for (fs::path at = whole; at.has_relative_path(); at = at.parent_path()) {
        follow_name(at.string(), at == whole ? changes | names : names);
        const auto target = most_links > 0 ? fs::read_symlink(at, error) : fs::path();
        if (!target.empty()) follow_path((at.parent_path() / target).string(), most_links - 1);
    }
}

// Where two of them are in one folder, the mask of its one watch grows.
void KeyWatch::follow_name(const std::string& path, std::uint32_t events) {
    const fs::path at(path);
    if (may_be_written_by_anybody(at.parent_path())) return;
    const int watch = inotify_add_watch(fd_.get(), at.parent_path().c_str(), events | IN_ONLYDIR | IN_MASK_ADD);
    if (watch >= 0) beside_[watch].insert(at.filename().string());
}

bool KeyWatch::changed() {
    alignas(inotify_event) char buffer[4096];
    bool any = false;
    for (ssize_t got = 0; (got = read(fd_.get(), buffer, sizeof buffer)) > 0;) {
        const inotify_event* event = nullptr;
        for (ssize_t at = 0; at < got; at += static_cast<ssize_t>(sizeof *event + event->len)) {
            event = reinterpret_cast<const inotify_event*>(buffer + at);
            const auto beside = beside_.find(event->wd);
            if ((event->mask & IN_IGNORED) != 0) continue;  // the end of a watch that was given up
            // Below zero: the kernel lost count, and a change may be among what was lost.
            if (event->wd < 0 || event->wd == in_folder_) any = true;
            else if (event->len > 0 && beside != beside_.end() && beside->second.contains(event->name)) any = true;
        }
    }
    return any;
}

}  // namespace oneknock
