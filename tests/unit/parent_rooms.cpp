#include "server/parent/rooms.hpp"

#include <csignal>

#include <sys/wait.h>

#include "tests/catch.hpp"

using namespace oneknock;

TEST_CASE("a room that was ended from outside is no defect") {
    struct Row {
        int wait_status;
        ExitCode code;
        bool has_said_why;
        const char* how;
    };
    const Row rows[] = {
        {W_EXITCODE(0, 0), ExitCode::software, false, "exited with status 0"},
        {W_EXITCODE(1, 0), ExitCode::system, false, "exited with status 1"},
        {W_EXITCODE(65, 0), ExitCode::data, true, "exited with status 65"},
        {W_EXITCODE(70, 0), ExitCode::software, true, "exited with status 70"},
        {W_EXITCODE(71, 0), ExitCode::system, true, "exited with status 71"},
        {W_EXITCODE(127, 0), ExitCode::system, false, "exited with status 127"},  // the loader
        {SIGKILL, ExitCode::system, false,
         "was killed by signal 9 (Killed); the kernel does that where memory runs out: see its log"},
        {SIGXCPU, ExitCode::system, false, "was killed by signal 24 (CPU time limit exceeded)"},
        {SIGSEGV, ExitCode::software, false, "was killed by signal 11 (Segmentation fault)"},
        {SIGABRT, ExitCode::software, false, "was killed by signal 6 (Aborted)"},
        {SIGSYS, ExitCode::software, false, "was killed by signal 31 (Bad system call)"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.how);
        CHECK(exit_code_after(row.wait_status) == row.code);
        CHECK(has_said_why(row.wait_status) == row.has_said_why);
        CHECK(how_it_ended(row.wait_status) == row.how);
    }
}
