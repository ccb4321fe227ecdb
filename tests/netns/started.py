"""Whatever an init, a container or a supervisor hands over: the daemon starts and a knock opens, or it says in one sentence
what is wrong and exits with the code for it. It never hangs, and leaves no process behind.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)
"""

import contextlib
import json
import os
import pty
import resource
import signal
import socket
import stat
import subprocess

from door import PlainHouse, is_running, knock, rooms
from harness import eventually, main, program, run

UNAVAILABLE, SYSTEM, CANNOT_CREATE, PERMISSION, CONFIG = 69, 71, 73, 77, 78
EVERY_SIGNAL = set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}
MIB = 1 << 20


def limit(name, soft, hard=None):
    """Before the daemon is executed: ulimit."""
    return lambda: resource.setrlimit(getattr(resource, "RLIMIT_" + name), (soft, soft if hard is None else hard))


def ignore(*signals):
    return lambda: [signal.signal(each, signal.SIG_IGN) for each in signals]


def inherit(count, make):
    """Leaves descriptors open across execve."""
    def leave():
        for _ in range(count):
            for fd in make():
                os.set_inheritable(fd, True)
    return leave


def a_file():
    return [os.open("/etc/passwd", os.O_RDONLY)]


def two_sockets():
    return [each.detach() for each in socket.socketpair()]


def stream(which, make):
    """A standard stream of another kind; `which` is "2" or "012"."""
    return lambda: [os.dup2(make(), int(fd)) for fd in which]


def without_peer(pair):
    os.close(pair[0])
    return pair[1]


def full_pipe():
    reads, writes = os.pipe()
    os.set_inheritable(reads, True)
    os.set_blocking(writes, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writes, b"x" * 4096)
    os.set_blocking(writes, True)
    return writes


def variables(**more):
    return {"env": {**os.environ, **more}}


def mounted(*lines):
    """Behind changes of the mounts, in a mount namespace of its own."""
    setup = " && ".join(("mount --make-rprivate /", *lines))
    return {"before": ("unshare", "--mount", "sh", "-c", setup + ' && exec "$@"', "sh")}


def without(*capabilities):
    return {"before": ("setpriv", "--bounding-set", ",".join("-" + each for each in capabilities))}


NO_DEV = "mount -t tmpfs none /dev"

