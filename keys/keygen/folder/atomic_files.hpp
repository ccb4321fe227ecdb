// Making files and folders so that a command leaves either all of its work behind or none of it.
#pragma once

#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "common/files.hpp"
#include "common/result.hpp"

namespace oneknock::keygen {

// Whether anything has this name, be it a dangling link.
[[nodiscard]] bool path_exists(const std::string& path);

// Mode 0700, durably; what fails leaves nothing. Refuses an existing one.
[[nodiscard]] Result<void> make_private_folder(const std::string& path);

// Mode 0600, under this very name: whatever stops it leaves a part of a file, but never one of another name. Refuses an
// existing one. Durable once its folder is synced.
[[nodiscard]] Result<void> write_new_file(const std::string& path, ByteSpan content);

// Renames a file or a folder, durably and in one step; what fails leaves it under its old name. Refuses an existing
// `to`.
[[nodiscard]] Result<void> rename_noreplace(const std::string& from, const std::string& to);

// What a command has made so far. It goes away again unless the command gets to keep().
class Undo {
public:
    Undo() = default;
    ~Undo();
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;

    void made(const std::string& path) { paths_.push_back(path); }
    void keep() { paths_.clear(); }

private:
    std::vector<std::string> paths_;
};

}  // namespace oneknock::keygen
