// Starts the rooms: each is a program of its own, so that its memory layout, its stack canary and what is linked into
// it are its own as well.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace oneknock {

struct RoomProcesses {
    pid_t listener = -1;
    pid_t gatekeeper = -1;
};

// What a room is given. All of it is declared here; everything else that is open in the parent stays closed to it.
struct RoomPlan {
    const char* program;                 // "oneknockd-listener"
    std::vector<std::string> arguments;  // numbers and names of the configuration, no secret: ps(1) shows them
    std::vector<Descriptor> ends;        // become its descriptors 3, 4, ... (privsep/inherited_fds.hpp)
};

// The room's process. Its signals are as at the start of a program and none is blocked; its standard descriptors are
// ours.
[[nodiscard]] Result<pid_t> start_room(RoomPlan plan);

// Where a program that belongs to this one lies: beside it, as in a build tree, or in ../libexec/oneknock.
[[nodiscard]] Result<std::string> companion_program(const std::string& name);

// "exited with status 1", "was killed by signal 31 (Bad system call)".
[[nodiscard]] std::string how_it_ended(int wait_status);

// Whether a room exited with a code of ours: then it has said why.
[[nodiscard]] bool has_said_why(int wait_status);

// What the daemon exits with after a room ended like this. A signal that came from outside is no defect.
[[nodiscard]] ExitCode exit_code_after(int wait_status);

}  // namespace oneknock
