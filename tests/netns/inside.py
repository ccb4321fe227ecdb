"""What code that has taken a room over can do: system calls made inside the running daemon's processes.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)
"""

import ctypes
import errno
import fcntl
import os
import signal
import socket
import struct
import unittest

from door import Daemon, PlainHouse, knock, status_of
from harness import eventually, main, program
from inject import IS_POSSIBLE, NUMBERS, Injected, Killed, packet_sockets
from traffic import OPEN, attempt

AT_FDCWD = -100
O_RDONLY, O_WRONLY, O_RDWR, O_CREAT = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_CREAT
SOL_SOCKET, SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER = 1, 26, 27, 44
SOL_PACKET, PACKET_TX_RING, PACKET_FANOUT = 263, 13, 18
PROT_READ, PROT_WRITE, PROT_EXEC, MAP_PRIVATE, MAP_ANONYMOUS = 1, 2, 4, 2, 32
F_DUPFD, F_DUPFD_CLOEXEC, F_SETFL, F_SETOWN, F_SETSIG, F_SETOWN_EX = 0, 1030, 4, 8, 10, 15
TIOCSTI, SIOCSIFFLAGS, FIOSETOWN, SIOCSPGRP = 0x5412, 0x8914, 0x8901, 0x8902
PR_SET_PDEATHSIG = 1
LISTENER_CHANNEL, GATEKEEPER_LISTENER, GATEKEEPER_CONTROL = 3, 3, 6
SECRET = "a file that none of the rooms has to do with"
NOBODY = "65534:65534"
_libc = ctypes.CDLL(None, use_errno=True)


def sll(index):
    """Where a packet socket sends: an IPv4 packet by the interface of this index."""
    return struct.pack("<HHiHBB8s", 17, 0x0008, index, 1, 0, 6, bytes(8))


def forbidden_everywhere(inside, others):
    """What no room may: (what, call, arguments). `others` are the other rooms' process ids."""
    path, argv, one = inside.put(b"/bin/true\0"), inside.put(bytes(16)), inside.put(bytes(64))
    for other in others:
        yield "kill another room", "kill", other, signal.SIGTERM
        yield "kill another room's thread", "tgkill", other, other, signal.SIGABRT
        yield "kill another room's thread", "tkill", other, signal.SIGTERM
        yield "send another room a signal", "rt_sigqueueinfo", other, signal.SIGTERM, one
        yield "send another room's thread a signal", "rt_tgsigqueueinfo", other, other, signal.SIGTERM, one
        yield "trace another room", "ptrace", 16, other, 0, 0
        yield "read another room's memory", "process_vm_readv", other, one, 1, one, 1, 0
        yield "write another room's memory", "process_vm_writev", other, one, 1, one, 1, 0
        yield "hold another room", "pidfd_open", other, 0
        yield "limit another room", "prlimit64", other, 7, one, 0
    yield "connect", "socket", 2, 1, 0
    yield "hear packets", "socket", 17, 3, 0
    yield "ask netlink", "socket", 16, 3, 0
    yield "make a channel", "socketpair", 1, 1, 0, one
    yield "connect", "connect", 0, one, 16
    yield "listen", "bind", 0, one, 16
    yield "listen", "listen", 0, 1
    yield "start a program", "execve", path, argv, argv
    yield "start a program", "execveat", AT_FDCWD, path, argv, argv, 0
    yield "fork", "fork"
    yield "make a thread", "clone", 0x10F00, 0, 0, 0, 0
    yield "make a process", "clone3", one, 64
    yield "take a descriptor", "pidfd_getfd", 0, 0, 0
    yield "signal by descriptor", "pidfd_send_signal", 0, 9, 0, 0
    yield "duplicate", "dup", 0
    yield "duplicate over standard error", "dup2", 0, 2
    yield "duplicate over standard error", "dup3", 0, 2, 0
    yield "duplicate", "fcntl", 0, F_DUPFD, 40
    yield "duplicate", "fcntl", 0, F_DUPFD_CLOEXEC, 40
    for command in (F_SETOWN, F_SETOWN_EX, F_SETSIG):
        yield "have signals sent", "fcntl", 0, command, 1
    for request in (FIOSETOWN, SIOCSPGRP):
        yield "have signals sent", "ioctl", 3, request, one
    yield "have signals sent by a timer", "timer_create", 1, one, one
    yield "have signals sent by a queue", "mq_notify", 0, one
    yield "outlive the parent", "prctl", PR_SET_PDEATHSIG, 0, 0, 0, 0
    yield "send many", "sendmmsg", 3, one, 1, 0
    yield "send a file", "sendfile", 3, 0, 0, 1
    yield "splice", "splice", 0, 0, 3, 0, 1, 0
    yield "splice memory", "vmsplice", 0, one, 1, 0
    yield "tee", "tee", 0, 3, 1, 0
    yield "copy between files", "copy_file_range", 0, 0, 3, 0, 1, 0
    yield "write many", "writev", 3, one, 1
    yield "ask an I/O ring", "io_uring_setup", 1, one
    yield "see page faults", "userfaultfd", 0
    yield "load a BPF program", "bpf", 5, one, 64
    yield "watch the machine", "perf_event_open", one, 0, -1, -1, 0
    yield "become attachable", "prctl", 4, 1, 0, 0, 0
    yield "filter otherwise", "prctl", 22, 2, one, 0, 0
    yield "become another user", "setuid", 0
    yield "run readable memory", "personality", 0x400000
    yield "raise a limit", "setrlimit", 7, one
    yield "leave the root folder", "chroot", path
    yield "mount", "mount", path, path, 0, 32, 0
    yield "see mounts", "open_tree", AT_FDCWD, path, 1
    yield "leave the namespaces", "unshare", 0x10000000
    yield "enter namespaces", "setns", 0, 0
    yield "open by a struct", "openat2", AT_FDCWD, path, one, 24
    yield "type into a terminal", "ioctl", 2, TIOCSTI, one
    yield "type into a terminal", "ioctl", 2, TIOCSTI | 1 << 32, one
    yield "change an interface", "ioctl", 3, SIOCSIFFLAGS, one
    yield "memory that is run", "mmap", 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
    yield "memory that is run", "mprotect", inside.put(b"") & ~4095, 4096, PROT_READ | PROT_EXEC
    yield "x32", NUMBERS["getpid"] | 0x40000000


