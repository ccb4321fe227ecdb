#include "server/privsep/sandbox.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <cap-ng.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/privsep/landlock.hpp"

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

// libcap-ng says nothing of capabilities that stay in the bounding set, so it is looked at. What errno has then is not
// why.
Result<void> empty_bounding_set() {
    capng_clear(CAPNG_SELECT_BOUNDS);
    const bool applied = apply_capabilities(CAPNG_SELECT_BOUNDS);
    capng_get_caps_process();
    if (applied && capng_have_capabilities(CAPNG_SELECT_BOUNDS) == CAPNG_NONE) return {};
    errno = 0;
    return tl::unexpected(cannot("empty the bounding set (it takes CAP_SETPCAP)"));
}

Result<void> forbid_new_privileges() {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return tl::unexpected(cannot("set no_new_privs"));
    return {};
}

// A room works for moments, and a knock needs all of them in turn: who wakes one should not wait until another
// program's turn on the processor is over. Since Linux 6.12; before, it changes nothing. Where whoever started us has
// chosen another policy, that stays; but under a deadline no process could be started.
void ask_for_short_turns() {
    if (const int policy = sched_getscheduler(0); policy != SCHED_OTHER && policy != SCHED_DEADLINE) return;
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
    for (const int number : {SIGINT, SIGQUIT, SIGHUP, SIGTERM}) signal(number, SIG_IGN);
}

void raise_locked_memory_limit() {
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

Result<void> drop_everything(const Identity& identity) {
    if (identity.can_change) {
        if (auto emptied = empty_bounding_set(); !emptied) return emptied;
        if (setgroups(0, nullptr) != 0) return tl::unexpected(cannot("drop the supplementary groups"));
        if (setresgid(identity.gid, identity.gid, identity.gid) != 0) return tl::unexpected(cannot("change the group"));
        if (setresuid(identity.uid, identity.uid, identity.uid) != 0) return tl::unexpected(cannot("change the user"));
    }
    capng_clear(CAPNG_SELECT_ALL);
    if (!apply_capabilities(CAPNG_SELECT_CAPS)) return tl::unexpected(cannot("drop the capabilities"));
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    capng_get_caps_process();
    if (capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
        return tl::unexpected(cannot("drop the capabilities"));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);         // changing the user may have set it again
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);  // and unset this
    return forbid_new_privileges();
}

Result<void> read_past_modes(bool may) {
    capng_get_caps_process();
    for (const unsigned capability : {unsigned{CAP_DAC_OVERRIDE}, unsigned{CAP_DAC_READ_SEARCH}})
        if (capng_have_capability(CAPNG_PERMITTED, capability))
            capng_update(may ? CAPNG_ADD : CAPNG_DROP, CAPNG_EFFECTIVE, capability);
    if (apply_capabilities(CAPNG_SELECT_CAPS)) return {};
    return tl::unexpected(cannot("set CAP_DAC_OVERRIDE aside, or take it up again"));
}

Result<void> keep_parents_capabilities() {
    capng_get_caps_process();
    const bool may_kill = geteuid() == 0 && capng_have_capability(CAPNG_PERMITTED, CAP_KILL) != 0;
    if (geteuid() == 0)
        if (auto emptied = empty_bounding_set(); !emptied) return emptied;
    constexpr auto held = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED);
    capng_clear(CAPNG_SELECT_BOTH);
    capng_update(CAPNG_ADD, held, CAP_NET_ADMIN);
    if (may_kill) capng_update(CAPNG_ADD, held, CAP_KILL);
    if (!apply_capabilities(CAPNG_SELECT_CAPS))
        return fail(ExitCode::permission,
                    "cannot keep CAP_NET_ADMIN alone: the daemon needs it; run as root, or with "
                    "AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN");
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return forbid_new_privileges();
}

Result<std::string> confine_to_folder(const Descriptor& folder, const Identity& identity) {
    if (fchdir(folder.get()) != 0) return tl::unexpected(cannot("enter the state folder"));
    std::string inside = "./";
    if (identity.can_change) {
        if (chroot(".") != 0 || chdir("/") != 0) return tl::unexpected(cannot("enter the state folder with chroot"));
        inside = "/";
    }
    if (const auto forbidden = forbid_new_privileges(); !forbidden) return tl::unexpected(forbidden.error());
    const auto confined = landlock_to_folder(folder);
    if (!confined) return tl::unexpected(confined.error());
    if (*confined || identity.can_change) return inside;
    return fail(ExitCode::permission,
                "cannot confine the gatekeeper: without root there is no chroot, and this kernel has no Landlock; " +
                    std::string("refusing to run with excess privileges"));
}

}  // namespace oneknock
