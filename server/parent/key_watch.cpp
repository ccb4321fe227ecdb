#include "server/parent/key_watch.hpp"

#include <cstdint>
#include <filesystem>

#include <sys/inotify.h>
#include <unistd.h>

namespace oneknock {

Result<KeyWatch> KeyWatch::open(const DaemonConfig& config) {
    auto folder = std::filesystem::path(config.clients).lexically_normal();
    if (!folder.has_filename()) folder = folder.parent_path();  // written with a slash at its end
    KeyWatch watch(Descriptor(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)), folder.string(), config.door);
    if (!watch.fd_ || !watch.follow()) return tl::unexpected(system_error("watch", config.clients));
    return watch;
}

bool KeyWatch::follow() {
    // A mode that was mended counts as well: the daemon asked for it.
    constexpr std::uint32_t changes = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB;
    if (in_folder_ >= 0) inotify_rm_watch(fd_.get(), in_folder_);
    in_folder_ = inotify_add_watch(fd_.get(), folder_.c_str(), changes | IN_ONLYDIR);
    const auto parent = std::filesystem::path(folder_).parent_path();
    beside_it_ =
        inotify_add_watch(fd_.get(), parent.empty() ? "." : parent.c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
    // The same watch as the last one where the door's file lies beside the clients' folder: its mask grows.
    const auto of_door = std::filesystem::path(door_).parent_path();
    beside_door_ = inotify_add_watch(fd_.get(), of_door.empty() ? "." : of_door.c_str(),
                                     IN_CLOSE_WRITE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR | IN_MASK_ADD);
    return in_folder_ >= 0 && beside_door_ >= 0;
}

bool KeyWatch::changed() {
    alignas(inotify_event) char buffer[4096];
    const std::string name = std::filesystem::path(folder_).filename(), door = std::filesystem::path(door_).filename();
    bool any = false, replaced = false;
    for (ssize_t got = 0; (got = read(fd_.get(), buffer, sizeof buffer)) > 0;) {
        const inotify_event* event = nullptr;
        for (ssize_t at = 0; at < got; at += static_cast<ssize_t>(sizeof *event + event->len)) {
            event = reinterpret_cast<const inotify_event*>(buffer + at);
            const std::string_view of = event->len > 0 ? event->name : "";
            if (event->wd < 0) replaced = true;  // the kernel lost count: that may be among what was lost
            else if (event->wd == in_folder_) any = true;
            else if (event->wd == beside_door_ && of == door) any = true;
            else if (event->wd == beside_it_ && of == name) replaced = true;
        }
    }
    if (replaced) static_cast<void>(follow());  // where that fails, the load that follows says why
    return any || replaced;
}

}  // namespace oneknock
