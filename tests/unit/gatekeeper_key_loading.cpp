// Key files as descriptors, up to where locked memory ends.
#include "server/gatekeeper/keys/key_loading.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/keys_fixtures.hpp"

using namespace oneknock;

namespace {

Descriptor file_of(const std::string& text) {
    Descriptor fd(memfd_create("key", MFD_CLOEXEC));
    REQUIRE(fchmod(fd.get(), 0600) == 0);
    REQUIRE(write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    return fd;
}

PassedKeyFile the_door() {
    PassedKeyFile passed;
    passed.is_door = true;
    return passed;
}

KeyFilesEnd whole(std::uint32_t count) {
    KeyFilesEnd end;
    end.is_whole = true;
    end.count = count;
    return end;
}

constexpr int passed_over = 98;

// The exit code of a load where no memory can be locked.
int exit_without_memory() {
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) return 99;  // root may lock what it likes
    const rlimit nothing{0, 0};
    if (setrlimit(RLIMIT_MEMLOCK, &nothing) != 0) return 99;
    if (mlock(&passed_over, sizeof passed_over) == 0) return passed_over;  // AddressSanitizer makes it do nothing
    KeyLoading loading(nullptr, [](Client client) { return prepare_client(std::move(client), {}); });
    loading.file(the_door(), file_of(test::valid_door));
    const auto change = loading.finish(whole(1));
    return change ? 0 : static_cast<int>(change.error().code);
}

}  // namespace

TEST_CASE("a door alone is a keyring without clients") {
    KeyLoading loading(nullptr, [](Client client) { return prepare_client(std::move(client), {}); });
    loading.file(the_door(), file_of(test::valid_door));
    const auto change = loading.finish(whole(1));
    REQUIRE(change);
    CHECK(change->clients.empty());
}

TEST_CASE("a lack of locked memory is an error of the load, not the end of the process") {
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) _exit(exit_without_memory());
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status));
    if (WEXITSTATUS(status) != passed_over) CHECK(WEXITSTATUS(status) == static_cast<int>(ExitCode::permission));
}
