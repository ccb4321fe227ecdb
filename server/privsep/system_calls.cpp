#include "server/privsep/system_calls.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <initializer_list>
#include <string>

#include <fcntl.h>
#include <linux/if_packet.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace oneknock {
namespace {

// What an argument must be. The kernel looks at the lower half alone of arguments that are descriptors or flags.
using Argument = scmp_arg_cmp;

Argument is(unsigned number, std::uint64_t value) { return {number, SCMP_CMP_EQ, value, 0}; }
Argument is_descriptor(unsigned number, int fd) {
    return {number, SCMP_CMP_MASKED_EQ, 0xffffffff, static_cast<std::uint32_t>(fd)};
}
Argument has_none_of(unsigned number, std::uint64_t flags) { return {number, SCMP_CMP_MASKED_EQ, flags, 0}; }

// Bits of a memory protection that make it more than memory to read and write.
constexpr std::uint64_t beyond_read_and_write = ~std::uint64_t{PROT_READ | PROT_WRITE};

class Filter {
public:
    explicit Filter(std::uint32_t otherwise) : context_(seccomp_init(otherwise)), failed_(context_ == nullptr) {
        if (!failed_) note(seccomp_attr_set(context_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
    }
    ~Filter() {
        if (context_ != nullptr) seccomp_release(context_);
    }
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;

    // With these arguments; another allow() of the same call adds to it.
    void allow(int call, std::initializer_list<Argument> arguments) {
        if (!failed_)
            note(seccomp_rule_add_array(context_, SCMP_ACT_ALLOW, call, static_cast<unsigned>(arguments.size()),
                                        arguments.begin()));
    }
    void allow_all(std::initializer_list<int> calls) {
        for (const int call : calls) allow(call, {});
    }
    [[nodiscard]] Result<void> load(const char* room) {
        if (!failed_) note(seccomp_load(context_));
        if (!failed_) return {};
        return fail(ExitCode::permission,
                    std::string("cannot load the ") + room +
                        "'s system call filter (seccomp); the kernel needs CONFIG_SECCOMP_FILTER");
    }

private:
    void note(int result) { failed_ = failed_ || result != 0; }

    scmp_filter_ctx context_;
    bool failed_;
};

// Waiting, clocks, and the end; of signals none but its own abort().
void allow_to_run(Filter& filter) {
    filter.allow_all({SCMP_SYS(ppoll), SCMP_SYS(poll), SCMP_SYS(restart_syscall), SCMP_SYS(clock_gettime),
                      SCMP_SYS(gettimeofday), SCMP_SYS(getrandom), SCMP_SYS(futex), SCMP_SYS(rt_sigprocmask),
                      SCMP_SYS(rt_sigreturn), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(exit),
                      SCMP_SYS(exit_group)});
    filter.allow(SCMP_SYS(tgkill), {is(0, static_cast<std::uint64_t>(getpid())), is(2, SIGABRT)});
}

// Memory of its own, never executable.
void allow_memory(Filter& filter) {
    filter.allow_all(
        {SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mlock), SCMP_SYS(munlock)});
    filter.allow(SCMP_SYS(mmap), {has_none_of(2, beyond_read_and_write), is_descriptor(4, -1)});
    filter.allow(SCMP_SYS(mprotect), {has_none_of(2, beyond_read_and_write)});
}

// Lines of the log, and what the C library says before it aborts. Where standard error is a socket, it goes where that
// is connected to.
void allow_log(Filter& filter) {
    filter.allow(SCMP_SYS(write), {is_descriptor(0, STDERR_FILENO)});
    filter.allow(SCMP_SYS(writev), {is_descriptor(0, STDERR_FILENO)});
    filter.allow(SCMP_SYS(sendto), {is_descriptor(0, STDERR_FILENO), is(4, 0)});
}

// The record: SQLite, and what is moved aside.
void allow_record_files(Filter& filter) {
    filter.allow_all({SCMP_SYS(openat),     SCMP_SYS(open),      SCMP_SYS(close),          SCMP_SYS(read),
                      SCMP_SYS(pread64),    SCMP_SYS(write),     SCMP_SYS(pwrite64),       SCMP_SYS(lseek),
                      SCMP_SYS(ftruncate),  SCMP_SYS(fsync),     SCMP_SYS(fdatasync),      SCMP_SYS(fstat),
                      SCMP_SYS(stat),       SCMP_SYS(lstat),     SCMP_SYS(newfstatat),     SCMP_SYS(statx),
                      SCMP_SYS(access),     SCMP_SYS(faccessat), SCMP_SYS(faccessat2),     SCMP_SYS(readlink),
                      SCMP_SYS(readlinkat), SCMP_SYS(getcwd),    SCMP_SYS(unlink),         SCMP_SYS(unlinkat),
                      SCMP_SYS(rename),     SCMP_SYS(renameat),  SCMP_SYS(renameat2),      SCMP_SYS(getdents64),
                      SCMP_SYS(geteuid),    SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep)});
    for (const int command : {F_GETFD, F_SETFD, F_GETFL, F_GETLK, F_SETLK})
        filter.allow(SCMP_SYS(fcntl), {is(1, static_cast<std::uint64_t>(command))});
    // The index of the write-ahead log is a file in memory.
    filter.allow(SCMP_SYS(mmap), {has_none_of(2, beyond_read_and_write), is(3, MAP_SHARED)});
}

}  // namespace

