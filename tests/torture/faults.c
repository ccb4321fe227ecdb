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
    X(accept4) X(access) X(bind) X(capset) X(chdir) X(chroot) X(close_range) X(connect) X(dup2) X(eventfd) \
    X(fallocate) X(fchdir) X(fchmod) X(fchown) X(fchownat) X(fcntl) X(fdatasync) X(flock) X(fork) X(fstat) \
    X(fstatat) X(fstatfs) X(fsync) X(ftruncate) X(getrandom) X(getsockname) X(getsockopt) X(inotify_add_watch) \
    X(inotify_init1) X(ioctl) X(lchown) X(listen) X(lseek) X(lstat) X(mkdir) X(mlock) X(mmap) X(mprotect) X(open) \
    X(openat) X(pipe2) X(poll) X(ppoll) X(prctl) X(pread) X(pthread_sigmask) X(pwrite) X(read) X(readlink) X(recv) \
    X(recvfrom) X(recvmsg) X(rename) X(sched_setscheduler) X(send) X(sendmsg) X(sendto) X(setgroups) X(setresgid) \
    X(setresuid) X(setrlimit) X(setsockopt) X(signalfd) X(socket) X(socketpair) X(stat) X(statfs) X(syscall) \
    X(timerfd_create) X(timerfd_settime) X(unlink) X(write)
// clang-format on

#define ENUMERATOR(name) call_##name,
enum { CALLS(ENUMERATOR) call_count };

enum { does_nothing = 0, is_short = -1 };  // in place of an error

struct slot {
    volatile int32_t call, error;
    volatile uint32_t first, times, hits;
    volatile uint32_t calls[123];
};
_Static_assert(call_count <= 123, "a slot has room for every call");

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
FAILING(int, access, (const char* path, int mode), (path, mode))
FAILING(int, bind, (int fd, const void* address, unsigned length), (fd, address, length))
FAILING(int, capset, (void* header, const void* data), (header, data))
FAILING(int, chdir, (const char* path), (path))
FAILING(int, chroot, (const char* path), (path))
FAILING(int, close_range, (unsigned first, unsigned last, int flags), (first, last, flags))
FAILING(int, connect, (int fd, const void* address, unsigned length), (fd, address, length))
FAILING(int, dup2, (int from, int to), (from, to))
FAILING(int, eventfd, (unsigned count, int flags), (count, flags))
FAILING(int, fallocate, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))
FAILING(int, fchdir, (int fd), (fd))
FAILING(int, fchmod, (int fd, mode_t mode), (fd, mode))
FAILING(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group))
FAILING(int, fchownat, (int folder, const char* path, uid_t user, gid_t group, int flags),
        (folder, path, user, group, flags))
FAILING(int, fdatasync, (int fd), (fd))
FAILING(int, flock, (int fd, int operation), (fd, operation))
FAILING(pid_t, fork, (void), ())
FAILING(int, fstat, (int fd, struct stat* about), (fd, about))
FAILING(int, fstatat, (int folder, const char* path, struct stat* about, int flags), (folder, path, about, flags))
FAILING(int, fstatfs, (int fd, void* about), (fd, about))
FAILING(int, fsync, (int fd), (fd))
FAILING(int, ftruncate, (int fd, off_t length), (fd, length))
FAILING(ssize_t, getrandom, (void* buffer, size_t length, unsigned flags), (buffer, length, flags))
FAILING(int, getsockname, (int fd, void* address, void* length), (fd, address, length))
FAILING(int, getsockopt, (int fd, int level, int name, void* value, void* length), (fd, level, name, value, length))
FAILING(int, inotify_add_watch, (int fd, const char* path, uint32_t mask), (fd, path, mask))
FAILING(int, inotify_init1, (int flags), (flags))
FAILING(int, lchown, (const char* path, uid_t user, gid_t group), (path, user, group))
FAILING(int, listen, (int fd, int backlog), (fd, backlog))
FAILING(off_t, lseek, (int fd, off_t offset, int whence), (fd, offset, whence))
FAILING(int, lstat, (const char* path, struct stat* about), (path, about))
FAILING(int, mkdir, (const char* path, mode_t mode), (path, mode))
WRAPPED(void*, mmap, (void* at, size_t length, int access, int flags, int fd, off_t offset),
        (at, length, access, flags, fd, offset), return MAP_FAILED)
