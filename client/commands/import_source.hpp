// What `oneknock import` is given: a key file, a sealed key of a QR code, or a key that was sealed for this machine.
#pragma once

#include <optional>
#include <string>

#include "client/options/options.hpp"
#include "common/result.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

// How a key came that was sealed for this machine (keys/enrolment).
struct SealedAs {
    std::string words;
    std::string enrolment;  // the path of the half that has opened it
};

struct Brought {
    StoredKey key;
    std::optional<SealedAs> sealed;
};

// `folder` is that of imported doors. Changes nothing.
[[nodiscard]] Result<Brought> read_brought(const ImportOptions& options, const std::string& folder);

// Standard input, or what a shell's <(COMMAND) stands for: it is read once, and nothing of it is left.
[[nodiscard]] bool is_piped(const std::string& file);

}  // namespace oneknock
