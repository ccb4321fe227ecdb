// Lines on standard error: plain on a terminal, with the journal's priority prefix (sd-daemon(3)) where standard error
// is the journal's own. Whatever steers a terminal is made harmless. A text may have several lines; those behind its
// first are indented, so that nobody who has chosen a file's name, or a word in it, begins one.
//
// A tool waits until its line is read: an error message must not be lost. A daemon must not: see never_wait().
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "common/journal.hpp"

namespace oneknock::log {

// The fields are for the journal, if this process was given a way to it: see write_fields_to().
using Fields = std::span<const journal::Field>;

void error(std::string_view line);
void warning(std::string_view line, Fields fields = {});
void info(std::string_view line, Fields fields = {});

// A program that somebody has typed the name of says it before its errors and warnings: "oneknock: error: ...". The
// daemon does not: what collects its lines knows whose they are, and looks at their beginnings. "" takes the name back.
void name_program(std::string_view name);

// From here on a line for which there is no room now is dropped and counted, in this process and in those forked from
// it: whoever does not read the log must not stop the daemon. Gives standard error an open file description of its own
// (the inherited one is the shell's as well), so it comes before anything that forbids opening files. Afterwards a line
// needs no system calls but write to descriptor 2, sendto and poll.
void never_wait();

// Whether standard error is the journal's.
[[nodiscard]] bool is_journal();

// From here on lines with fields go to the journal's own socket (journal::connect), all others to standard error.
void write_fields_to(Descriptor journal);

// How many lines this process has dropped. The next one that gets through says it.
[[nodiscard]] std::uint64_t dropped();

}  // namespace oneknock::log
