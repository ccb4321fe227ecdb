"""Calls of the kernel that fail, and rooms that are killed, while knocks come: nothing opens that was refused, and nothing
twice; the daemon goes on, or ends with a message and an exit status.

    TORTURE_FAULTS=N|all|WORDS  TORTURE_KILLS=N  TORTURE_SEED=N       how many of each, and which

A fault has a name like "EIO at fdatasync 1 of the gatekeeper, at a knock"; WORDS stand for those in whose names they are.

Which calls are made is counted, not listed: all that the daemon makes for a knock and for a question of oneknockctl, and all
those of its start, are candidates, each with the errors that such a call may have.
"""

import collections
import contextlib
import errno
import os
import random
import signal
import threading
import time

from fault_page import CALLS, FOR_EVER, IS_SHORT, ROOMS, FaultPage
from knocks import LOST, SERVER, Street

from door import READY, Daemon, Door, is_running, status_of
from harness import NetworkTest, eventually, main, program, run

_FAULTS = os.environ.get("TORTURE_FAULTS", "12")
_KILLS = int(os.environ.get("TORTURE_KILLS", "12"))
_SEED = int(os.environ.get("TORTURE_SEED", "1"))
_OCCURRENCES = 4   # the first calls of a kind that fail, one after the other; of more, one by chance
_PLAYED_EACH_TIME = 8

# Those that showed a defect once are always among them.
_ALWAYS = ("ENOMEM at send 1 of the firewall, at the start", "ENOBUFS at recvmsg 3 of the firewall, at the start",
           "EIO at write 1 of the listener, at the start", "ENOMEM at mmap 2 of the listener, at the start",
           "EPERM at prctl 4 of the listener, at the start", "EPERM at prctl 4 of the firewall, at the start",
           "ENOLCK at flock 2 of the firewall, at the start", "EIO at read 1 of the firewall, at the start",
           "EINTR at read 1 of the firewall, at the start")

