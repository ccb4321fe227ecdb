// What the rooms' filters forbid, tried from inside: each call in a process of its own that has put the filter on.
#include "server/privsep/system_calls.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include <fcntl.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/privsep/landlock.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

// How a process ends that puts the filter on and then does this: its wait status.
int status_behind(const std::function<Result<void>()>& filter, const std::function<int()>& act) {
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        if (!filter()) _exit(99);
        _exit(act());
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return status;
}

// The errno of a call behind the filter; 0 if it went through.
int error_behind(const std::function<Result<void>()>& filter, const std::function<long()>& call) {
    const int status = status_behind(filter, [&] { return call() < 0 ? errno : 0; });
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) != 99);
    return WEXITSTATUS(status);
}

constexpr int no_descriptor = 99;

int gatekeepers(const std::function<long()>& call) {
    return error_behind([] { return allow_gatekeeper_calls_only(no_descriptor); }, call);
}

int parents(const std::function<long()>& call) { return error_behind(allow_parent_calls_only, call); }

bool kills_listener(const std::function<void()>& call, int channel = no_descriptor, int ready = no_descriptor) {
    const auto status = status_behind([channel, ready] { return allow_listener_calls_only(channel, ready); },
                                      [&] {
                                          call();
                                          return 0;
                                      });
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

long open_at(const char* path, int flags) { return syscall(SYS_openat, AT_FDCWD, path, flags, 0600); }

// A folder of its own, removed with what is in it.
class Folder {
public:
    Folder() {
        char path[] = "/tmp/oneknock-sandbox-XXXXXX";
        path_ = mkdtemp(path);
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] Descriptor open() const {
        return Descriptor(::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    }

private:
    std::string path_;
};

Result<void> confined(const std::function<Result<bool>()>& confine) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    const auto done = confine();
    if (!done) return tl::unexpected(done.error());
    if (!*done) return fail(ExitCode::software, "nothing was done");
    return {};
}

}  // namespace

// Each for the gatekeeper and the parent: what neither needs.
TEST_CASE("the lists of gatekeeper and parent lack network, programs, processes, signals and ways out",
          "[unsanitized]") {
    int pair[2];
    const std::function<long()> forbidden[] = {
        [] { return socket(AF_INET, SOCK_DGRAM, 0); },
        [&] { return socketpair(AF_UNIX, SOCK_STREAM, 0, pair); },
        [] { return execl("/bin/true", "true", nullptr); },
        [] { return fork(); },
        [] { return syscall(SYS_clone3, nullptr, 0); },
        [] { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); },
        [] { return syscall(SYS_process_vm_writev, getppid(), nullptr, 0, nullptr, 0, 0); },
        [] { return kill(getppid(), 0); },
        [] { return kill(getpid(), 0); },
        [] { return syscall(SYS_tgkill, getppid(), getppid(), 0); },
        [] { return syscall(SYS_tgkill, getppid(), getppid(), SIGABRT); },
        [] { return syscall(SYS_tkill, getppid(), 0); },
        [] { return syscall(SYS_rt_sigqueueinfo, getppid(), 0, nullptr); },
        [] { return syscall(SYS_rt_tgsigqueueinfo, getppid(), getppid(), 0, nullptr); },
        [] { return syscall(SYS_pidfd_send_signal, 0, 0, nullptr, 0); },
        [] { return syscall(SYS_timer_create, CLOCK_MONOTONIC, nullptr, nullptr); },
        [] { return syscall(SYS_mq_notify, 0, nullptr); },
        [] { return prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0); },
        [] { return syscall(SYS_pidfd_open, getppid(), 0); },
        [] { return syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, nullptr, nullptr); },
        [] { return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); },
        [] { return dup2(0, 1); },
        [] { return fcntl(0, F_DUPFD, 50); },
        [] { return chroot("/"); },
        [] { return syscall(SYS_mount, nullptr, "/", nullptr, MS_REMOUNT, nullptr); },
        [] { return syscall(SYS_open_tree, AT_FDCWD, "/", 0); },
        [] { return syscall(SYS_openat2, AT_FDCWD, "/", nullptr, 0); },
        [] { return syscall(SYS_io_uring_setup, 1, nullptr); },
        [] { return syscall(SYS_bpf, 0, nullptr, 0); },
        [] { return syscall(SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); },
        [] { return ioctl(0, TIOCGWINSZ, nullptr); },
    };
    for (std::size_t i = 0; i < std::size(forbidden); ++i) {
        CAPTURE(i);
        CHECK(gatekeepers(forbidden[i]) == EPERM);
        CHECK(parents(forbidden[i]) == EPERM);
    }
}

