#include "common/secret.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <sodium.h>
#include <sys/mman.h>
#include <sys/resource.h>

namespace oneknock {
namespace {

// sodium_malloc takes 16 bytes of its first page for a canary, so this asks for exactly one page.
constexpr std::size_t page_payload = 4096 - 16;
constexpr std::size_t largest_slab = std::size_t{1} << 20;

[[noreturn]] void cannot(const std::string& verb, std::size_t size, const char* cure) {
    const std::string why = std::strerror(errno);
    throw LockedMemoryError("cannot " + verb + " " + std::to_string(size) + " bytes of memory for secrets: " + why +
                            cure);
}

[[noreturn]] void cannot_lock(std::size_t size) {
    cannot("lock", size, "; raise the limit (ulimit -l, or LimitMEMLOCK= in the unit)");
}

// sodium_malloc tries to lock but does not say whether it could; locking again is free and does.
std::uint8_t* locked_allocate(std::size_t size) {
    auto* memory = static_cast<std::uint8_t*>(sodium_malloc(size));
    if (memory == nullptr) cannot("get", size, "");
    if (mlock(memory, size) != 0) {
        const int reason = errno;
        sodium_free(memory);
        errno = reason;
        cannot_lock(size);
    }
    sodium_memzero(memory, size);
    return memory;
}

// sodium_free wipes as well, but takes the guard pages away before.
void locked_free(std::uint8_t* memory, std::size_t size) {
    sodium_memzero(memory, size);
    sodium_free(memory);
}

// Slots of 32 bytes in slabs that double in size up to 1 MiB. Slabs are never given back: a process that once held
// that many keys will hold them again after a reload.
class Arena {
public:
    std::uint8_t* take() {
        if (free_.empty()) grow();
        std::uint8_t* slot = free_.back();
        free_.pop_back();
        return slot;
    }

    void make_room(std::size_t slots) {
        while (free_.size() < slots) grow();
    }

    void give_back(std::uint8_t* slot) {
        sodium_memzero(slot, Secret32::size);
        free_.push_back(slot);  // capacity reserved by grow: cannot throw
    }

private:
    void grow() {
        const std::size_t slots = next_size_ / Secret32::size;
        free_.reserve(total_ + slots);
        std::uint8_t* slab = locked_allocate(slots * Secret32::size);
        for (std::size_t i = slots; i > 0; --i) free_.push_back(slab + (i - 1) * Secret32::size);
        total_ += slots;
        next_size_ = std::min(next_size_ * 2, largest_slab);
    }

    std::vector<std::uint8_t*> free_;
    std::size_t total_ = 0;
    std::size_t next_size_ = page_payload;
};

// Blocks of one page for short contents. The last one given back is kept: making one costs a dozen system calls, and a
// daemon that reads its clients' key files needs one for each.
class Page {
public:
    std::uint8_t* take() {
        if (spare_ == nullptr) return locked_allocate(page_payload);
        if (mlock(spare_, page_payload) != 0) cannot_lock(page_payload);  // again: a fork may have undone it
        return std::exchange(spare_, nullptr);
    }

    void give_back(std::uint8_t* page) {
        sodium_memzero(page, page_payload);
        if (std::uint8_t* const surplus = std::exchange(spare_, page))
            sodium_free(surplus);  // wiped when it became the spare
    }

private:
    std::uint8_t* spare_ = nullptr;
};

Page& page() {
    static Page* const instance = new Page;
    return *instance;
}

// A content ends where its page does, so that what runs over meets the guard page.
constexpr std::size_t offset_in_page(std::size_t size) { return page_payload - size; }

// The one arena of the process, alive until its end because destructors of secrets may run late.
Arena& arena() {
    static Arena* const instance = new Arena;
    return *instance;
}

}  // namespace

void initialise_crypto() {
    if (sodium_init() < 0) std::abort();
    rlimit limit{};
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_MEMLOCK, &limit);
}

void wipe(void* memory, std::size_t size) { sodium_memzero(memory, size); }

#if __has_cpp_attribute(gnu::zero_call_used_regs)
[[gnu::zero_call_used_regs("all")]]
#endif
[[gnu::noinline]] void
wipe_traces() {
    sodium_stackzero(4096);  // more than any of them needs
    asm volatile(
        "" ::
            : "memory");  // so that the call is not the last thing, which would leave the registers as they are
}

void fill_random(std::span<std::uint8_t> bytes) { randombytes_buf(bytes.data(), bytes.size()); }

std::uint32_t random_below(std::uint32_t bound) { return randombytes_uniform(bound); }

Secret32::Secret32() : slot_(arena().take()) {}

Secret32::~Secret32() {
    if (slot_ != nullptr) arena().give_back(slot_);
}

Secret32::Secret32(Secret32&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}

Secret32& Secret32::operator=(Secret32&& other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
}

void Secret32::make_room(std::size_t count) { arena().make_room(count); }

Secret32 Secret32::random() {
    Secret32 secret;
    randombytes_buf(secret.slot_, size);
    return secret;
}

Secret32 Secret32::from(std::span<const std::uint8_t, size> bytes) {
    Secret32 secret;
    std::memcpy(secret.slot_, bytes.data(), size);
    wipe_traces();
    return secret;
}

bool Secret32::equals(const Secret32& other) const { return sodium_memcmp(slot_, other.slot_, size) == 0; }

SecretBytes::SecretBytes(std::size_t size)
    : data_(size <= page_payload ? page().take() + offset_in_page(size) : locked_allocate(size)),
      size_(size),
      room_(size) {}

SecretBytes::~SecretBytes() {
    if (data_ == nullptr) return;
    if (room_ <= page_payload) page().give_back(data_ - offset_in_page(room_));
    else locked_free(data_, room_);
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      room_(std::exchange(other.room_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(room_, other.room_);
    return *this;
}

void SecretBytes::shrink(std::size_t size) { size_ = std::min(size, size_); }

bool secret_from_base64(std::string_view text, Secret32& secret) {
    std::size_t written = 0;
    return text.size() == base64_secret_length &&
           sodium_base642bin(secret.bytes().data(), Secret32::size, text.data(), text.size(), nullptr, &written,
                             nullptr, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           written == Secret32::size;
}

void secret_to_base64(const Secret32& secret, std::span<char, base64_secret_length> text) {
    char with_end[base64_secret_length + 1];
    sodium_bin2base64(with_end, sizeof with_end, secret.data(), Secret32::size, sodium_base64_VARIANT_ORIGINAL);
    std::copy_n(with_end, base64_secret_length, text.data());
    sodium_memzero(with_end, sizeof with_end);
}

}  // namespace oneknock