FAILING(int, mlock, (const void* at, size_t length), (at, length))
FAILING(int, mprotect, (void* at, size_t length, int access), (at, length, access))
FAILING(int, pipe2, (int fds[2], int flags), (fds, flags))
FAILING(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
FAILING(int, ppoll, (struct pollfd * fds, nfds_t count, const struct timespec* timeout, const sigset_t* mask),
        (fds, count, timeout, mask))
FAILING(ssize_t, pread, (int fd, void* buffer, size_t length, off_t offset), (fd, buffer, length, offset))
WRITING(pwrite, (int fd, const void* data, size_t length, off_t offset), (fd, data, length, offset))
WRAPPED(int, pthread_sigmask, (int how, const sigset_t* set, sigset_t* before), (how, set, before), return slot->error)
FAILING(ssize_t, read, (int fd, void* buffer, size_t length), (fd, buffer, length))
FAILING(ssize_t, readlink, (const char* path, char* buffer, size_t length), (path, buffer, length))
FAILING(ssize_t, recv, (int fd, void* buffer, size_t length, int flags), (fd, buffer, length, flags))
FAILING(ssize_t, recvfrom, (int fd, void* buffer, size_t length, int flags, void* from, void* size),
        (fd, buffer, length, flags, from, size))
FAILING(ssize_t, recvmsg, (int fd, void* message, int flags), (fd, message, flags))
FAILING(int, rename, (const char* from, const char* to), (from, to))
FAILING(int, sched_setscheduler, (pid_t pid, int policy, const void* parameters), (pid, policy, parameters))
FAILING(ssize_t, send, (int fd, const void* data, size_t length, int flags), (fd, data, length, flags))
FAILING(ssize_t, sendmsg, (int fd, const void* message, int flags), (fd, message, flags))
FAILING(ssize_t, sendto, (int fd, const void* data, size_t length, int flags, const void* to, unsigned size),
        (fd, data, length, flags, to, size))
FAILING(int, setgroups, (size_t count, const void* groups), (count, groups))
FAILING(int, setresgid, (gid_t real_group, gid_t effective, gid_t saved), (real_group, effective, saved))
FAILING(int, setresuid, (uid_t real_user, uid_t effective, uid_t saved), (real_user, effective, saved))
FAILING(int, setrlimit, (unsigned of, const void* limit), (of, limit))
FAILING(int, setsockopt, (int fd, int level, int name, const void* value, unsigned length),
        (fd, level, name, value, length))
FAILING(int, signalfd, (int fd, const sigset_t* set, int flags), (fd, set, flags))
FAILING(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
FAILING(int, socketpair, (int domain, int type, int protocol, int fds[2]), (domain, type, protocol, fds))
FAILING(int, stat, (const char* path, struct stat* about), (path, about))
FAILING(int, statfs, (const char* path, void* about), (path, about))
FAILING(int, timerfd_create, (int clock, int flags), (clock, flags))
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

PASSING_ON(fcntl, (int fd, int command, ...), (fd, command, more), command)
PASSING_ON(ioctl, (int fd, unsigned long request, ...), (fd, request, more), request)
PASSING_ON(open, (const char* path, int flags, ...), (path, flags, more), flags)
PASSING_ON(openat, (int folder, const char* path, int flags, ...), (folder, path, flags, more), flags)

// And with more of them.
#define PASSING_ON_MORE(type, name, number_type)                                                \
    type name(number_type number, ...) {                                                        \
        if (is_due(call_##name)) return -1;                                                     \
        long more[6];                                                                           \
        va_list rest;                                                                           \
        va_start(rest, number);                                                                 \
        for (size_t i = 0; i < sizeof more / sizeof more[0]; ++i) more[i] = va_arg(rest, long); \
        va_end(rest);                                                                           \
        type (*go_on)(number_type, ...);                                                        \
        memcpy(&go_on, &real[call_##name], sizeof go_on);                                       \
        return go_on(number, more[0], more[1], more[2], more[3], more[4], more[5]);             \
    }

PASSING_ON_MORE(int, prctl, int)
PASSING_ON_MORE(long, syscall, long)

// The names of the same calls for files of any size.
#define ALIAS(other, name) __asm__(".globl " #other "\n.set " #other ", " #name);
ALIAS(fallocate64, fallocate)
ALIAS(fstat64, fstat)
ALIAS(fcntl64, fcntl)
ALIAS(fstatat64, fstatat)
ALIAS(lstat64, lstat)
ALIAS(setrlimit64, setrlimit)
ALIAS(stat64, stat)
ALIAS(fstatfs64, fstatfs)
ALIAS(statfs64, statfs)
ALIAS(ftruncate64, ftruncate)
ALIAS(lseek64, lseek)
ALIAS(mmap64, mmap)
ALIAS(open64, open)
ALIAS(openat64, openat)
ALIAS(pread64, pread)
ALIAS(pwrite64, pwrite)
