// One command at a time changes the keys in a folder: each reads and writes several files, some after a question.
// Whoever has the lock of the folder of imported doors has it without the hidden files that killed commands have left
// there, which may hold secrets; so who writes there, whatever it is, must have it.
#pragma once

#include <string>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace oneknock {

// Held while it lives; or not at all, where the file system has no locks for folders, or another process holds that of
// a folder which other users may read.
class KeysLock {
public:
    // For a moment's work. Waits for another command, and says so.
    [[nodiscard]] static Result<KeysLock> wait_for(const std::string& folder);
    // For work that would start from something else once another command is done: ExitCode::try_later then.
    [[nodiscard]] static Result<KeysLock> take(const std::string& folder);

private:
    KeysLock(Descriptor folder, const std::string& path, bool is_held);

    Descriptor folder_;
};

}  // namespace oneknock