_ON_FILES = (errno.EIO, errno.ENOSPC, errno.EINTR)
_ON_PATHS = (errno.EIO, errno.EACCES)
_ON_SOCKETS = (errno.EAGAIN, errno.EINTR, errno.ENOMEM, errno.ENOBUFS)
_NEW_DESCRIPTOR = (errno.EMFILE, errno.ENOMEM)
_ON_RIGHTS = (errno.EPERM,)
_ERRORS = {
    "accept4": (errno.EMFILE, errno.EINTR, errno.EAGAIN, errno.ECONNABORTED), "access": _ON_PATHS,
    "bind": (errno.ENOMEM, errno.EADDRINUSE), "capset": _ON_RIGHTS, "chdir": _ON_PATHS, "chroot": _ON_RIGHTS,
    "close_range": (errno.ENOSYS, errno.EMFILE), "connect": (errno.EAGAIN, errno.ECONNREFUSED), "dup2": (errno.EMFILE,),
    "eventfd": _NEW_DESCRIPTOR, "fallocate": _ON_FILES, "fchdir": _ON_PATHS, "fchmod": (errno.EIO, errno.EPERM),
    "fchown": (errno.EIO, errno.EPERM), "fchownat": (errno.EIO, errno.EPERM), "fcntl": (errno.EMFILE, errno.EAGAIN),
    "fdatasync": _ON_FILES, "flock": (errno.EINTR, errno.ENOLCK), "fork": (errno.EAGAIN, errno.ENOMEM),
    "fstat": (errno.EIO, errno.ENOMEM), "fstatat": _ON_PATHS, "fstatfs": (errno.EIO,), "fsync": _ON_FILES,
    "ftruncate": _ON_FILES, "getrandom": (errno.EINTR,), "getsockname": (errno.ENOBUFS,), "getsockopt": (errno.ENOMEM,),
    "inotify_add_watch": (errno.ENOSPC, errno.ENOMEM), "inotify_init1": _NEW_DESCRIPTOR, "ioctl": (errno.ENOMEM, errno.EIO),
    "lchown": (errno.EIO, errno.EPERM), "listen": (errno.EADDRINUSE,), "lseek": (errno.EIO,), "lstat": _ON_PATHS,
    "mkdir": (errno.ENOSPC, errno.EIO), "mlock": (errno.ENOMEM, errno.EAGAIN), "mmap": (errno.ENOMEM,),
    "mprotect": (errno.ENOMEM,), "open": (*_NEW_DESCRIPTOR, errno.EIO, errno.EINTR),
    "openat": (*_NEW_DESCRIPTOR, errno.EIO, errno.EINTR), "pipe2": _NEW_DESCRIPTOR, "poll": (errno.EINTR, errno.ENOMEM),
    "ppoll": (errno.EINTR, errno.ENOMEM), "prctl": (errno.EPERM, errno.EINVAL), "pread": (errno.EIO, errno.EINTR),
    "pthread_sigmask": (errno.EINVAL,), "pwrite": (*_ON_FILES, IS_SHORT), "read": (errno.EIO, errno.EINTR, errno.EAGAIN),
    "readlink": _ON_PATHS, "recv": _ON_SOCKETS, "recvfrom": _ON_SOCKETS, "recvmsg": _ON_SOCKETS, "rename": _ON_FILES,
    "sched_setscheduler": _ON_RIGHTS, "send": _ON_SOCKETS, "sendmsg": _ON_SOCKETS, "sendto": _ON_SOCKETS, "setgroups": _ON_RIGHTS,
    "setresgid": (errno.EPERM, errno.EAGAIN), "setresuid": (errno.EPERM, errno.EAGAIN), "setrlimit": _ON_RIGHTS,
    "setsockopt": (errno.ENOMEM, errno.EPERM), "signalfd": _NEW_DESCRIPTOR,
    "socket": (*_NEW_DESCRIPTOR, errno.EAFNOSUPPORT), "socketpair": _NEW_DESCRIPTOR, "stat": _ON_PATHS, "statfs": (errno.EIO,),
    "syscall": (errno.ENOSYS, errno.EPERM, errno.ENOMEM), "timerfd_create": _NEW_DESCRIPTOR, "timerfd_settime": (errno.ENOMEM,),
    "unlink": _ON_FILES, "write": (*_ON_FILES, errno.EAGAIN, IS_SHORT),
}
assert set(_ERRORS) == set(CALLS)

# Of /proc/PID/status: what a process may do.
_RIGHTS_OF_A_PROCESS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
                        "Seccomp_filters")

Fault = collections.namedtuple("Fault", "phase room call error first")


