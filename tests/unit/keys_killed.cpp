// The commands that change a door, killed at the entry of every system call they make, one run for each: afterwards the
// door is as it was before the command or as it is after it, and giving the command again completes it.
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <set>

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/files.hpp"
#include "keys/key_file.hpp"
#include "keys/keyring.hpp"
#include "tests/unit/keys_fixtures.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

[[noreturn]] void become_keygen(const Words& words, bool traced) {
    std::vector<char*> argv{const_cast<char*>("oneknock-keygen")};
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const int nowhere = open("/dev/null", O_RDWR);
    for (const int fd : {0, 1, 2}) dup2(nowhere, fd);
    if (traced) ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    execv(ONEKNOCK_KEYGEN, argv.data());
    _exit(127);
}

int run_keygen(const Words& words) {
    const pid_t pid = fork();
    if (pid == 0) become_keygen(words, false);
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A run of the command that stops at the entry of each of its system calls.
class TracedRun {
public:
    explicit TracedRun(const Words& words) : pid_(fork()) {
        if (pid_ == 0) become_keygen(words, true);
        wait();  // the stop behind execve
        REQUIRE(running_);
        ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    }
    ~TracedRun() {
        if (!running_) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    TracedRun(const TracedRun&) = delete;
    TracedRun& operator=(const TracedRun&) = delete;

    // False once the command has ended.
    bool next_call() {
        for (int stops = at_entry_ ? 2 : 1; stops > 0 && running_; --stops) {  // each call stops at its end as well
            ptrace(PTRACE_SYSCALL, pid_, nullptr, nullptr);
            wait();
        }
        at_entry_ = true;
        return running_;
    }
    [[nodiscard]] long number() const {
        __ptrace_syscall_info info{};
        ptrace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof info, &info);
        return static_cast<long>(info.entry.nr);
    }

private:
    void wait() {
        int status = 0;
        waitpid(pid_, &status, 0);
        running_ = WIFSTOPPED(status);
    }

    pid_t pid_;
    bool running_ = false;
    bool at_entry_ = false;
};

// Runs the command up to the entry of its system call number `call` and kills it there; false if it ended before.
bool kill_at_call(const Words& words, int call) {
    TracedRun run(words);
    for (int calls = 0; calls < call; ++calls)
        if (!run.next_call()) return false;
    return true;
}

// The number of the call that locks the door, before which nothing is written.
int locking_call(const Words& words) {
    TracedRun run(words);
    for (int call = 1; run.next_call(); ++call)
        if (run.number() == SYS_flock) return call;
    FAIL("the door was not locked");
    return 0;
}

// Contents by path; hidden files are nobody's, key files are compared with the door by other means.
std::map<std::string, std::string> contents(const std::string& folder) {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file() && !entry.path().filename().string().starts_with("."))
            found[fs::relative(entry.path(), folder)] = read_file(entry.path())->text();
    return found;
}

std::size_t hidden_files(const std::string& folder) {
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        count += entry.path().filename().string().starts_with(".");
    return count;
}

// A door with three clients, one of them revoked, and a place for the keys handed out.
class Place {
public:
    Place() {
        run({"init", "--name", "home", "--address", "door.example.org", "--service", "ssh=tcp/22", "--service",
             "web=tcp/443", "--service", "vpn=udp/51820", "--state", folder_.path() + "/state"});
        for (const char* name : {"alice", "bob", "eve"})
            run({"add", name, "--allow", "ssh", "--allow", "web", "-o", out() + name + ".json"});
        run({"revoke", "eve"});
        fs::copy(door(), pristine(), fs::copy_options::recursive);
        fs::create_directory(out());
    }

    [[nodiscard]] std::string door() const { return folder_.path() + "/door"; }
    [[nodiscard]] std::string pristine() const { return folder_.path() + "/pristine"; }
    [[nodiscard]] std::string out() const { return folder_.path() + "/out/"; }

    [[nodiscard]] Words words(Words words) const {
        words.insert(words.end(), {"--dir", door()});
        return words;
    }
    void run(Words given) const {
        fs::create_directories(out());
        REQUIRE(run_keygen(words(std::move(given))) == 0);
    }
    void start_again() const {
        fs::remove_all(door());
        fs::copy(pristine(), door(), fs::copy_options::recursive);
        fs::remove_all(out());
        fs::create_directory(out());
    }
    [[nodiscard]] Keyring keyring() const {
        auto keyring = load_keyring(door() + "/door.json", door() + "/clients.d");
        if (!keyring) FAIL(keyring.error().message);
        return std::move(*keyring);
    }

private:
    TemporaryFolder folder_;
};

const Client* find(const Keyring& keyring, const std::string& name) {
    const auto found = std::ranges::find(keyring.clients, name, &Client::name);
    return found == keyring.clients.end() ? nullptr : &*found;
}

