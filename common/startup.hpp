// The edge between a program and whoever started it: what may be missing or odd there is put right first thing in main.
#pragma once

#include "common/result.hpp"

namespace oneknock {

// Fills those of the descriptors 0 to 2 that are closed, so that no file or socket of ours becomes one of them and
// takes what is meant for standard output or error; writes to them still fail. Ignores SIGPIPE and SIGXFSZ, so that a
// write to a pipe whose reader is gone, or beyond the limit of a file's size, fails and does not kill; resets SIGCHLD,
// so that children can be waited for even if whoever started us ignored it. Files get the modes that are asked for,
// whatever the umask was: every one is named where it is made.
void prepare_process();

// Before another program is executed in this one's place: it gets these signals and the umask as this one found them.
// The descriptors that were closed are closed again by execve.
void restore_signals();

// For a process that stays: whatever else was open when it was started is closed, since it would stay open as long as
// the daemon runs, and be known to a process that is locked in. Standard input and output become /dev/null, and so does
// a standard error that is a folder. The limits of descriptors and of the stack are raised as far as is needed and
// allowed.
[[nodiscard]] Result<void> prepare_daemon();

// Says so and exits. Takes no memory.
[[noreturn]] void end_for_lack_of_memory();

}  // namespace oneknock
