// Secrets in memory: locked against swapping, fenced by guard pages, left out of core dumps, wiped when given back.
//
// Secret32 is the only form in which a 32-byte secret lives: move-only, no output operator, compared in constant
// time. All of a process's Secret32 share one arena of locked pages (a page of its own for each of 100,000 clients
// would not fit any limit). SecretBytes is for larger, short-lived contents such as a key file.
//
// Memory that cannot be locked is an error, never a warning: the constructors throw LockedMemoryError, which main
// turns into a sentence about RLIMIT_MEMLOCK.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>

namespace oneknock {

struct LockedMemoryError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Prepares libsodium, and takes all of the locked memory that this process may have; must have returned before anything
// else of this library is used. Aborts if it cannot.
void initialise_crypto();

// Overwrites memory in a way the compiler does not remove.
void wipe(void* memory, std::size_t size);

// Overwrites what was left behind by whoever has just handled a secret: on the stack below the caller (libsodium's
// BLAKE2b leaves its answer there, which may be a key), and in the registers of the processor (they are stored on the
// stack whenever the dynamic linker looks up a function of some library for the first time). Registers only as far as
// the compiler can: GCC from 11 on, not clang 14.
void wipe_traces();

// Uniform random bytes from the kernel.
void fill_random(std::span<std::uint8_t> bytes);
[[nodiscard]] std::uint32_t random_below(std::uint32_t bound);

class Secret32 {
public:
    static constexpr std::size_t size = 32;

    Secret32();  // all zero
    ~Secret32();
    Secret32(Secret32&& other) noexcept;
    Secret32& operator=(Secret32&& other) noexcept;
    Secret32(const Secret32&) = delete;
    Secret32& operator=(const Secret32&) = delete;

    // So many more can be made from now on without failing. Throws if that cannot be promised.
    static void make_room(std::size_t count);

    [[nodiscard]] static Secret32 random();
    [[nodiscard]] static Secret32 from(std::span<const std::uint8_t, size> bytes);
    [[nodiscard]] Secret32 copy() const { return from(bytes()); }

    [[nodiscard]] std::span<std::uint8_t, size> bytes() { return std::span<std::uint8_t, size>{slot_, size}; }
    [[nodiscard]] std::span<const std::uint8_t, size> bytes() const {
        return std::span<const std::uint8_t, size>{slot_, size};
    }
    [[nodiscard]] const std::uint8_t* data() const { return slot_; }

    // In constant time.
    [[nodiscard]] bool equals(const Secret32& other) const;

private:
    std::uint8_t* slot_;  // in the arena; null only after a move
};

class SecretBytes {
public:
    explicit SecretBytes(std::size_t size);
    ~SecretBytes();
    SecretBytes(SecretBytes&& other) noexcept;
    SecretBytes& operator=(SecretBytes&& other) noexcept;
    SecretBytes(const SecretBytes&) = delete;
    SecretBytes& operator=(const SecretBytes&) = delete;

    [[nodiscard]] std::span<std::uint8_t> bytes() { return {data_, size_}; }
    [[nodiscard]] std::span<const std::uint8_t> bytes() const { return {data_, size_}; }
    [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
    void shrink(std::size_t size);  // at most the present size

private:
    std::uint8_t* data_;  // null only after a move
    std::size_t size_;
    std::size_t room_;  // the size at first
};

// Base64 of a secret (RFC 4648 with padding, 44 characters), straight into and out of locked memory.
[[nodiscard]] bool secret_from_base64(std::string_view text, Secret32& secret);
inline constexpr std::size_t base64_secret_length = 44;
void secret_to_base64(const Secret32& secret, std::span<char, base64_secret_length> text);

}  // namespace oneknock
