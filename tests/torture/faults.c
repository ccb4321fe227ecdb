// Preloaded into the programs under test: a call of the kernel's fails as if the kernel had failed it.
//
// The file named by FAULTS is shared with the test (faults.py). It has a slot for each program, in which the test says
// which call is to fail, which time is the first, how often, and with what; the library counts calls there. So a fault
// can be set while the program runs, in rooms that can open no file and call nothing that their filter does not know.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

// The order is faults.py's.
// clang-format off
#define CALLS(X) \
    X(accept4) X(fallocate) X(fdatasync) X(fstat) X(fsync) X(ftruncate) X(getrandom) X(ioctl) X(lseek) X(mkdir) \
    X(mmap) X(open) X(openat) X(poll) X(ppoll) X(pread) X(pwrite) X(read) X(recv) X(recvfrom) X(recvmsg) X(rename) \
    X(send) X(sendmsg) X(sendto) X(timerfd_settime) X(unlink) X(write)
// clang-format on

#define ENUMERATOR(name) call_##name,
enum { CALLS(ENUMERATOR) call_count };

enum { does_nothing = 0, is_short = -1 };  // in place of an error

struct slot {
    volatile int32_t call, error;
    volatile uint32_t first, times, hits;
    volatile uint32_t calls[59];
};
_Static_assert(call_count <= 59, "a slot has room for every call");

static const char* const programs[] = {"oneknockd", "oneknockd-listener", "oneknockd-gatekeeper"};
static struct slot* slot;

static void* real[call_count];

static void find_real(void) {
#define FIND(name) real[call_##name] = dlsym(RTLD_NEXT, #name);
    if (real[0] == NULL) {
        CALLS(FIND)
    }
}

__attribute__((constructor)) static void find_slot(void) {
    const char* path = getenv("FAULTS");
    const int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    const size_t count = sizeof programs / sizeof programs[0];
    struct slot* slots = mmap(NULL, count * sizeof *slots, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    for (size_t i = 0; slots != MAP_FAILED && i < count; ++i)
        if (strcmp(program_invocation_short_name, programs[i]) == 0) slot = slots + i;
}

static int is_meant(int call) {
    const int every_sync = call_count;
    return slot->call == call || (slot->call == every_sync && (call == call_fdatasync || call == call_fsync));
}

static int is_due(int call) {
    find_real();
    if (slot == NULL) return 0;
    const uint32_t count = ++slot->calls[call];
    if (!is_meant(call) || count < slot->first || count - slot->first >= slot->times) return 0;
    ++slot->hits;
    if (slot->error > 0) errno = slot->error;
    return 1;
}

// What a call gives that fails, or that does nothing and says that it did.
static int failed(void) { return slot->error == does_nothing ? 0 : -1; }

// Writes half of what it was given, as a disk does that is full soon.
static size_t half(size_t length) { return length - length / 2; }

#define WRAPPED(type, name, parameters, arguments, when_due) \
    type name parameters {                                   \
        if (is_due(call_##name)) when_due;                   \
        type(*go_on) parameters;                             \
        memcpy(&go_on, &real[call_##name], sizeof go_on);    \
        return go_on arguments;                              \
    }
#define FAILING(type, name, parameters, arguments) WRAPPED(type, name, parameters, arguments, return failed())
#define WRITING(name, parameters, arguments)          \
    WRAPPED(ssize_t, name, parameters, arguments, {   \
        if (slot->error != is_short) return failed(); \
        length = half(length);                        \
    })

// The sockets' calls are declared here as they are called: their header has types of its own for addresses.
FAILING(int, accept4, (int fd, void* address, void* length, int flags), (fd, address, length, flags))
FAILING(int, fallocate, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))
FAILING(int, fdatasync, (int fd), (fd))
FAILING(int, fstat, (int fd, struct stat* about), (fd, about))
FAILING(int, fsync, (int fd), (fd))
FAILING(int, ftruncate, (int fd, off_t length), (fd, length))
FAILING(ssize_t, getrandom, (void* buffer, size_t length, unsigned flags), (buffer, length, flags))
FAILING(off_t, lseek, (int fd, off_t offset, int whence), (fd, offset, whence))
FAILING(int, mkdir, (const char* path, mode_t mode), (path, mode))
WRAPPED(void*, mmap, (void* at, size_t length, int access, int flags, int fd, off_t offset),
        (at, length, access, flags, fd, offset), return MAP_FAILED)
FAILING(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
FAILING(int, ppoll, (struct pollfd * fds, nfds_t count, const struct timespec* timeout, const sigset_t* mask),
        (fds, count, timeout, mask))
FAILING(ssize_t, pread, (int fd, void* buffer, size_t length, off_t offset), (fd, buffer, length, offset))
WRITING(pwrite, (int fd, const void* data, size_t length, off_t offset), (fd, data, length, offset))
FAILING(ssize_t, read, (int fd, void* buffer, size_t length), (fd, buffer, length))
FAILING(ssize_t, recv, (int fd, void* buffer, size_t length, int flags), (fd, buffer, length, flags))
FAILING(ssize_t, recvfrom, (int fd, void* buffer, size_t length, int flags, void* from, void* size),
        (fd, buffer, length, flags, from, size))
FAILING(ssize_t, recvmsg, (int fd, void* message, int flags), (fd, message, flags))
FAILING(int, rename, (const char* from, const char* to), (from, to))
FAILING(ssize_t, send, (int fd, const void* data, size_t length, int flags), (fd, data, length, flags))
FAILING(ssize_t, sendmsg, (int fd, const void* message, int flags), (fd, message, flags))
FAILING(ssize_t, sendto, (int fd, const void* data, size_t length, int flags, const void* to, unsigned size),
        (fd, data, length, flags, to, size))
FAILING(int, timerfd_settime, (int fd, int flags, const void* when, void* before), (fd, flags, when, before))
FAILING(int, unlink, (const char* path), (path))
WRITING(write, (int fd, const void* data, size_t length), (fd, data, length))

// Calls with one more argument for some: it is passed on, whatever it is.
#define PASSING_ON(name, parameters, arguments, last)     \
    int name parameters {                                 \
        if (is_due(call_##name)) return -1;               \
        va_list rest;                                     \
        va_start(rest, last);                             \
        void* more = va_arg(rest, void*);                 \
        va_end(rest);                                     \
        int(*go_on) parameters;                           \
        memcpy(&go_on, &real[call_##name], sizeof go_on); \
        return go_on arguments;                           \
    }

PASSING_ON(ioctl, (int fd, unsigned long request, ...), (fd, request, more), request)
PASSING_ON(open, (const char* path, int flags, ...), (path, flags, more), flags)
PASSING_ON(openat, (int folder, const char* path, int flags, ...), (folder, path, flags, more), flags)

// The names of the same calls for files of any size.
#define ALIAS(other, name) __asm__(".globl " #other "\n.set " #other ", " #name);
ALIAS(fallocate64, fallocate)
ALIAS(fstat64, fstat)
ALIAS(ftruncate64, ftruncate)
ALIAS(lseek64, lseek)
ALIAS(mmap64, mmap)
ALIAS(open64, open)
ALIAS(openat64, openat)
ALIAS(pread64, pread)
ALIAS(pwrite64, pwrite)
