// Linked into the programs of a coverage build alone, so that the daemon's rooms can write their counts when they end:
// the counts' files are opened from a descriptor of the build folder, which reaches out of a chroot; what would forbid
// it (seccomp, Landlock) is built but not put in force; and a program that ends at once writes its counts before.
#include <cstdarg>
#include <string_view>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" void __gcov_dump();

namespace {

constexpr std::string_view build_folder = ONEKNOCK_COVERAGE_FOLDER "/";
constexpr int above_all_others = 500;  // no room is given that many descriptors

int counts_folder = -1;

[[gnu::constructor]] void open_counts_folder() {
    const int folder = openat(AT_FDCWD, ONEKNOCK_COVERAGE_FOLDER, O_PATH | O_DIRECTORY | O_CLOEXEC);
    counts_folder = fcntl(folder, F_DUPFD_CLOEXEC, above_all_others);
    close(folder);
}

template <class Function>
Function next(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const auto mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : mode_t{0};
    va_end(arguments);
    const std::string_view whole = path;
    if (!whole.starts_with(build_folder) || !whole.ends_with(".gcda")) return openat(AT_FDCWD, path, flags, mode);
    const int file = openat(counts_folder, path + build_folder.size(), flags | O_CLOEXEC, mode);
    if (file >= 0) fchmod(file, 0666);  // rooms run as another user
    return file;
}

void _exit(int status) {
    __gcov_dump();
    next<long (*)(long, ...)>("syscall")(SYS_exit_group, status);
    __builtin_unreachable();
}

// The parent begins with no other descriptor than the standard ones; but the folder's stays.
void closefrom(int first) { close_range(static_cast<unsigned>(first), above_all_others - 1, 0); }

int seccomp_load(void*) { return 0; }

// A room would be killed as soon as its parent is gone, which does not wait for counts.
int prctl(int option, ...) {
    va_list arguments;
    va_start(arguments, option);
    unsigned long given[4];
    for (unsigned long& one : given) one = va_arg(arguments, unsigned long);
    va_end(arguments);
    if (option == PR_SET_PDEATHSIG) return 0;
    return next<int (*)(int, ...)>("prctl")(option, given[0], given[1], given[2], given[3]);
}

long syscall(long number, ...) {
    va_list arguments;
    va_start(arguments, number);
    long given[6];
    for (long& one : given) one = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_landlock_restrict_self) return 0;
    return next<long (*)(long, ...)>("syscall")(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}
}