def forbidden_to_listener(inside, packet_socket):
    frame, to, one = inside.put(bytes(60)), inside.put(sll(1)), inside.put(bytes(64))
    program = inside.put(struct.pack("<HBBI", 6, 0, 0, 0xFFFFFFFF))
    everything = inside.put(struct.pack("<HxxxxxxQ", 1, program))
    for number in (packet_socket, 0, 1):
        yield "send", "sendto", number, frame, 60, 0, to, 20
        yield "send", "sendto", number, frame, 60, 0, 0, 0
        yield "send", "sendmsg", number, one, 0
        yield "send", "write", number, frame, 60
        yield "send", "writev", number, one, 1
        yield "send", "sendfile", number, 0, 0, 1
    yield "send elsewhere", "sendto", LISTENER_CHANNEL, frame, 60, 0, to, 20
    yield "pass a descriptor", "sendmsg", LISTENER_CHANNEL, one, 0
    yield "the socket in the channel's place", "dup2", packet_socket, LISTENER_CHANNEL
    yield "the socket in the channel's place", "dup3", packet_socket, LISTENER_CHANNEL, 0
    yield "the socket in the log's place", "dup2", packet_socket, 2
    yield "the channel's number free", "close", LISTENER_CHANNEL
    yield "the log's number free", "close", 2
    yield "another filter", "setsockopt", packet_socket, SOL_SOCKET, SO_ATTACH_FILTER, everything, 16
    yield "no filter", "setsockopt", packet_socket, SOL_SOCKET, SO_DETACH_FILTER, one, 4
    yield "no lock", "setsockopt", packet_socket, SOL_SOCKET, SO_LOCK_FILTER, one, 4
    yield "a ring to send by", "setsockopt", packet_socket, SOL_PACKET, PACKET_TX_RING, one, 28
    yield "a group of sockets", "setsockopt", packet_socket, SOL_PACKET, PACKET_FANOUT, one, 4
    yield "another interface", "bind", packet_socket, to, 20
    yield "signals from a socket", "fcntl", packet_socket, F_SETFL, 0o20000
    yield "a file", "openat", AT_FDCWD, inside.put(b"/etc/passwd\0"), O_RDONLY, 0
    yield "a file", "open", inside.put(b"/dev/mem\0"), O_RDONLY, 0
    yield "memory of a file", "mmap", 0, 4096, PROT_READ, MAP_PRIVATE, 0, 0
    yield "what is read there", "read", 0, one, 1


