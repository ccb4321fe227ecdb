#include "tests/bench/costs/allocations.hpp"

#include <atomic>
#include <cstddef>

namespace {
std::atomic<std::uint64_t> calls{0};
}

// glibc lets a program define its own malloc; its real one goes by this name.
extern "C" void* __libc_malloc(std::size_t size);
extern "C" void* malloc(std::size_t size) {
    calls.fetch_add(1, std::memory_order_relaxed);
    return __libc_malloc(size);
}

namespace oneknock {

std::uint64_t allocations() { return calls.load(std::memory_order_relaxed); }

}  // namespace oneknock