TEST_CASE("the gatekeeper passes no descriptor on and accepts on its own socket alone", "[unsanitized]") {
    msghdr message{};
    CHECK(gatekeepers([&] { return sendmsg(0, &message, 0); }) == EPERM);
    CHECK(gatekeepers([] { return accept4(0, nullptr, nullptr, 0); }) == EPERM);
    CHECK(error_behind([] { return allow_gatekeeper_calls_only(0); }, [] { return accept4(0, nullptr, nullptr, 0); }) ==
          ENOTSOCK);
}

TEST_CASE("the parent opens files to read them, and changes nothing in the file system", "[unsanitized]") {
    CHECK(parents([] { return open_at("/dev/null", O_RDONLY); }) == 0);
    for (const int flags : {O_WRONLY, O_RDWR, O_RDONLY | O_CREAT, O_RDONLY | O_TRUNC, O_TMPFILE | O_RDWR}) {
        CAPTURE(flags);
        CHECK(parents([flags] { return open_at("/dev/null", flags); }) == EPERM);
    }
    CHECK(parents([] { return unlink("/nowhere"); }) == EPERM);
    CHECK(parents([] { return rename("/nowhere", "/nowhere else"); }) == EPERM);
    CHECK(parents([] { return chmod("/nowhere", 0); }) == EPERM);
    CHECK(parents([] { return mkdir("/nowhere/at all", 0); }) == EPERM);
    CHECK(parents([] { return write(STDOUT_FILENO, "", 0); }) == EPERM);
}

// The C library finds it, says so and aborts.
int free_twice() {
    void* volatile memory = std::malloc(64);
    std::free(memory);
    std::free(memory);
    return 0;
}

TEST_CASE("a room that aborts ends by the signal that says so", "[unsanitized]") {
    for (const auto& filter : {std::function<Result<void>()>(allow_parent_calls_only),
                               std::function<Result<void>()>([] { return allow_gatekeeper_calls_only(0); }),
                               std::function<Result<void>()>([] { return allow_listener_calls_only(0, 0); })}) {
        const auto begin = [&] {
            signal(SIGABRT, SIG_DFL);
            dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
            return filter();
        };
        for (const int status : {status_behind(begin, []() -> int { std::abort(); }), status_behind(begin, free_twice)})
            CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
    }
}

TEST_CASE("whatever the listener's list lacks kills it", "[unsanitized]") {
    CHECK_FALSE(kills_listener([] { poll(nullptr, 0, 0); }));
    CHECK(kills_listener([] { socket(AF_INET, SOCK_DGRAM, 0); }));
    CHECK(kills_listener([] { open_at("/etc/passwd", O_RDONLY); }));
    CHECK(kills_listener([] { kill(getppid(), 0); }));
    CHECK(kills_listener([] { execl("/bin/true", "true", nullptr); }));
    CHECK(kills_listener([] { fork(); }));
    CHECK(kills_listener([] { ioctl(STDIN_FILENO, TIOCSTI, "x"); }));
    CHECK(kills_listener([] { setsockopt(0, SOL_PACKET, PACKET_TX_RING, nullptr, 0); }));
    CHECK(kills_listener([] { setsockopt(0, SOL_SOCKET, SO_ATTACH_FILTER, nullptr, 0); }));
    CHECK(kills_listener([] { syscall(SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, 0x22, -1, 0); }));
    CHECK(kills_listener([] { [[maybe_unused]] const auto wrote = write(STDOUT_FILENO, "", 0); }));
}

