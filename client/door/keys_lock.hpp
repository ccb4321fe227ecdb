// One command at a time changes the keys in a folder: each reads and writes several files, some after a question.
#pragma once

#include <string>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace oneknock {

// Held while it lives.
class KeysLock {
public:
    // For a moment's work. Waits for another command, and says so.
    [[nodiscard]] static Result<KeysLock> wait_for(const std::string& folder);
    // For work that would start from something else once another command is done: ExitCode::try_later then.
    [[nodiscard]] static Result<KeysLock> take(const std::string& folder);

private:
    explicit KeysLock(Descriptor folder) : folder_(std::move(folder)) {}

    Descriptor folder_;
};

}  // namespace oneknock