Result<void> allow_listener_calls_only(int channel, int ready) {
    Filter filter(SCMP_ACT_KILL_PROCESS);
    allow_to_run(filter);
    allow_memory(filter);
    allow_log(filter);
    filter.allow(SCMP_SYS(recvmsg), {is_descriptor(0, channel)});
    filter.allow(SCMP_SYS(sendto), {is_descriptor(0, channel), is(4, 0)});
    filter.allow(SCMP_SYS(write), {is_descriptor(0, ready)});
    filter.allow(SCMP_SYS(close), {is_descriptor(0, ready)});
    // Of its captures: news of interfaces, errors and statistics, an interface's index and whether it is up. libpcap
    // asks for the address of a capture whose interface went down.
    filter.allow_all({SCMP_SYS(recvfrom), SCMP_SYS(getsockname)});
    filter.allow(SCMP_SYS(getsockopt), {is(1, SOL_SOCKET), is(2, SO_ERROR)});
    filter.allow(SCMP_SYS(getsockopt), {is(1, SOL_PACKET), is(2, PACKET_STATISTICS)});
    filter.allow(SCMP_SYS(ioctl), {is(1, SIOCGIFINDEX)});
    filter.allow(SCMP_SYS(ioctl), {is(1, SIOCGIFFLAGS)});
    return filter.load("listener");
}

Result<void> allow_gatekeeper_calls_only(int control_socket) {
    Filter filter(SCMP_ACT_ERRNO(EPERM));
    allow_to_run(filter);
    allow_memory(filter);
    allow_log(filter);
    allow_record_files(filter);
    filter.allow_all({SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(timerfd_settime)});
    filter.allow(SCMP_SYS(sendto), {is(4, 0)});
    filter.allow(SCMP_SYS(accept4), {is_descriptor(0, control_socket)});
    return filter.load("gatekeeper");
}

Result<void> allow_parent_calls_only() {
    Filter filter(SCMP_ACT_ERRNO(EPERM));
    allow_to_run(filter);
    allow_memory(filter);
    allow_log(filter);
    filter.allow_all({SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(read),
                      SCMP_SYS(close), SCMP_SYS(wait4), SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_rm_watch),
                      SCMP_SYS(getdents64), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat),
                      SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(readlink), SCMP_SYS(readlinkat)});
    constexpr std::uint64_t to_write = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
    filter.allow(SCMP_SYS(openat), {has_none_of(2, to_write)});
    filter.allow(SCMP_SYS(open), {has_none_of(1, to_write)});
    filter.allow(SCMP_SYS(setsockopt), {is(1, SOL_SOCKET), is(2, SO_SNDBUFFORCE)});  // for a large batch of rules
    return filter.load("parent");
}

}  // namespace oneknock