WORKS = [
    *((f"descriptors {' and '.join(closed)} are closed", {"closed": closed})
      for closed in ("0", "1", "2", "01", "02", "12", "012")),
    ("200 files are inherited", {"pre": inherit(200, a_file)}),
    ("200 sockets are inherited", {"pre": inherit(100, two_sockets)}),
    ("200 ends of pipes are inherited", {"pre": inherit(100, os.pipe)}),
    ("the limit is 24 descriptors", {"pre": limit("NOFILE", 24)}),
    ("the limit is 8 descriptors and may be raised", {"pre": limit("NOFILE", 8, 4096)}),
    ("inherited descriptors have used the limit up", {"pre": lambda: (inherit(60, a_file)(), limit("NOFILE", 40)())}),
    ("the environment is empty", {"env": {}}),
    ("the environment is huge", variables(**{f"V{i}": "x" * 100_000 for i in range(15)})),
    ("the environment has leftovers of the loader", variables(LD_LIBRARY_PATH="/nonexistent", LD_BIND_NOW="1")),
    ("the folders in the environment do not exist", variables(TMPDIR="/nonexistent", HOME="/nonexistent", TZ=":/nonexistent",
                                                              LC_ALL="xx_XX", SQLITE_TMPDIR="/nonexistent")),
    *((f"NOTIFY_SOCKET is {path[:20] or 'empty'}", {**variables(NOTIFY_SOCKET=path), "says": "NOTIFY_SOCKET" if path else ""})
      for path in ("/nonexistent", "@nobody", "", "vsock:2:3", "/" + "x" * 200)),
    ("the working folder is deleted", {"folder": "deleted"}),
    ("umask 0777", {"pre": lambda: os.umask(0o777)}),
    ("umask 0", {"pre": lambda: os.umask(0)}),
    ("every signal is blocked", {"pre": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, EVERY_SIGNAL)}),
    ("every signal is ignored", {"pre": ignore(*(each for each in EVERY_SIGNAL if each < 32))}),
    ("the ends of children are ignored", {"pre": ignore(signal.SIGCHLD)}),
    ("no core dump, no process, no signal may be", {"pre": lambda: [limit(each, 0)() for each in
                                                                    ("CORE", "NPROC", "SIGPENDING", "MSGQUEUE", "NICE")]}),
    ("the stack may have 128 KiB", {"pre": limit("STACK", 128 * 1024)}),
    ("the stack is small and may be larger", {"pre": limit("STACK", 24 * 1024, 8 * MIB)}),
    ("there is no /dev", mounted(NO_DEV)),
    ("there is no /dev and no standard stream", {**mounted(NO_DEV), "closed": "012"}),
    ("/dev/null is a folder", mounted(NO_DEV, "mkdir /dev/null")),
    ("/dev/null is a pipe and no stream is there", {**mounted(NO_DEV, "mkfifo /dev/null"), "closed": "012"}),
    ("/dev/null is a file and no stream is there", {**mounted(NO_DEV, "echo x > /dev/null"), "closed": "012"}),
    ("/dev/null belongs to root alone", mounted(NO_DEV, "mknod -m 000 /dev/null c 1 3")),
    ("there is no /sys", mounted("umount -l /sys")),
    ("a new session", {"before": ("setsid",)}),
    ("a leader of a group", {"pre": lambda: os.setpgid(0, 0)}),
    ("nice 19", {"pre": lambda: os.nice(19)}),
    ("one processor", {"before": ("taskset", "1")}),
    ("the capabilities of a container", {"before": ("setpriv", "--bounding-set", "-all,+chown,+dac_override,+setgid,+setuid,"
                                                    "+setpcap,+net_raw,+sys_chroot,+net_admin")}),
    ("no new privileges", {"before": ("setpriv", "--no-new-privs")}),
    ("every stream is a folder", {"pre": stream("012", lambda: os.open("/", os.O_RDONLY))}),
    ("every stream is full", {"pre": stream("012", lambda: os.open("/dev/full", os.O_RDWR))}),
    ("every stream is a full pipe", {"pre": stream("012", full_pipe)}),
    ("every stream is a pipe without a reader", {"pre": stream("012", lambda: without_peer(os.pipe()))}),
    ("every stream is a socket without a peer", {"pre": stream("012", lambda: without_peer(two_sockets()))}),
    ("every stream is a socket of no connection", {"pre": stream("012", lambda: socket.socket().detach())}),
    ("every stream is a terminal that was hung up", {"pre": stream("012", lambda: without_peer(pty.openpty()))}),
]

REFUSED = [
    ("10 descriptors", {"pre": limit("NOFILE", 10)}, SYSTEM, r"Too many open files.*ulimit -n"),
    ("16 descriptors", {"pre": limit("NOFILE", 16)}, SYSTEM, r"Too many open files.*ulimit -n"),
    ("no file may grow", {"pre": limit("FSIZE", 0)}, CANNOT_CREATE, r"File too large.*ulimit -f"),
    ("no memory may be locked", {**without("sys_resource", "ipc_lock"), "pre": limit("MEMLOCK", 0)}, PERMISSION, r"ulimit -l"),
    ("no /proc", mounted("umount -l /proc"), SYSTEM, r"is /proc mounted\?"),
    ("an empty /proc", mounted("mount -t tmpfs none /proc"), SYSTEM, r"is /proc mounted\?"),
    ("a /run that cannot be written", mounted("mount -t tmpfs -o ro none /run"), CANNOT_CREATE, r"/run/oneknock: Read-only"),
    ("a runtime folder that is a file", mounted("mount -t tmpfs none /run", "touch /run/oneknock"), CANNOT_CREATE,
     r"/run/oneknock.*Not a directory"),
    ("no list of users", mounted("mount --bind /dev/null /etc/passwd"), CONFIG, r'"user": there is no user "oneknock"'),
    ("no CAP_NET_ADMIN", without("net_admin"), PERMISSION, r"CAP_NET_ADMIN.*AmbientCapabilities="),
    ("no CAP_NET_RAW", without("net_raw"), PERMISSION, r"CAP_NET_RAW"),
    ("no CAP_SETUID", without("setuid"), PERMISSION, r"cannot change the user"),
    ("no CAP_SYS_CHROOT", without("sys_chroot"), PERMISSION, r"chroot"),
    ("no CAP_CHOWN", without("chown"), PERMISSION, r"cannot hand over"),
]