def changes_of_files(inside, folder):
    """Calls that make or change a file there."""
    old, new = inside.put(f"{folder}/secret\0".encode()), inside.put(f"{folder}/new\0".encode())
    for flags in (O_WRONLY, O_RDWR, O_RDONLY | os.O_TRUNC, O_RDONLY | O_CREAT):
        yield "open to write", "openat", AT_FDCWD, old, flags, 0o600
        yield "open to write", "open", old, flags, 0o600
    yield "make", "openat", AT_FDCWD, new, O_WRONLY | O_CREAT, 0o600
    yield "make", "creat", new, 0o600
    yield "make a folder", "mkdir", new, 0o700
    yield "link", "symlink", old, new
    yield "rename", "rename", old, new
    yield "remove", "unlink", old
    yield "permit", "chmod", old, 0o777


@unittest.skipUnless(IS_POSSIBLE, "calls are injected on x86-64 alone")
class Inside(PlainHouse):
    def refused(self, calls_of, pid):
        """That each call fails with EPERM, and the process lives on."""
        with Injected(pid) as inside:
            self.assertEqual(inside.call("getpid"), pid)
            for what, name, *arguments in calls_of(inside):
                self.assertEqual(inside.call(name, *arguments), -errno.EPERM, f"{what}: {name}{tuple(arguments)}")

    def deadly(self, calls_of):
        """That each call kills a listener: its program as the daemon starts it, one for each call."""
        number = count = 0
        while number == 0 or number < count:
            pid = self.start_listener()
            with Injected(pid) as inside:
                calls = list(calls_of(inside, packet_sockets(self.server, pid)[0]))
                count = len(calls)
                what, name, *arguments = calls[number]
                with self.assertRaises(Killed, msg=f"{what}: {name}{tuple(arguments)}") as killed:
                    inside.call(name, *arguments)
            self.assertEqual(killed.exception.number, signal.SIGSYS, what)
            number += 1
        self.assertGreater(count, 30)

    def start_listener(self):
        """oneknockd-listener, ready; its process id."""
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET), os.pipe2(os.O_CLOEXEC)
        given = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 50) for end in (ends[0][0], ends[1][1])]
        actions = [(os.POSIX_SPAWN_DUP2, end, number) for number, end in enumerate(given, LISTENER_CHANNEL)]
        with self.server:
            pid = os.posix_spawn(program("oneknockd-listener"), ["oneknockd-listener", NOBODY, "s0"], os.environ,
                                 file_actions=actions)
        self.addCleanup(lambda: [end.close() for end in ends[0]])  # which ends it
        for end in (*given, ends[1][1]):
            os.close(end)
        self.assertEqual(os.read(ends[1][0], 1), b"\1")
        os.close(ends[1][0])
        eventually(lambda: status_of(pid)["Seccomp"] == "2", "the listener to be locked in")
        return pid

    def others(self, name):
        return [pid for other, pid in self.daemon.rooms().items() if other != name]

    def secret(self):
        """A folder with a file of root's, and a folder in it."""
        folder = self.net.path("of-root")
        os.makedirs(folder, 0o755, exist_ok=True)
        with open(f"{folder}/secret", "w") as file:
            file.write(SECRET)
        return folder

    def test_code_in_the_listener_ends_with_any_call_but_its_own(self):
        self.deadly(forbidden_to_listener)

    def test_code_in_the_listener_ends_with_what_no_room_may(self):
        self.deadly(lambda inside, _: forbidden_everywhere(inside, [self.daemon.rooms()["gatekeeper"]]))

    def test_a_frame_that_code_in_the_listener_sends_ends_the_daemon(self):
        pid = self.daemon.rooms()["listener"]
        with Injected(pid) as inside, self.assertRaises(Killed):
            inside.call("sendto", packet_sockets(self.server, pid)[0], inside.put(bytes(60)), 60, 0, inside.put(sll(1)), 20)
        self.assertEqual(self.daemon.process.wait(), 70)
        self.assertIn("the listener process was killed by signal 31 (Bad system call)", self.daemon.log)

    def test_code_in_the_gatekeeper_is_refused_what_no_room_may(self):
        self.refused(lambda inside: [call for call in forbidden_everywhere(inside, self.others("gatekeeper"))
                                     if call[0] != "x32"], self.daemon.rooms()["gatekeeper"])

    def test_code_in_the_parent_is_refused_what_no_room_may(self):
        self.refused(lambda inside: [call for call in forbidden_everywhere(inside, self.others("firewall"))
                                     if call[0] != "x32"], self.daemon.rooms()["firewall"])

    def test_code_in_the_parent_reads_files_and_changes_none(self):
        folder, pid = self.secret(), self.daemon.rooms()["firewall"]
        with Injected(pid) as inside:
            descriptor = inside.call("openat", AT_FDCWD, inside.put(f"{folder}/secret\0".encode()), O_RDONLY, 0)
            self.assertGreater(descriptor, 2)
            self.assertEqual(inside.call("write", descriptor, inside.put(b"x"), 1), -errno.EPERM)
            self.assertEqual(inside.call("close", descriptor), 0)
        self.refused(lambda inside: changes_of_files(inside, folder), pid)
        with open(f"{folder}/secret") as file:
            self.assertEqual(file.read(), SECRET)
        self.assertEqual(os.listdir(folder), ["secret"])

    def test_code_in_the_gatekeeper_passes_no_descriptor_on_and_sees_no_file_outside(self):
        folder = self.secret()
        with Injected(self.daemon.rooms()["gatekeeper"]) as inside:
            one = inside.put(bytes(64))
            self.assertEqual(inside.call("sendmsg", GATEKEEPER_LISTENER, one, 0), -errno.EPERM)
            self.assertEqual(inside.call("accept4", GATEKEEPER_LISTENER, 0, 0, 0), -errno.EPERM)
            self.assertEqual(inside.call("sendto", GATEKEEPER_LISTENER, one, 4, 0, one, 16), -errno.EPERM)
            for path in (f"{folder}/secret", f"..{folder}/secret", f"../../../../../..{folder}/secret", "/etc/passwd",
                         "/proc/self/mem", "/dev/urandom"):
                self.assertIn(inside.call("openat", AT_FDCWD, inside.put(path.encode() + b"\0"), O_RDONLY, 0),
                              (-errno.ENOENT, -errno.EACCES), path)
                inside.forget()

    def test_calls_of_32_bits_and_of_x32_end_any_room(self):
        for name in ("listener", "gatekeeper", "firewall"):
            for how in (lambda inside: inside.call_of_32_bits(20), lambda inside: inside.call(NUMBERS["getpid"] | 0x40000000)):
                with Injected(self.daemon.rooms()[name]) as inside, self.assertRaises(Killed, msg=name) as killed:
                    how(inside)
                self.assertEqual(killed.exception.number, signal.SIGSYS, name)
                self.daemon.process.wait()
                self.daemon = Daemon(self.net, self.server, self.door)

    def test_the_filter_of_every_capture_is_locked(self):
        for interfaces in (["any"], ["s0"], ["s0", "late0"], ["lo", "s0"]):
            self.daemon.stop()
            self.door.configure(interfaces=interfaces)
            self.daemon = Daemon(self.net, self.server, self.door)
            pid = self.daemon.rooms()["listener"]
            sockets = packet_sockets(self.server, pid)
            self.assertTrue(sockets)
            for number in sockets:
                copy = self.copy_of(pid, number)
                for option in (SO_ATTACH_FILTER, SO_DETACH_FILTER):
                    accept_all = struct.pack("<HBBI", 6, 0, 0, 0xFFFFFFFF)
                    with self.assertRaises(PermissionError, msg=f"{interfaces} {option}"):
                        self.set_filter(copy, option, accept_all)
                with self.assertRaises(PermissionError):
                    copy.setsockopt(SOL_SOCKET, SO_LOCK_FILTER, 0)
                copy.close()

    def copy_of(self, pid, number):
        """The room's own socket, in our hands: what the kernel lets anybody do with it who got past the list of calls."""
        process = os.pidfd_open(pid)
        try:
            copied = _libc.syscall(NUMBERS["pidfd_getfd"], process, number, 0)
        finally:
            os.close(process)
        self.assertGreaterEqual(copied, 0)
        return socket.socket(fileno=copied)

    @staticmethod
    def set_filter(copy, option, program):
        held = ctypes.create_string_buffer(program)
        copy.setsockopt(SOL_SOCKET, option, struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(held)))

    def test_the_daemon_serves_on_after_what_was_refused(self):
        for name in ("gatekeeper", "firewall"):
            self.refused(lambda inside: [("fork", "fork"), ("file", "creat", inside.put(b"/x\0"), 0)],
                         self.daemon.rooms()[name])
        knock(self.client, self.key, "ssh", "--wait")
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN)


if __name__ == "__main__":
    main()