TEST_CASE("the listener sends on its channel alone, and gives no other descriptor that number", "[unsanitized]") {
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    const auto [own, other] = pair;
    sockaddr address{};
    msghdr message{};
    CHECK_FALSE(kills_listener([&, own = own] { send(own, "x", 1, 0); }, own));
    CHECK(kills_listener([&, own = own] { sendto(own, "x", 1, 0, &address, sizeof address); }, own));
    CHECK(kills_listener([other = other] { send(other, "x", 1, 0); }, own));
    CHECK(kills_listener([&, own = own] { sendmsg(own, &message, 0); }, own));
    CHECK(kills_listener([own = own, other = other] { dup2(other, own); }, own));
    CHECK(kills_listener([other = other] { fcntl(other, F_DUPFD, 0); }, own));
    CHECK(kills_listener([own = own] { close(own); }, own));
    CHECK_FALSE(kills_listener([other = other] { close(other); }, own, other));
    CHECK(kills_listener([own = own] { close(own); }, own, other));
    close(own);
    close(other);
}

TEST_CASE("Landlock of every version leaves a folder of one's own, and nothing else") {
    const Folder own, others;
    const Descriptor folder = own.open();
    for (int abi = 1; abi <= landlock_abi(); ++abi) {
        CAPTURE(abi);
        const auto error = [&](const std::string& path, int flags) {
            return error_behind([&] { return confined([&] { return landlock_to_folder(folder, abi); }); },
                                [&] { return open_at(path.c_str(), flags); });
        };
        CHECK(error(own.path() + "/record", O_RDWR | O_CREAT | O_TRUNC) == 0);
        CHECK(error(others.path() + "/record", O_RDWR | O_CREAT) == EACCES);
        CHECK(error("/etc/passwd", O_RDONLY) == EACCES);
        const auto confine = [&] { return confined([&] { return landlock_to_folder(folder, abi); }); };
        if (abi >= 6) CHECK(error_behind(confine, [] { return kill(getppid(), 0); }) == EPERM);
    }
}

TEST_CASE("Landlock of every version leaves reading, and no writing, making, removing or executing") {
    const Folder folder;
    const std::string file = folder.path() + "/file";
    Descriptor(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    for (int abi = 1; abi <= landlock_abi(); ++abi) {
        CAPTURE(abi);
        const auto error = [&](const std::function<long()>& call) {
            return error_behind([&] { return confined([&] { return landlock_to_reading(abi); }); }, call);
        };
        CHECK(error([&] { return open_at(file.c_str(), O_RDONLY); }) == 0);
        CHECK(error([&] { return open_at(file.c_str(), O_RDWR); }) == EACCES);
        CHECK(error([&] { return open_at((file + "2").c_str(), O_RDWR | O_CREAT); }) == EACCES);
        CHECK(error([&] { return unlink(file.c_str()); }) == EACCES);
        CHECK(error([&] { return rename(file.c_str(), (file + "2").c_str()); }) == EACCES);
        CHECK(error([&] { return execl("/bin/true", "true", nullptr); }) == EACCES);
        if (abi >= 3) CHECK(error([&] { return truncate(file.c_str(), 0); }) == EACCES);
        CHECK(error([&] { return kill(getppid(), 0); }) == 0);
    }
}

TEST_CASE("a kernel without Landlock is told apart from one that refuses") {
    const Folder folder;
    const auto to_folder = landlock_to_folder(folder.open(), 0), to_reading = landlock_to_reading(0);
    CHECK((to_folder && !*to_folder));
    CHECK((to_reading && !*to_reading));
    CHECK(landlock_file_rights(1) == 0x1fff);
    CHECK(landlock_file_rights(7) == 0xffff);
}
