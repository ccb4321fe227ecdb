// Notices at once when the door's file or a file in the clients' folder changes, or when one of their paths leads
// elsewhere: a folder on the way is replaced by another of its name, or a link is pointed at something else.
//
// It is not to be relied on alone: what is mounted over a path, changed by another machine, or renamed in a folder
// where anybody may write (which is not watched) never shows here. KeyPassing::has_changed() looks for that.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/fd.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock {

class KeyWatch {
public:
    [[nodiscard]] static Result<KeyWatch> open(const DaemonConfig& config);

    // Watches what has the names now, and what these links lead to. To be called before each load, which then finds
    // whatever was changed before.
    void follow(const std::vector<std::string>& links);

    [[nodiscard]] int descriptor() const { return fd_.get(); }  // readable when there is news; non-blocking
    [[nodiscard]] bool changed();                               // reads the news

private:
    KeyWatch(Descriptor fd, std::string folder, std::string door)
        : fd_(std::move(fd)), folder_(std::move(folder)), door_(std::move(door)) {}
    void follow_path(const std::string& path, int most_links);
    void follow_name(const std::string& path, std::uint32_t events);

    Descriptor fd_;
    std::string folder_, door_;
    int in_folder_ = -1;                           // inotify's number of the watch
    std::map<int, std::set<std::string>> beside_;  // by that of a folder: the names in it that count
};

}  // namespace oneknock
