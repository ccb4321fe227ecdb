#include "keys/audit/confinement.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.hpp"

namespace oneknock {
namespace {

// Needs a capability itself, which root in a container may lack; without this, no_new_privs holds alone.
void empty_bounding_set() {
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
        prctl(PR_CAPBSET_DROP, capability);
}

// Also where the change of user has left them: a folder of root's, or securebits that keep them.
bool give_up_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 && syscall(SYS_capset, &header, none) == 0 &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

}  // namespace

Result<void> become_owner_inside(const std::string& folder) {
    struct stat info {};
    empty_bounding_set();
    if (stat(folder.c_str(), &info) != 0 || chroot(folder.c_str()) != 0 || chdir("/") != 0 ||
        setgroups(0, nullptr) != 0 || setresgid(info.st_gid, info.st_gid, info.st_gid) != 0 ||
        setresuid(info.st_uid, info.st_uid, info.st_uid) != 0 || !give_up_capabilities())
        return tl::unexpected(system_error("enter the state directory", folder, ExitCode::no_input));
    return {};
}

}  // namespace oneknock
