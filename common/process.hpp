// The edge between a program and whoever started it: what may be missing or odd there is put right first thing in main.
#pragma once

namespace oneknock {

// Fills those of the descriptors 0 to 2 that are closed, so that no file or socket of ours becomes one of them and
// takes what is meant for standard output or error; writing to such a one goes on to fail. From here on a write to a
// pipe whose reader is gone is an error (EPIPE) and no longer the end of the program, and the ends of processes of ours
// can be waited for, also where whoever started us ignores SIGCHLD.
void prepare_process();

// Before another program is executed in this one's place: it gets SIGPIPE and SIGCHLD as this one found them. The
// descriptors that were closed are closed again by execve.
void restore_signals();

}  // namespace oneknock
