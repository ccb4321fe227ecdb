#include "server/privsep/sandbox.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <cap-ng.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.hpp"

namespace oneknock {
namespace {

Error cannot(const std::string& what) {
    const std::string reason = errno != 0 ? std::string(": ") + std::strerror(errno) : "";
    return {ExitCode::permission, "cannot " + what + reason + "; refusing to run with excess privileges"};
}

// libcap-ng does not promise to set errno.
bool apply_capabilities(capng_select_t set) {
    errno = 0;
    return capng_apply(set) == 0;
}

Result<void> forbid_new_privileges() {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return tl::unexpected(cannot("set no_new_privs"));
    return {};
}

// A room works for moments, and a knock needs all of them in turn: who wakes one should not wait until another
// program's turn on the processor is over. Since Linux 6.12; before, it changes nothing.
void ask_for_short_turns() {
    struct {  // sched_attr; the kernel's header that has it cannot stand beside the C library's
        std::uint32_t size = sizeof *this;
        std::uint32_t policy = SCHED_OTHER;
        std::uint64_t flags = 0;
        std::int32_t nice = getpriority(PRIO_PROCESS, 0);
        std::uint32_t priority = 0;
        std::uint64_t turn_ns = 100'000;  // the shortest there is
        std::uint64_t deadline = 0, period = 0;
    } attributes;
    syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

void harden_process(const char* name, bool is_child) {
    prctl(PR_SET_NAME, name, 0, 0, 0);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    ask_for_short_turns();
    if (!is_child) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    // Ctrl-C and a service manager's stop reach the whole group; the parent decides, and the rooms end with it.
    for (const int number : {SIGINT, SIGHUP, SIGTERM}) signal(number, SIG_IGN);
}

void raise_locked_memory_limit() {
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0) return;
    rlimit limit{};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_MEMLOCK, &limit);
}

Result<void> drop_everything(const Identity& identity) {
    capng_clear(CAPNG_SELECT_ALL);
    if (identity.can_change) {
        if (!apply_capabilities(CAPNG_SELECT_BOUNDS)) return tl::unexpected(cannot("empty the bounding set"));
        if (setgroups(0, nullptr) != 0) return tl::unexpected(cannot("drop the supplementary groups"));
        if (setresgid(identity.gid, identity.gid, identity.gid) != 0) return tl::unexpected(cannot("change the group"));
        if (setresuid(identity.uid, identity.uid, identity.uid) != 0) return tl::unexpected(cannot("change the user"));
    }
    if (!apply_capabilities(CAPNG_SELECT_CAPS)) return tl::unexpected(cannot("drop the capabilities"));
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    capng_get_caps_process();
    if (capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
        return tl::unexpected(cannot("drop the capabilities"));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);         // changing the user may have set it again
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);  // and unset this
    return forbid_new_privileges();
}

Result<void> keep_net_admin_only() {
    capng_clear(CAPNG_SELECT_BOTH);
    capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), CAP_NET_ADMIN);
    if (geteuid() == 0) capng_apply(CAPNG_SELECT_BOUNDS);
    if (!apply_capabilities(CAPNG_SELECT_CAPS)) return tl::unexpected(cannot("keep CAP_NET_ADMIN alone"));
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return forbid_new_privileges();
}

namespace {

// Landlock has no library function in Debian 12's C library.
Result<void> landlock_to(const Descriptor& folder) {
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;  // everything the first version knows
    const Descriptor ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
    if (!ruleset) return tl::unexpected(cannot("confine the gatekeeper with Landlock (not root, so no chroot)"));
    landlock_path_beneath_attr beneath{};
    beneath.parent_fd = folder.get();
    beneath.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                             LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;
    if (syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0)
        return tl::unexpected(cannot("allow the state folder in Landlock"));
    const auto forbidden = forbid_new_privileges();
    if (!forbidden) return forbidden;
    if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0)
        return tl::unexpected(cannot("confine the gatekeeper with Landlock"));
    return {};
}

}  // namespace

Result<std::string> confine_to_folder(const Descriptor& folder, const Identity& identity) {
    if (fchdir(folder.get()) != 0) return tl::unexpected(cannot("enter the state folder"));
    if (identity.can_change) {
        if (chroot(".") != 0 || chdir("/") != 0) return tl::unexpected(cannot("enter the state folder with chroot"));
        return std::string("/");
    }
    if (const auto confined = landlock_to(folder); !confined) return tl::unexpected(confined.error());
    return std::string("./");
}

namespace {

class Filter {
public:
    explicit Filter(std::uint32_t otherwise) : context_(seccomp_init(otherwise)), failed_(context_ == nullptr) {}
    ~Filter() {
        if (context_ != nullptr) seccomp_release(context_);
    }
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;

