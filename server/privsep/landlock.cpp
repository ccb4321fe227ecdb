#include "server/privsep/landlock.hpp"

#include <algorithm>
#include <string>

#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace oneknock {
namespace {

// The kernel's headers of Debian 12 know version 2. A kernel takes a longer struct than its own if the rest is zero.
struct RulesetAttributes {
    std::uint64_t files = 0;
    std::uint64_t network = 0;
    std::uint64_t scopes = 0;
};

constexpr std::uint64_t all_files_of_first = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
constexpr std::uint64_t refer = 1 << 13, truncate_file = 1 << 14, ioctl_device = 1 << 15;  // ABI 2, 3, 5
constexpr std::uint64_t bind_and_connect = 3;                                              // ABI 4: TCP
constexpr std::uint64_t abstract_sockets = 1, signals = 2;                                 // ABI 6

constexpr std::uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t of_a_folder_of_ones_own = reading | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                                  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                                  truncate_file;

Error cannot_confine() {
    return system_error("confine the process with Landlock", "(refusing to run with excess privileges)",
                        ExitCode::permission);
}

RulesetAttributes everything(int abi) {
    return {landlock_file_rights(abi), abi >= 4 ? bind_and_connect : 0, abi >= 6 ? abstract_sockets | signals : 0};
}

// The C library of Debian 12 has no functions for these calls.
Descriptor make_ruleset(const RulesetAttributes& attributes) {
    return Descriptor(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
}

bool restrict_self(const Descriptor& ruleset) {
    return ruleset && syscall(SYS_landlock_restrict_self, ruleset.get(), 0) == 0;
}

}  // namespace

int landlock_abi() {
    const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return static_cast<int>(std::max(abi, 0L));
}

std::uint64_t landlock_file_rights(int abi) {
    std::uint64_t rights = abi >= 1 ? all_files_of_first : 0;
    if (abi >= 2) rights |= refer;
    if (abi >= 3) rights |= truncate_file;
    if (abi >= 5) rights |= ioctl_device;
    return rights;
}

Result<bool> landlock_to_folder(const Descriptor& folder, int abi) {
    if (abi < 1) return false;
    const auto attributes = everything(abi);
    const Descriptor ruleset = make_ruleset(attributes);
    landlock_path_beneath_attr beneath{};
    beneath.parent_fd = folder.get();
    beneath.allowed_access = of_a_folder_of_ones_own & attributes.files;
    if (!ruleset || syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0 ||
        !restrict_self(ruleset))
        return tl::unexpected(cannot_confine());
    return true;
}

Result<bool> landlock_to_reading(int abi) {
    if (abi < 1) return false;
    auto attributes = everything(abi);
    attributes.files &= ~reading;
    attributes.scopes &= ~signals;
    if (!restrict_self(make_ruleset(attributes))) return tl::unexpected(cannot_confine());
    return true;
}

}  // namespace oneknock
