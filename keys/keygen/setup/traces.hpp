// What setup has done so far, and how each of it is undone.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/result.hpp"
#include "keys/config/daemon_config.hpp"
#include "keys/keygen/folder/door_folder.hpp"

namespace oneknock::keygen {

class Traces {
public:
    Traces() = default;
    ~Traces() { undo(); }
    Traces(const Traces&) = delete;
    Traces& operator=(const Traces&) = delete;

    // Last in, first undone. What cannot be undone is said, and the rest goes on.
    void add(std::function<Result<void>()> undo) { undoings_.push_back(std::move(undo)); }
    bool undo();  // false: some of it is left
    void keep() { undoings_.clear(); }

private:
    std::vector<std::function<Result<void>()>> undoings_;
};

// Removes what there is of these files and empty folders. One that is not empty holds something of others, and stays.
[[nodiscard]] Result<void> remove_paths(const std::vector<std::string>& paths);

// What is there before a door is made and its daemon started, and what they make beside it: the door's folder and its
// three names, what the daemon keeps in the state folder, its socket and lock. Only what was not there before goes.
class DoorTraces {
public:
    DoorTraces(const DoorFolder& folder, const std::string& state, const std::string& socket, std::string table);

    // Removes all of it but for what was there.
    [[nodiscard]] Result<void> remove() const;

private:
    std::string table_;
    std::vector<std::string> locks_;  // that were there
    std::vector<std::string> paths_;  // that were not there; folders behind what is in them
};

}  // namespace oneknock::keygen