class Torture(NetworkTest):
    def build(self):
        self.page = FaultPage(self.net.path("faults"))
        self.chance = random.Random(_SEED)
        self.outcomes = collections.Counter()
        self.opened, self.unopened = {}, {}  # {number: packets}
        self.next = 0
        self.new_door()

    def new_door(self):
        """With a record that knows nothing, and knocks that only it will get."""
        name = f"home{self.next}"
        self.door = Door(self.net, SERVER, services=("ssh=tcp/22",), name=name, tolerance="1h")
        key = self.door.add("alice", "--max-duration", "1h")
        self.other_key = self.door.add("bob", "--max-duration", "1h")
        if self.next == 0:
            self.street = Street(self.net, key)
        self.street.key = key
        self.opened.clear()
        self.unopened.clear()
        self.next += 1
        self.daemon = self.start()
        self.rights = {room: rights(pid) for room, pid in self.daemon.rooms().items()}

    def start(self):
        return Daemon(self.net, self.street.server, self.door, env=self.page.environment)

    # --- knocks ---------------------------------------------------------------------------------------------------

    def new_knock(self):
        self.next += 1
        return self.next, self.street.planned(self.next)

    def settles(self, number, seen):
        """Whether the knock's fate is known: open, refused, or the daemon has ended."""
        is_refused = self.daemon.process.count("refused:") > seen
        return is_refused or self.daemon.process.exit is not None or self.street.is_open(number)

    def note(self, number, packets):
        """Whether it opened."""
        opened = self.street.is_open(number)
        (self.opened if opened else self.unopened)[number] = packets
        return opened

    def play_back(self, count):
        """The latest knocks that opened must not open; those that did not may, once."""
        opened = dict(list(self.opened.items())[-count:])
        self.assertEqual(self.street.play_back(self.daemon, opened), [], self.daemon.log)
        for number in self.street.play_back(self.daemon, self.unopened):
            self.opened[number] = self.unopened[number]
        self.unopened.clear()
        return len(opened)

    def a_knock_opens(self):
        """The daemon serves as ever."""
        number, packets = self.new_knock()
        self.opens_in_the_end(number, packets)
        self.opened[number] = packets

    def opens_in_the_end(self, number, packets):
        """A knock is sent again until it opens, as --wait does."""
        def opens():
            if self.daemon.process.exit is not None:
                self.outcomes[self.ended("later")] += 1
                self.daemon = self.start()
            self.street.send(packets)
            end = time.monotonic() + 0.5
            while time.monotonic() < end and not self.street.is_open(number):
                time.sleep(0.002)
            return self.street.is_open(number)

        eventually(opens, lambda: f"a knock to open\n{self.daemon.log}")

    # --- faults ---------------------------------------------------------------------------------------------------

    def phases(self):
        """What the daemon does while a call fails. Each gets a function that has the fault set, and says what became of it."""
        return {"at the start": self.start_with_fault, "at a knock": self.knock_with_fault,
                "at a revocation": self.revoke_with_fault, "at a repair": self.repair_with_fault}

    def candidates(self):
        """Every fault there may be."""
        found = []
        for phase, act in self.phases().items():
            act(self.page.clear)
            counts = self.page.counts()
            print(f"calls {phase}:", ", ".join(f"{room} {call} {count}" for (room, call), count in counts.items()), flush=True)
            found += [Fault(phase, room, call, error, first) for (room, call), count in counts.items()
                      for first in self.occurrences(count) for error in _ERRORS[call]]
        return found

    def choose(self, faults):
        if _FAULTS.isdigit():
            others = [fault for fault in faults if name_of(fault) not in _ALWAYS]
            return [fault for fault in faults if name_of(fault) in _ALWAYS] + self.chance.sample(others, int(_FAULTS))
        return [fault for fault in faults if _FAULTS == "all" or _FAULTS in name_of(fault)]

    def occurrences(self, count):
        known = list(range(1, min(count, _OCCURRENCES) + 1))
        return known + ([self.chance.randint(_OCCURRENCES + 1, count)] if count > _OCCURRENCES else [])

    def try_fault(self, fault):
        outcome = self.phases()[fault.phase](lambda: self.page.set(fault.room, fault.call, fault.error, fault.first))
        hits = self.page.hits()
        self.page.stop()
        if self.daemon.process.exit is not None:
            self.daemon = self.start()
        self.outcomes[outcome if hits else "not reached"] += 1
        if self.daemon.process.count(LOST):
            self.outcomes["record called lost"] += 1
            print(f"  the record was called lost after {name_of(fault)}", flush=True)
            self.assertEqual(self.street.play_back(self.daemon, self.opened), [])
            self.daemon.stop()
            self.new_door()
        self.a_knock_opens()
        self.play_back(_PLAYED_EACH_TIME)

    def knock_with_fault(self, arm):
        """A knock and a question."""
        number, packets = self.new_knock()
        arm()
        seen = self.daemon.process.count("refused:")
        self.street.send(packets)
        end = time.monotonic() + 0.3  # a packet may be lost that way, and with it the knock
        while time.monotonic() < end and not self.settles(number, seen):
            time.sleep(0.001)
        self.daemon.ctl("status", check=False)
        opened = self.note(number, packets)
        if self.daemon.process.exit is None:
            refused = self.daemon.process.count("refused:") > seen
            self.assertFalse(opened and refused, f"refused, and open\n{self.daemon.log}")
            return "opened" if opened else "refused" if refused else "lost"
        return self.ended("at a knock")

    def other_client_opens(self):
        """The number of bob's knock, whose key may still be revoked."""
        self.door.unrevoke("bob", check=False)
        self.next += 1
        self.opens_in_the_end(self.next, self.street.planned(self.next, self.other_key))
        return self.next

    def revoke_with_fault(self, arm):
        """What bob has opened is closed soon, at the latest by the next start; whether keygen had an answer or not."""
        number = self.other_client_opens()
        arm()
        self.door.revoke("bob", check=False)
        eventually(lambda: self.daemon.process.exit is not None or not self.street.is_open(number),
                   lambda: f"a revocation in force\n{self.daemon.log}")
        outcome = "closed" if self.daemon.process.exit is None else self.ended("at a revocation")
        self.page.stop()
        if self.daemon.process.exit is not None:
            self.daemon = self.start()
            self.assertFalse(self.street.is_open(number), self.daemon.log)
        return outcome

    def is_repaired(self, number):
        """The grant of that knock is back, and nothing else is open."""
        return self.street.is_open(number) and not self.street.is_open(number + 1)

    def repair_with_fault(self, arm):
        """Others flush the rules, as a reload of theirs does."""
        number = self.other_client_opens()
        arm()
        self.street.server.run("nft", "flush", "ruleset")
        eventually(lambda: self.daemon.process.exit is not None or self.is_repaired(number),
                   lambda: f"the guard to be back\n{self.daemon.log}")
        self.next += 1
        return "repaired" if self.daemon.process.exit is None else self.ended("at a repair")

    def start_with_fault(self, arm):
        self.daemon.stop()
        arm()
        self.daemon.process = self.net.start(self.street.server, program("oneknockd"), "--config", self.door.config,
                                             env=self.page.environment)
        eventually(lambda: self.daemon.process.exit is not None or self.daemon.process.count(READY) or self.answers_after_fault(),
                   lambda: f"the daemon to be ready or to end\n{self.daemon.log}")
        if self.daemon.process.exit is not None:
            return self.ended("at the start")
        eventually(lambda: self.daemon.process.exit is not None or self.is_locked_in(), lambda: f"rights taken\n{self.daemon.log}")
        return "started"

    def answers_after_fault(self):
        """The call that failed may have been the one that says that it is ready."""
        return self.page.hits() and self.daemon.ctl("status", check=False).returncode == 0

    def is_locked_in(self):
        """Each room as in a daemon that met no fault."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # of a room that ends at this moment
            return all(rights(pid) == self.rights.get(room, rights(pid)) for room, pid in self.daemon.rooms().items())

    def ended(self, when):
        """It says why, and with its status that it did."""
        code = self.daemon.process.wait()
        self.assertNotEqual(code, 0, self.daemon.log)
        self.assertGreater(code, 0, f"a signal\n{self.daemon.log}")
        self.assertRegex(self.daemon.log, r"(?m)^error: .+ .+")
        self.assertNotIn("killed by signal", self.daemon.log)  # by its filter, say
        return f"ended {when} with {code}"

    def test_faults_neither_open_what_was_refused_nor_open_anything_twice(self):
        faults = self.candidates()
        chosen = self.choose(faults)
        for fault in chosen:
            with self.subTest(name_of(fault)):
                try:
                    self.try_fault(fault)
                except AssertionError:
                    self.page.stop()
                    self.daemon.process.stop()
                    self.new_door()
                    raise
        played = self.play_back(len(self.opened))
        print(f"{len(chosen)} of {len(faults)} faults: {dict(self.outcomes)}; {played} knocks played back at the end",
              flush=True)

    def test_a_revocation_that_cannot_be_written_down_closes_and_says_so(self):
        number = self.other_client_opens()
        self.page.set("gatekeeper", "pwrite", errno.EIO, times=FOR_EVER)
        done = self.daemon.ctl("revoke", "bob", check=False)
        self.page.stop()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("1 grant closed, but the replay record could not be written", done.stderr)
        self.assertFalse(self.street.is_open(number))

    def test_a_grant_of_a_service_that_is_gone_is_closed_once_the_firewall_answers_again(self):
        keygen = (program("oneknock-keygen"), "service")
        run(*keygen, "add", "--dir", self.door.folder, "web=tcp/80")
        self.a_knock_opens()
        self.page.set("firewall", "recvfrom", errno.ENOBUFS, times=FOR_EVER)
        run(*keygen, "remove", "--dir", self.door.folder, "ssh", check=False)
        self.daemon.wait_for("refused to close a grant")
        self.page.stop()

        def is_closed_for_good():
            count = self.daemon.process.count("refused to close a grant")
            time.sleep(2.5)  # retries come each second
            return not self.daemon.grants() and self.daemon.process.count("refused to close a grant") == count

        eventually(is_closed_for_good, lambda: f"the grant to be closed\n{self.daemon.log}")

    def test_a_grant_whose_answer_is_lost_is_listed_and_can_be_revoked(self):
        number, packets = self.new_knock()
        self.page.set("firewall", "recvfrom", errno.ENOBUFS, times=FOR_EVER)
        self.street.send(packets)
        self.daemon.wait_for("did not say in time whether it has changed tcp/22")
        self.page.stop()
        self.assertTrue(self.street.is_open(number))
        self.assertEqual([grant["client"] for grant in self.daemon.grants()], ["alice"])
        self.daemon.ctl("revoke", "alice")
        self.assertFalse(self.street.is_open(number))

    # --- kills ----------------------------------------------------------------------------------------------------

    def kill_during_knocks(self, room):
        """At a random moment; the others go with it."""
        knocks = dict(self.new_knock() for _ in range(2))
        pids = self.daemon.rooms()
        killing = threading.Timer(self.chance.uniform(0, 0.012), os.kill, (pids[room], signal.SIGKILL))
        killing.start()
        self.street.send(*knocks.values())
        killing.join()
        eventually(lambda: not any(map(is_running, pids.values())), "the other rooms to end")
        self.assertNotEqual(self.daemon.process.wait(), 0)
        opened = sum(self.note(number, packets) for number, packets in knocks.items())
        self.outcomes[f"{room} killed, {opened} open"] += 1

    def test_a_room_that_is_killed_takes_the_others_along_and_no_knock_opens_twice(self):
        for number in range(_KILLS):
            self.kill_during_knocks(ROOMS[number % len(ROOMS)])
            self.daemon = self.start()
            self.assertEqual(self.daemon.process.count(LOST), 0, self.daemon.log)
            self.play_back(_PLAYED_EACH_TIME)
        played = self.play_back(len(self.opened))
        print(f"{_KILLS} kills: {dict(self.outcomes)}; {played} knocks played back at the end", flush=True)


def rights(pid):
    """What a room may do, that nothing goes out by its standard input and output, and that nobody may look into it."""
    status = status_of(pid)
    return {**{field: status[field] for field in _RIGHTS_OF_A_PROCESS}, "modes": [access_mode(pid, fd) for fd in (0, 1)],
            "root": os.readlink(f"/proc/{pid}/root") == "/", "owner": os.stat(f"/proc/{pid}").st_uid}


def access_mode(pid, descriptor):
    with open(f"/proc/{pid}/fdinfo/{descriptor}", encoding="ascii") as file:
        flags = next(line for line in file if line.startswith("flags:"))
    return int(flags.split()[1], 8) & os.O_ACCMODE


def name_of(fault):
    error = "a short write" if fault.error == IS_SHORT else errno.errorcode[fault.error]
    return f"{error} at {fault.call} {fault.first} of the {fault.room}, {fault.phase}"


if __name__ == "__main__":
    main(3600)