    void add(std::uint32_t action, int call) { note(seccomp_rule_add(context_, action, call, 0)); }
    void add(std::uint32_t action, int call, unsigned argument, std::uint64_t value) {
        note(seccomp_rule_add(context_, action, call, 1, scmp_arg_cmp{argument, SCMP_CMP_EQ, value, 0}));
    }
    void add(std::uint32_t action, int call, unsigned a, std::uint64_t value_a, unsigned b, std::uint64_t value_b) {
        note(seccomp_rule_add(context_, action, call, 2, scmp_arg_cmp{a, SCMP_CMP_EQ, value_a, 0},
                              scmp_arg_cmp{b, SCMP_CMP_EQ, value_b, 0}));
    }
    void add_unless(std::uint32_t action, int call, unsigned argument, std::uint64_t value) {
        note(seccomp_rule_add(context_, action, call, 1, scmp_arg_cmp{argument, SCMP_CMP_NE, value, 0}));
    }
    void add_low_half(std::uint32_t action, int call, unsigned argument, std::uint64_t value) {
        note(
            seccomp_rule_add(context_, action, call, 1, scmp_arg_cmp{argument, SCMP_CMP_MASKED_EQ, 0xffffffff, value}));
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

}  // namespace

Result<void> allow_listener_calls_only() {
    Filter filter(SCMP_ACT_KILL_PROCESS);
    for (const int call : {SCMP_SYS(ppoll),
                           SCMP_SYS(poll),
                           SCMP_SYS(read),
                           SCMP_SYS(recvmsg),
                           SCMP_SYS(recvfrom),  // packets, channel
                           SCMP_SYS(sendto),
                           SCMP_SYS(sendmsg),
                           SCMP_SYS(close),
                           SCMP_SYS(clock_gettime),
                           SCMP_SYS(gettimeofday),
                           SCMP_SYS(getrandom),
                           SCMP_SYS(brk),
                           SCMP_SYS(munmap),
                           SCMP_SYS(mremap),
                           SCMP_SYS(madvise),
                           SCMP_SYS(mlock),
                           SCMP_SYS(munlock),
                           SCMP_SYS(futex),
                           SCMP_SYS(rt_sigreturn),
                           SCMP_SYS(rt_sigprocmask),
                           SCMP_SYS(restart_syscall),
                           SCMP_SYS(exit),
                           SCMP_SYS(exit_group)})
        filter.add(SCMP_ACT_ALLOW, call);
    // Lines on standard error; nothing else is written with write().
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(write), 0, STDERR_FILENO);
    // Memory of its own, never executable.
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, 3 /* PROT_READ | PROT_WRITE */);
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 2, 0 /* PROT_NONE */);
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 2, 1 /* PROT_READ */);
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 2, 3);
    // Of its captures: errors and statistics, a filter for an interface that came back, that interface's index. libpcap
    // asks for the address of a capture whose interface went down.
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(getsockopt));
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(getsockname));
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 1, SOL_SOCKET, 2, SO_ATTACH_FILTER);
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SIOCGIFINDEX);
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SIOCGIFFLAGS);
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, F_GETFL);
    filter.add(SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, F_SETFL);
    return filter.load("listener");
}

Result<void> deny_network_and_programs() {
    Filter filter(SCMP_ACT_ALLOW);
    constexpr std::uint32_t deny = SCMP_ACT_ERRNO(EPERM);
    for (const int call : {SCMP_SYS(socket),
                           SCMP_SYS(socketpair),
                           SCMP_SYS(connect),
                           SCMP_SYS(bind),
                           SCMP_SYS(listen),  // network
                           SCMP_SYS(execve),
                           SCMP_SYS(execveat),
                           SCMP_SYS(fork),
                           SCMP_SYS(vfork),
                           SCMP_SYS(clone),
                           SCMP_SYS(clone3),
                           SCMP_SYS(ptrace),
                           SCMP_SYS(process_vm_readv),
                           SCMP_SYS(process_vm_writev),
                           SCMP_SYS(kcmp),  // other processes
                           SCMP_SYS(kill),
                           SCMP_SYS(tkill),
                           SCMP_SYS(rt_sigqueueinfo),
                           SCMP_SYS(rt_tgsigqueueinfo),
                           SCMP_SYS(pidfd_open),
                           SCMP_SYS(pidfd_getfd),
                           SCMP_SYS(pidfd_send_signal),
                           SCMP_SYS(chroot),
                           SCMP_SYS(pivot_root),
                           SCMP_SYS(mount),
                           SCMP_SYS(umount2),
                           SCMP_SYS(open_tree),  // ways out
                           SCMP_SYS(move_mount),
                           SCMP_SYS(fsopen),
                           SCMP_SYS(fsconfig),
                           SCMP_SYS(fsmount),
                           SCMP_SYS(fspick),
                           SCMP_SYS(mount_setattr),
                           SCMP_SYS(open_by_handle_at),
                           SCMP_SYS(unshare),
                           SCMP_SYS(setns),
                           SCMP_SYS(mknod),
                           SCMP_SYS(mknodat),
                           SCMP_SYS(bpf),
                           SCMP_SYS(keyctl),
                           SCMP_SYS(add_key),
                           SCMP_SYS(request_key),
                           SCMP_SYS(perf_event_open),  // the kernel
                           SCMP_SYS(userfaultfd),
                           SCMP_SYS(io_uring_setup),
                           SCMP_SYS(io_uring_enter),
                           SCMP_SYS(io_uring_register)})
        filter.add(deny, call);
    filter.add_unless(deny, SCMP_SYS(tgkill), 0, static_cast<std::uint64_t>(getpid()));  // abort() of its own is fine
    // Words put into the terminal of whoever started the daemon. The kernel looks at 32 bits of the request alone.
    for (const std::uint64_t request : {std::uint64_t{TIOCSTI}, std::uint64_t{TIOCLINUX}})
        filter.add_low_half(deny, SCMP_SYS(ioctl), 1, request);
    return filter.load("gatekeeper");
}

}  // namespace oneknock