def prepared(pre=None, closed="", folder=None):
    """What to do in the child before it executes the daemon."""
    def prepare():
        if folder:
            os.chdir(folder)
            os.rmdir(folder)
        if pre:
            pre()
        for fd in closed:
            os.close(int(fd))
    return prepare


def end(process):
    process.kill()
    process.wait()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def program_of(pid):
    """The path of the program that runs there; empty if none does any more."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except FileNotFoundError:
        return ""


def policies(pid):
    return {os.sched_getscheduler(each) for each in rooms(pid).values()}


def left_behind(state, *names):
    return {name: stat.S_IMODE(os.stat(os.path.join(state, name)).st_mode) for name in names}


class Started(PlainHouse):
    def build(self):
        super().build()
        self.daemon.stop()

    def launch(self, pre=None, closed="", folder=None, env=None, before=(), says=""):
        """oneknockd as whoever started it has arranged things; its process and the file of its log."""
        if folder:
            folder = self.net.path(folder)
            os.mkdir(folder)
        self.said = ""
        self.reads, writes = os.pipe()  # no file: the size of one may be limited
        self.addCleanup(os.close, self.reads)
        os.set_blocking(self.reads, False)
        with self.server:
            process = subprocess.Popen([*before, program("oneknockd"), "--config", self.door.config], stdin=subprocess.DEVNULL,
                                       stdout=writes, stderr=writes, close_fds=False, restore_signals=False, env=env,
                                       preexec_fn=prepared(pre, closed, folder))
        os.close(writes)
        return self.net.keep(process, end)

    def log(self):
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self.reads, 65536):
                self.said += more.decode(errors="replace")
        return self.said

    def status(self):
        done = run(program("oneknockctl"), "--socket", self.door.socket, "status", "--json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def await_ready(self, process):
        """Until a knock has been accepted: also where there is no log to read "ready" in."""
        eventually(lambda: self.status() or process.poll() is not None, lambda: "an answer; the log: " + self.log())
        self.assertIsNone(process.poll(), self.log())

    def assert_works(self, process):
        self.await_ready(process)
        knock(self.client, self.key)
        eventually(lambda: (self.status() or {"accepted": 0})["accepted"] == 1 or process.poll() is not None,
                   lambda: "a knock to be accepted; the log: " + self.log())
        self.assertIsNone(process.poll(), self.log())

    def assert_stops(self, process, pid=None):
        pids = rooms(pid or process.pid).values()
        os.kill(pid or process.pid, signal.SIGTERM)
        self.assertEqual(process.wait(20), 0, self.log())
        eventually(lambda: not any(map(is_running, pids)), "the rooms to be gone")

    def pids(self):
        return [int(pid) for pid in self.server.run("ip", "netns", "pids", self.server.name).stdout.split()]

    def no_room_is_left(self):
        return not any("oneknockd" in os.path.basename(program_of(pid)) for pid in self.pids())

    # --- the table -----------------------------------------------------------------------------------------------

    def test_it_starts_and_a_knock_opens(self):
        for what, arranged in WORKS:
            with self.subTest(what):
                process = self.launch(**arranged)
                self.assert_works(process)
                self.assertIn(arranged.get("says", ""), self.log())
                self.assert_stops(process)

    def test_it_says_what_is_missing(self):
        for what, arranged, code, sentence in REFUSED:
            with self.subTest(what):
                process = self.launch(**arranged)
                self.assertEqual(process.wait(20), code, self.log())
                self.assertRegex(self.log(), r"(?m)^error: .*" + sentence)
                eventually(self.no_room_is_left)

    def test_too_little_memory_is_no_defect(self):
        for name in ("AS", "DATA"):
            for size in (1 * MIB, 4 * MIB, 12 * MIB, 16 * MIB, 20 * MIB):
                with self.subTest(limit=name, size=size):
                    process = self.launch(pre=limit(name, size))
                    eventually(lambda: process.poll() is not None or self.status(), self.log)
                    if process.poll() is None:
                        self.assert_stops(process)
                    elif process.returncode not in (127, -signal.SIGSEGV):  # the loader's, and before it the kernel's
                        self.assertIn(process.returncode, (UNAVAILABLE, SYSTEM), self.log())
                        self.assertRegex(self.log(), "memory|status 127")

    # --- what stays ------------------------------------------------------------------------------------------------

    def test_nothing_that_was_inherited_stays_open(self):
        process = self.launch(pre=inherit(20, a_file))
        self.await_ready(process)
        for pid in rooms(process.pid).values():
            names = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            self.assertNotIn("/etc/passwd", names)
        self.assert_stops(process)

    def test_files_have_their_modes_whatever_the_umask(self):
        kept = self.door.state + "-kept"
        os.rename(self.door.state, kept)
        for umask in (0, 0o777):
            process = self.launch(pre=lambda: os.umask(umask))
            self.await_ready(process)
            self.assertEqual(left_behind(self.door.state, ".", "lock", "oneknock.db", self.door.socket),
                             {".": 0o700, "lock": 0o600, "oneknock.db": 0o600, self.door.socket: 0o660})
            self.assert_stops(process)
            run("rm", "-r", self.door.state)
        os.rename(kept, self.door.state)

    def test_children_that_are_not_its_own_end_without_a_word(self):
        process = self.launch(before=("sh", "-c", 'sleep 0.1 & exec "$@"', "sh"))
        self.await_ready(process)
        eventually(lambda: len(children(process.pid)) == 2, "the other child to be buried")
        self.assert_works(process)
        self.assert_stops(process)

    def test_process_1_of_a_container_buries_the_orphans(self):
        process = self.launch(before=("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"))
        self.await_ready(process)
        first, = children(process.pid)
        run("nsenter", "-t", first, "-p", "-m", "sh", "-c", "(sleep 0.1 &)")
        eventually(lambda: len(children(first)) == 2, "the orphan to be buried")
        self.assert_works(process)
        self.assert_stops(process, first)

    def test_a_policy_of_the_scheduler_stays(self):
        for policy, words in ((os.SCHED_RR, ("-r", "1")), (os.SCHED_BATCH, ("-b", "0"))):
            process = self.launch(before=("chrt", *words))
            self.await_ready(process)
            self.assertEqual(policies(process.pid), {policy})
            self.assert_stops(process)

    def test_it_outlives_whoever_started_it(self):
        process = self.launch(before=("sh", "-c", '"$@" & exit 0', "sh"))
        self.assertEqual(process.wait(20), 0)
        eventually(self.status)
        daemon = next(pid for pid in self.pids() if program_of(pid) == os.path.realpath(program("oneknockd")))
        knock(self.client, self.key)
        eventually(lambda: self.status()["accepted"] == 1)
        os.kill(daemon, signal.SIGTERM)
        eventually(self.no_room_is_left)

    def test_a_service_manager_that_is_busy_is_told_later(self):
        path = self.net.path("notify")
        manager = self.net.keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), socket.socket.close)
        manager.bind(path)
        others = self.net.keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), socket.socket.close)
        others.connect(path)
        others.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                others.send(b"STATUS=busy")
        process = self.launch(**variables(NOTIFY_SOCKET=path))
        eventually(lambda: "ready:" in self.log())
        manager.settimeout(20)
        while not manager.recv(4096).startswith(b"READY=1\n"):
            pass
        self.assert_stops(process)


if __name__ == "__main__":
    main()
