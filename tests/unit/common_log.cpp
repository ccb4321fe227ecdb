// The log's edge: standard error as a pipe that nobody reads, a socket, and the journal.
#include "common/log.hpp"

#include <cstdlib>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

struct Ends {
    Descriptor read, write;
};

Ends pipe_ends() {
    int fds[2];
    REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
    fcntl(fds[1], F_SETPIPE_SZ, 4096);
    return {Descriptor(fds[0]), Descriptor(fds[1])};
}

Ends socket_ends() {
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    return {Descriptor(fds[0]), Descriptor(fds[1])};
}

// Runs `part` in a process of its own, whose log begins there, with this as its standard error; its exit code.
template <class Part>
int with_standard_error(int fd, Part part) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        dup2(fd, STDERR_FILENO);
        _exit(part());
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string all_of(int fd) {
    fcntl(fd, F_SETFL, O_NONBLOCK);
    std::string text;
    char buffer[65536];
    for (ssize_t got = 0; (got = read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    return text;
}

std::string journal_name(int fd) {
    struct stat info {};
    fstat(fd, &info);
    return std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
}

}  // namespace

TEST_CASE("a log that nobody reads loses lines and stops nothing, and says how many once it is read", "[log]") {
    for (const auto make : {pipe_ends, socket_ends}) {
        const Ends ends = make();
        const int exit = with_standard_error(ends.write.get(), [&] {
            log::never_wait();
            for (int i = 0; i < 100'000 && log::dropped() < 3; ++i) log::info("a line of the flood");
            if (log::dropped() != 3) return 1;
            static_cast<void>(all_of(ends.read.get()));
            log::error("the next line");
            return log::dropped() == 3 ? 0 : 2;
        });
        CHECK(exit == 0);
        CHECK(all_of(ends.read.get()) ==
              "warning: 3 lines of this log were dropped because nothing read them\nerror: the next line\n");
        CHECK((fcntl(ends.write.get(), F_GETFL) & O_NONBLOCK) == 0);  // the description that others have as well
    }
}

TEST_CASE("a tool's line waits for its reader, also where somebody made the pipe non-blocking", "[log]") {
    const Ends ends = pipe_ends();
    fcntl(ends.write.get(), F_SETFL, O_NONBLOCK);
    const std::string filling(4096, 'x');
    REQUIRE(write(ends.write.get(), filling.data(), filling.size()) == 4096);
    const pid_t reader = fork();
    if (reader == 0) {
        usleep(50'000);  // meanwhile the line waits; should it not have come that far, the test passes as well
        std::string room(4096, ' ');
        _exit(read(ends.read.get(), room.data(), room.size()) > 0 ? 0 : 1);
    }
    CHECK(with_standard_error(ends.write.get(), [] {
              log::error("not lost");
              return 0;
          }) == 0);
    waitpid(reader, nullptr, 0);
    CHECK(all_of(ends.read.get()) == "error: not lost\n");
}

TEST_CASE("lines bear a priority only where standard error is the journal itself", "[log]") {
    const Ends ends = socket_ends();
    const auto say = [&](const std::string& stream) {
        with_standard_error(ends.write.get(), [&] {
            setenv("JOURNAL_STREAM", stream.c_str(), 1);
            log::never_wait();  // looks where standard error is now
            log::error("two\nlines");
            return 0;
        });
        return all_of(ends.read.get());
    };
    CHECK(say("8:12345") == "error: two\n  lines\n");
    CHECK(say("") == "error: two\n  lines\n");
    CHECK(say(journal_name(ends.write.get())) == "<3>error: two\n<3>  lines\n");
}

TEST_CASE("a line that is too long for a pipe is cut between characters", "[log]") {
    for (const char* padding : {"", "x", "xx"}) {
        const Ends ends = pipe_ends();
        std::string line = padding;
        while (line.size() < 5000) line += "\u20ac";
        CHECK(with_standard_error(ends.write.get(), [&] {
                  log::never_wait();
                  log::info(line);
                  return log::dropped() == 0 ? 0 : 1;
              }) == 0);
        const std::string said = all_of(ends.read.get());
        CHECK(said.size() <= 4096);
        CHECK(said.size() > 4090);
        CHECK(said.ends_with("\u20ac ...\n"));
    }
}

TEST_CASE("no name in a line can steer a terminal, or begin a line", "[log]") {
    const Ends ends = pipe_ends();
    with_standard_error(ends.write.get(), [] {
        log::info("cannot open a\naccepted: alice\n  - a hint");
        log::warning("\x1b[2J\rcaf\xe9.json caf\u00e9.json");
        return 0;
    });
    CHECK(all_of(ends.read.get()) ==
          "cannot open a\n  accepted: alice\n  - a hint\nwarning: \\x1b[2J\\x0dcaf\\xe9.json caf\u00e9.json\n");
}
