"""The test's side of faults.c: which calls the daemon's programs make, and which of them is to fail.

    page = FaultPage(net.path("faults"))
    daemon = Daemon(..., env=page.environment)
    page.set("gatekeeper", "fdatasync", errno.EIO)
"""

import mmap
import os
import struct

LIBRARY = os.environ.get("FAULTS_LIBRARY", "")
ROOMS = ("firewall", "listener", "gatekeeper")
CALLS = ("accept4", "access", "bind", "capset", "chdir", "chroot", "close_range", "connect", "dup2", "eventfd",
         "fallocate", "fchdir", "fchmod", "fchown", "fchownat", "fcntl", "fdatasync", "flock", "fork", "fstat",
         "fstatat", "fstatfs", "fsync", "ftruncate", "getrandom", "getsockname", "getsockopt", "inotify_add_watch",
         "inotify_init1", "ioctl", "lchown", "listen", "lseek", "lstat", "mkdir", "mlock", "mmap", "mprotect", "open",
         "openat", "pipe2", "poll", "ppoll", "prctl", "pread", "pthread_sigmask", "pwrite", "read", "readlink", "recv",
         "recvfrom", "recvmsg", "rename", "sched_setscheduler", "send", "sendmsg", "sendto", "setgroups", "setresgid",
         "setresuid", "setrlimit", "setsockopt", "signalfd", "socket", "socketpair", "stat", "statfs", "syscall",
         "timerfd_create", "timerfd_settime", "unlink", "write")
EVERY_SYNC = "fdatasync and fsync"
DOES_NOTHING, IS_SHORT = 0, -1  # in place of an error
FOR_EVER = 1 << 31
_SLOT = struct.Struct("=iiIII123I")
_ARMED = struct.Struct("=iiIII")
_NONE = -1
_NUMBERS = {**{call: number for number, call in enumerate(CALLS)}, EVERY_SYNC: len(CALLS)}


class FaultPage:
    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(_SLOT.size * len(ROOMS))
            self._page = mmap.mmap(file.fileno(), _SLOT.size * len(ROOMS))
        self.environment = {"LD_PRELOAD": LIBRARY, "FAULTS": path}
        self.clear()

    def clear(self):
        """No call fails, and all counts are zero."""
        for at in range(len(ROOMS)):
            _ARMED.pack_into(self._page, at * _SLOT.size, _NONE, 0, 0, 0, 0)
            self._page[at * _SLOT.size + _ARMED.size:(at + 1) * _SLOT.size] = bytes(_SLOT.size - _ARMED.size)

    def set(self, room, call, error, first=1, times=1):
        """From now on the `first` of these calls in that room fails with that error, and the next ones up to `times`."""
        self.clear()
        at = ROOMS.index(room) * _SLOT.size
        _ARMED.pack_into(self._page, at, _NONE, error, first, times, 0)
        struct.pack_into("=i", self._page, at, _NUMBERS[call])

    def stop(self):
        """No call fails any more; what was counted stays."""
        for at in range(len(ROOMS)):
            struct.pack_into("=i", self._page, at * _SLOT.size, _NONE)

    def hits(self):
        """How many calls have failed."""
        return sum(_ARMED.unpack_from(self._page, at * _SLOT.size)[4] for at in range(len(ROOMS)))

    def counts(self):
        """{(room, call): how often it was made}, of those that were."""
        found = {}
        for at, room in enumerate(ROOMS):
            for call, count in zip(CALLS, _SLOT.unpack_from(self._page, at * _SLOT.size)[5:]):
                if count:
                    found[room, call] = count
        return found