// The key of the file opens the door, as it is now.
void require_newest(const std::string& path, const Keyring& keyring) {
    const auto key = read_key_file(path);
    if (!key) FAIL(key.error().message);
    const Client* client = find(keyring, key->client.name);
    REQUIRE(client != nullptr);
    REQUIRE(key->client.secret.equals(client->generations.back().secret));
    REQUIRE(key->door.secret.equals(keyring.door.generations.back().secret));
}

struct Command {
    const char* name;
    Words words;                               // without --dir
    std::string output;                        // a key file, or a folder of them; empty: none
    std::function<bool(const Keyring&)> done;  // the keyring is that of after the command
    std::size_t key_files = 0;
    bool by_steps = false;          // changes several files, and each step leaves a door that is right
    ExitCode again = ExitCode::ok;  // given again when it is done
};

void check_output(const std::string& output, bool done, std::size_t expected, const Keyring& keyring) {
    if (output.empty() || !fs::exists(output)) return;
    REQUIRE(done);  // a key under its own name is one that works
    if (!fs::is_directory(output)) return require_newest(output, keyring);
    const auto paths = client_paths(output);
    REQUIRE(paths->size() == expected);
    for (const std::string& path : *paths) require_newest(path, keyring);
}

// The number of system calls it was killed at.
int kill_everywhere(const Place& place, const Command& command) {
    const auto before = contents(place.pristine());
    const Words words = place.words(command.words);
    std::set<bool> states;
    const int first = locking_call(words);
    int call = first;
    for (;; ++call) {
        CAPTURE(command.name, call);
        place.start_again();
        if (!kill_at_call(words, call)) break;
        const auto after = contents(place.door());
        const Keyring keyring = place.keyring();
        const bool done = command.done(keyring);
        if (!done && !command.by_steps) REQUIRE(after == before);
        states.insert(done);
        check_output(command.output, done, command.key_files, keyring);

        if (after == before && hidden_files(place.door()) == 0 && fs::is_empty(place.out())) continue;  // as at first

        // Given again, it does what is left to do, once.
        const bool complete = done && (command.output.empty() || fs::exists(command.output));
        const int again = run_keygen(words);
        REQUIRE(again == (complete ? static_cast<int>(command.again) : 0));
        REQUIRE(command.done(place.keyring()));
        if (!command.output.empty()) REQUIRE(fs::exists(command.output));
        check_output(command.output, true, command.key_files, place.keyring());
        if (done) REQUIRE(contents(place.door()) == after);
        REQUIRE(hidden_files(place.door()) == 0);
        if (!command.output.empty()) REQUIRE(contents(place.out()).size() == command.key_files);
    }
    CHECK(states == std::set<bool>{false, true});
    return call - first;
}

}  // namespace

TEST_CASE("killed at any system call, a command leaves the door's old state or its new one", "[unsanitized]") {
    const Place place;
    const auto generations = [](const char* name) {
        return [name](const Keyring& keyring) { return find(keyring, name)->generations.size() == 2; };
    };
    const std::string file = place.out() + "new.json", folder = place.out() + "keys";
    const auto allows = [](const char* name, std::vector<std::string> services) {
        return [name, services = std::move(services)](const Keyring& keyring) {
            return find(keyring, name)->allow == services;
        };
    };
    const auto has_service = [](const char* name, bool wanted) {
        return [name, wanted](const Keyring& keyring) { return keyring.door.services.contains(name) == wanted; };
    };
    constexpr auto taken = ExitCode::cannot_create;
    const Command commands[] = {
        {"rotate", {"rotate", "alice", "-o", file}, file, generations("alice"), 1, false, taken},
        {"rotate --door",
         {"rotate", "--door", "-o", folder},
         folder,
         [](const Keyring& keyring) { return keyring.door.generations.size() == 2; },
         2,
         false,
         taken},
        {"add",
         {"add", "dave", "--allow", "ssh", "-o", file},
         file,
         [](const Keyring& keyring) { return find(keyring, "dave") != nullptr; },
         1,
         false,
         taken},
        {"revoke", {"revoke", "bob"}, "", [](const Keyring& keyring) { return find(keyring, "bob")->revoked; }},
        {"unrevoke", {"unrevoke", "eve"}, "", [](const Keyring& keyring) { return !find(keyring, "eve")->revoked; }},
        {"allow", {"allow", "alice", "vpn"}, "", allows("alice", {"ssh", "web", "vpn"})},
        {"deny", {"deny", "alice", "ssh", "web"}, "", allows("alice", {})},
        {"limit",
         {"limit", "bob", "--max-duration", "5m"},
         "",
         [](const Keyring& keyring) { return find(keyring, "bob")->max_duration == Seconds{300}; }},
        {"service add", {"service", "add", "dns=udp/53"}, "", has_service("dns", true)},
        {"service remove",
         {"service", "remove", "web"},
         "",
         has_service("web", false),
         0,
         true,
         ExitCode::data},  // there is no such service any more
    };
    for (const Command& command : commands)
        std::cout << command.name << ": killed at " << kill_everywhere(place, command)
                  << " system calls, one at a time\n";
}
