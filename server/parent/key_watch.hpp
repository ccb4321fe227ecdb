// Notices when the door's file or one of the clients' folder changes, or that folder is replaced by another of its
// name.
#pragma once

#include <string>

#include "common/fd.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock {

class KeyWatch {
public:
    [[nodiscard]] static Result<KeyWatch> open(const DaemonConfig& config);

    [[nodiscard]] int descriptor() const { return fd_.get(); }  // readable when there is news; non-blocking
    [[nodiscard]] bool changed();                               // reads the news

private:
    KeyWatch(Descriptor fd, std::string folder, std::string door)
        : fd_(std::move(fd)), folder_(std::move(folder)), door_(std::move(door)) {}
    [[nodiscard]] bool follow();  // the folder that has the name now

    Descriptor fd_;
    std::string folder_, door_;
    int in_folder_ = -1;  // inotify's numbers of the watches: two may be one
    int beside_it_ = -1;
    int beside_door_ = -1;
};

}  // namespace oneknock
