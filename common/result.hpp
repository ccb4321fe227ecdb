// Expected failures are values. An Error says what was tried, what went wrong and what to do about it,
// in a sentence for the person at the terminal; it is printed once, by main, which exits with its code.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace oneknock {

// The exit codes of all programs, after sysexits.h.
enum class ExitCode : int {
    ok = 0,
    usage = 64,          // the command line is wrong
    data = 65,           // a file's content is wrong
    no_input = 66,       // a file is not there
    unavailable = 69,    // a host, a route or a daemon cannot be reached
    software = 70,       // a defect of ours
    system = 71,         // the system lacks something, or has run out of it: memory, descriptors, processes, /proc
    cannot_create = 73,  // a file cannot be written, or exists already
    try_later = 75,      // --wait ran out
    permission = 77,     // a privilege is missing, or a file's mode is too open
    config = 78,         // the configuration is wrong
};

struct Error {
    ExitCode code;
    std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(ExitCode code, std::string message) {
    return tl::unexpected<Error>(Error{code, std::move(message)});
}

}  // namespace oneknock
