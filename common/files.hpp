// Files read and written whole. Private files are checked on the open descriptor, never by name, and written to a
// new name first, so that a reader sees either nothing or all of it, and a crash leaves nothing half-written.
#pragma once

#include <string>
#include <string_view>

#include "common/bytes.hpp"
#include "common/result.hpp"
#include "common/secret.hpp"

namespace oneknock {

// Larger files are refused: no key or configuration file comes near it.
inline constexpr std::size_t largest_file = std::size_t{1} << 20;

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

// For reading, close-on-exec. A missing file is ExitCode::no_input, a forbidden one ExitCode::permission.
[[nodiscard]] Result<Descriptor> open_to_read(const std::string& path);

// The whole of a secret file: a regular file, owned by this user or root, not accessible to group or others
// (else ExitCode::permission, with the command that mends it), at most `largest_file` bytes. `name` is for messages.
[[nodiscard]] Result<SecretBytes> read_private(int fd, const std::string& name);
[[nodiscard]] Result<SecretBytes> read_private_file(const std::string& path);

// The whole of a file without secrets; "-" is not special here.
[[nodiscard]] Result<SecretBytes> read_file(const std::string& path);

// Creates `path` with mode 0600 and this content, durably (file and folder synced). An existing file is refused with
// ExitCode::cannot_create and stays as it was.
[[nodiscard]] Result<void> create_private_file(const std::string& path, ByteSpan content);

[[nodiscard]] inline ByteSpan as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// "cannot VERB NAME: reason", with the exit code that fits errno.
[[nodiscard]] Error system_error(std::string_view verb, const std::string& name,
                                 ExitCode otherwise = ExitCode::software);

}  // namespace oneknock
