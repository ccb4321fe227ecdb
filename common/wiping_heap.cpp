// The heap forgets: every block of C++ memory is overwritten when it is given back.
//
// Libraries we hand secrets to keep copies in buffers of their own (a JSON lexer in its token, a string in its old
// storage before it grew). Rather than hunt for each, every program of the project links this file. The cost falls
// on allocation only, and neither the packet path nor the knock path allocates in the steady state.
#include <malloc.h>
#include <string.h>
#include <cstdlib>
#include <new>

#include "common/startup.hpp"

namespace {

void release(void* memory) noexcept {
    if (memory == nullptr) return;
    explicit_bzero(memory, malloc_usable_size(memory));
    std::free(memory);
}

void* acquire(std::size_t size) {
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    oneknock::end_for_lack_of_memory();  // none of the programs could go on without
}

void* acquire_aligned(std::size_t size, std::align_val_t alignment) {
    const auto step = static_cast<std::size_t>(alignment);
    if (void* memory = std::aligned_alloc(step, (size + step - 1) / step * step)) return memory;
    oneknock::end_for_lack_of_memory();
}

}  // namespace

void* operator new(std::size_t size) { return acquire(size); }
void* operator new[](std::size_t size) { return acquire(size); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }

void* operator new(std::size_t size, std::align_val_t alignment) { return acquire_aligned(size, alignment); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return acquire_aligned(size, alignment); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }
