// The edge between a program and whoever started it: what may be missing or odd there is put right first thing in main.
#pragma once

namespace oneknock {

// Fills those of the descriptors 0 to 2 that are closed, so that no file or socket of ours becomes one of them and
// takes what is meant for standard output or error; writes to them still fail. Ignores SIGPIPE, so that a write to a
// pipe whose reader is gone fails with EPIPE, and resets SIGCHLD, so that children can be waited for even if whoever
// started us ignored it.
void prepare_process();

// Before another program is executed in this one's place: it gets SIGPIPE and SIGCHLD as this one found them. The
// descriptors that were closed are closed again by execve.
void restore_signals();

}  // namespace oneknock
