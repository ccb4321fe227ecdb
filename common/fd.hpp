// File descriptors: owned, written to whole, and passed to other processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "common/bytes.hpp"
#include "common/result.hpp"

namespace oneknock {

// An open file descriptor, closed at the end of its scope.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() { reset(); }
    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        if (this != &other) reset(other.release());
        return *this;
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
    [[nodiscard]] int release() {
        const int fd = fd_;
        fd_ = -1;
        return fd;
    }
    void reset(int fd = -1);

private:
    int fd_ = -1;
};

// How many bytes came until the end, fewer than there is room for. Nothing: errno says why; EFBIG, if more came.
[[nodiscard]] std::optional<std::size_t> read_to_end(int fd, std::span<std::uint8_t> room);

// Writes all of it, and waits for room where there is none, also on a descriptor that somebody made non-blocking; else
// false, and errno says why.
[[nodiscard]] bool write_all(int fd, ByteSpan content);

// All of it to standard output: a full disk or a closed pipe must not pass for success.
[[nodiscard]] Result<void> write_standard_output(ByteSpan content);
[[nodiscard]] Result<void> print_line(std::string_view line);  // with a line feed

// sendmsg(2) of these bytes with a copy of `passed` (SCM_RIGHTS) over the UNIX socket `socket`, without SIGPIPE.
// `bytes` must not be empty.
[[nodiscard]] ssize_t send_with_descriptor(int socket, ByteSpan bytes, int passed);

// "cannot VERB NAME: reason", with the exit code that fits errno. Of a limit it says how to raise it.
[[nodiscard]] Error system_error(std::string_view verb, const std::string& name, ExitCode otherwise = ExitCode::system);

}  // namespace oneknock
