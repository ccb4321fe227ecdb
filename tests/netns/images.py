"""Images of the memory of running programs, and what is found in them.

An image is all that /proc/PID/mem gives root: also pages that a core dump leaves out, and pages that the program itself may
not read. A Traced program stops at its system calls and once more when it ends, while its memory is whole.
"""

import base64
import ctypes
import os
import re
import signal
from typing import NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long
_TRACEME, _CONT, _KILL_AT_EXIT, _SYSCALL, _SETOPTIONS = 0, 7, 0x100000, 24, 0x4200
_SYSGOOD, _TRACEEXIT, _EVENT_EXIT = 1, 0x40, 6
_PIECE = 1 << 14


class Mapping(NamedTuple):
    start: int
    end: int
    access: str
    name: str
    flags: frozenset  # VmFlags of smaps, see proc(5)
    is_fenced: bool   # guard pages before and behind it

    @property
    def is_for_secrets(self):
        """Locked, and left out of core dumps."""
        return {"lo", "dd"} <= self.flags

    @property
    def is_unchanged_file(self):
        return self.name.startswith("/") and "w" not in self.access

    @property
    def is_memory(self):
        """Neither a device nor a page of the kernel's."""
        return not self.name.startswith(("[vvar", "[vsyscall")) and not {"io", "pf"} & self.flags

    def __str__(self):
        return f"{self.start:x}-{self.end:x} {self.access} {self.name} ({' '.join(sorted(self.flags))})"


class Sighting(NamedTuple):
    name: str  # of the secret
    form: str
    mapping: Mapping
    offset: int

    def __str__(self):
        return f"{self.name}, {self.form}, at +{self.offset:#x} of {self.mapping}"


def forms(secret):
    """How 32 bytes may be written, by the forms' names."""
    found = {"hex": secret.hex().encode()}
    for shift in range(3):  # where in a longer text of base64 it may begin
        text = base64.b64encode(bytes(shift) + secret)
        found[f"base64+{shift}"] = text[0 if shift == 0 else 4:43]
    return found


def needles_for(secrets, keys={}, texts={}):
    """What to search for: of secrets every form, of keys that are never written down the bytes, of texts themselves. Bytes
    are searched for by halves, since a register need not hold more."""
    found = [(name, form, text) for name, secret in secrets.items() for form, text in forms(secret).items()]
    found += [(name, "text", text) for name, text in texts.items()]
    for name, key in (secrets | keys).items():
        found += [(name, "raw", key[:16]), (name, "raw, second half", key[16:])]
    return found


_ENTRY = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(.*)\n(?:[A-Z].*\n)*?VmFlags:(.*)", re.MULTILINE)


def mappings(pid):
    with open(f"/proc/{pid}/smaps") as file:
        found = [(int(start, 16), int(end, 16), access, name, frozenset(flags.split()))
                 for start, end, access, name, flags in _ENTRY.findall(file.read())]
    closed = {edge for start, end, access, *_ in found if access.startswith("---") for edge in (start, end)}
    return [Mapping(*one, {one[0], one[1]} <= closed) for one in found]


class Search:
    """For the same things in any number of images; counts what it searches."""

    def __init__(self, needles):
        self.images = 0
        self.bytes = 0
        self._needles = needles
        self._overlap = max(len(needle) for _, _, needle in needles) - 1
        self._without = set()  # hashes of pieces without any of them: most of a program's memory stays as it is

    def image(self, pid, only=lambda mapping: True):
        """The sightings in the process's memory, in all of it or in the mappings for which `only` is true."""
        sightings = []
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for mapping in mappings(pid):
                if mapping.is_memory and only(mapping):
                    sightings += self._content(_read(memory, mapping), mapping)
        self.images += 1
        return sightings

    def _content(self, content, mapping):
        self.bytes += len(content)
        found = set()  # what lies where pieces overlap is found twice
        for start in range(0, len(content), _PIECE):
            piece = content[start:start + _PIECE + self._overlap]
            if hash(piece) not in self._without:
                new = [Sighting(name, form, mapping, start + at) for name, form, at in _places(piece, self._needles)]
                found.update(new)
                if not new:
                    self._without.add(hash(piece))
        return sorted(found, key=lambda one: one.offset)


def _read(memory, mapping):
    content = os.pread(memory.fileno(), mapping.end - mapping.start, mapping.start)
    if len(content) != mapping.end - mapping.start:
        raise AssertionError(f"cannot read all of {mapping}")
    return content


def _places(content, needles):
    for name, form, needle in needles:
        at = content.find(needle)
        while at >= 0:
            yield name, form, at
            at = content.find(needle, at + 1)


class Traced:
    """A program that is stopped at the entry of each of its system calls, and before its memory goes."""

    def __init__(self, argv, input=b"", env=None):
        """`input` is its standard input; what it prints is `output`."""
        self._input, give = os.pipe()
        os.write(give, input)
        os.close(give)
        self._output = os.memfd_create("output")
        self.exit = None
        self.pid = os.fork()
        if self.pid == 0:
            self._become([str(word) for word in argv], env)
        os.waitpid(self.pid, 0)  # the stop behind execve
        self._ptrace(_SETOPTIONS, _SYSGOOD | _TRACEEXIT | _KILL_AT_EXIT)

    def stops(self):
        """Goes on to the next stop: False at a system call, True at the last one, when its memory is as it leaves it."""
        request, pass_on, at_entry = _SYSCALL, 0, False
        while True:
            self._ptrace(request, pass_on)
            _, status = os.waitpid(self.pid, 0)
            if not os.WIFSTOPPED(status):
                self.exit = os.waitstatus_to_exitcode(status)
                return
            pass_on = 0
            if status >> 16 == _EVENT_EXIT:
                yield True
                request = _CONT
            elif os.WSTOPSIG(status) == signal.SIGTRAP | 0x80:
                at_entry = not at_entry
                if at_entry:
                    yield False
            else:
                pass_on = os.WSTOPSIG(status)

    @property
    def output(self):
        return os.pread(self._output, 1 << 20, 0).decode(errors="replace")

    def end(self):
        if self.exit is None:
            os.kill(self.pid, signal.SIGKILL)
            stopped = True
            while stopped:
                _libc.ptrace(_CONT, self.pid, None, None)  # fails where it goes on by itself
                stopped = os.WIFSTOPPED(os.waitpid(self.pid, 0)[1])
        for fd in (self._input, self._output):
            os.close(fd)

    def _become(self, argv, env):
        try:
            os.dup2(self._input, 0)
            os.dup2(self._output, 1)
            os.dup2(self._output, 2)
            _libc.ptrace(_TRACEME, 0, None, None)
            os.execve(argv[0], argv, {**os.environ, **(env or {})})
        finally:
            os._exit(127)

    def _ptrace(self, request, data):
        if _libc.ptrace(request, self.pid, None, data) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")
