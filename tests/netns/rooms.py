"""The rooms of the running daemon: what each may do, and what becomes of the house when one falls.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)
"""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from door import Daemon, PlainHouse, elements, is_running, knock, status_of
from harness import PATIENCE, eventually, main, program, run
from traffic import CLOSED, OPEN, attempt

CAP_KILL, CAP_NET_ADMIN = 1 << 5, 1 << 12


def hanging(parent):
    """A child of it that is stopped; nothing if none is."""
    with open(f"/proc/{parent}/task/{parent}/children") as file:
        return next((int(pid) for pid in file.read().split() if status_of(pid)["State"][0] == "T"), None)


class Rooms(PlainHouse):
    def test_each_room_has_the_privileges_it_needs_and_no_way_to_more(self):
        rooms = self.daemon.rooms()
        self.assertEqual(set(rooms), {"firewall", "listener", "gatekeeper"})
        for name, pid in rooms.items():
            status = status_of(pid)
            wanted = CAP_NET_ADMIN | CAP_KILL if name == "firewall" else 0
            self.assertEqual({int(status[field], 16) for field in ("CapEff", "CapPrm")}, {wanted}, name)
            self.assertEqual((int(status["CapBnd"], 16), int(status["CapAmb"], 16)), (0, 0), name)
            self.assertEqual(status["NoNewPrivs"], "1", name)
            self.assertEqual(status["Seccomp"], "2", name)
            if name != "firewall":
                self.assertNotIn("0", status["Uid"].split(), name)
                self.assertEqual(status["Groups"].strip(), "", name)

    def policies(self):
        return {name: os.sched_getscheduler(pid) for name, pid in self.daemon.rooms().items()}

    def start_anew(self, within=(), **configuration):
        self.daemon.stop()
        self.door.configure(**configuration)
        self.daemon = Daemon(self.net, self.server, self.door, within=within)

    def test_the_rooms_go_before_other_programs_unless_told_or_not_allowed_and_none_works_for_ever(self):
        said = "^cannot go before other programs "
        try:
            run("chrt", "-f", "1", "true")
        except AssertionError:
            self.skipTest("no program may have real time here")
        self.assertEqual(set(self.policies().values()), {os.SCHED_FIFO})
        for name, pid in self.daemon.rooms().items():
            self.assertEqual(os.sched_getparam(pid).sched_priority, 1, name)
            with open(f"/proc/{pid}/limits") as file:
                self.assertRegex(file.read(), r"Max realtime timeout +10000000 +10000000 ", name)
        self.assertEqual(self.daemon.process.count(said), 0)
        knock(self.client, self.key, "ssh", "--wait")

        self.start_anew(within=("setpriv", "--bounding-set", "-sys_nice"))
        self.assertEqual((set(self.policies().values()), self.daemon.process.count(said)), ({os.SCHED_OTHER}, 1))
        knock(self.client, self.key, "ssh", "--wait")
        self.start_anew(within=("chrt", "-b", "0"))
        self.assertEqual((set(self.policies().values()), self.daemon.process.count(said)), ({os.SCHED_BATCH}, 0))
        self.start_anew(scheduling="normal")
        self.assertEqual((set(self.policies().values()), self.daemon.process.count(said)), ({os.SCHED_OTHER}, 0))

    def test_the_gatekeeper_sees_its_state_folder_and_nothing_else(self):
        pid = self.daemon.rooms()["gatekeeper"]
        inside, outside = os.stat(f"/proc/{pid}/root/"), os.stat(self.door.state)
        self.assertEqual((inside.st_dev, inside.st_ino), (outside.st_dev, outside.st_ino))

    def test_no_room_keeps_a_descriptor_of_a_key_file_and_the_listener_none_of_any_file(self):
        for name, pid in self.daemon.rooms().items():
            open_files = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            self.assertFalse([path for path in open_files if path.startswith(self.door.folder + "/")], name)
            if name == "listener":
                files = [path for path in open_files if path.startswith("/") and not path.startswith(("/dev/", "/proc/"))]
                self.assertEqual(files, [])

    def test_the_end_of_any_room_ends_all_and_leaves_the_ports_as_they_are(self):
        for name in ("listener", "gatekeeper", "firewall"):
            knock(self.client, self.key, "ssh", "--wait")
            rooms = self.daemon.rooms()
            os.kill(rooms[name], signal.SIGKILL)
            code = self.daemon.process.wait()
            eventually(lambda: not any(map(is_running, rooms.values())), "the other rooms to end")
            if name != "firewall":
                self.assertEqual(code, 71)
                self.assertIn(f"error: the {name} process was killed by signal 9 (Killed)", self.daemon.log)
            if name == "gatekeeper":
                self.assertNotIn("Bad system call", self.daemon.log, "the listener's own end is within its sandbox")
            self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN, "the grant lives on")
            self.assertEqual(len(elements(self.server)), 1)
            self.daemon = Daemon(self.net, self.server, self.door)
            self.daemon.ctl("revoke", "--all")
            eventually(lambda: attempt(self.client, "10.77.0.1", 22) == CLOSED, "the port to close")

    def test_a_room_that_hangs_ends_with_the_parent_all_the_same(self):
        for name, how, code in ((name, *end) for name in ("listener", "gatekeeper")
                                for end in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0))):
            with self.subTest(room=name, how=how.name):
                rooms = self.daemon.rooms()
                self.addCleanup(self.end, rooms)
                os.kill(rooms[name], signal.SIGSTOP)
                os.kill(rooms["firewall"], how)
                self.assertEqual(self.daemon.process.wait(), code)
                eventually(lambda: not any(map(is_running, rooms.values())), "the hanging room to end", timeout=2)
                self.daemon = Daemon(self.net, self.server, self.door)
                knock(self.client, self.key, "ssh", "--wait")

    def start_with(self, room, *options):
        """A daemon one of whose rooms stops itself at its begin; its process, and that room's id."""
        folder = tempfile.mkdtemp(dir=self.net.folder)
        shutil.copy(program("oneknockd"), folder)
        for each in ("listener", "gatekeeper"):
            name = "oneknockd-" + each
            with open(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT, 0o755), "w") as file:
                file.write(f"#!/bin/sh\n{'kill -STOP $$' if each == room else ''}\nexec {program(name)} \"$@\"\n")
        process = self.net.start(self.server, f"{folder}/oneknockd", "--config", self.door.config, *options)
        eventually(lambda: hanging(process.pid), "the room to hang")
        return process, hanging(process.pid)

    def test_a_start_in_which_a_room_hangs_can_be_stopped_and_changes_nothing(self):
        self.daemon.stop()
        self.server.nft("flush ruleset")
        for room in ("listener", "gatekeeper"):
            for number, options, code in ((signal.SIGTERM, (), 0), (signal.SIGINT, (), 0), (signal.SIGTERM, ("--try", "60s"), 75)):
                with self.subTest(room=room, signal=number.name, options=options):
                    process, pid = self.start_with(room, *options)
                    self.addCleanup(self.end, {room: pid})
                    os.kill(process.pid, number)
                    self.assertEqual(process.wait(), code, process.log)
                    self.assertEqual(process.count("^stopped while starting; the firewall is as it was$"), 1, process.log)
                    eventually(lambda: not is_running(pid), "the hanging room to end")
                    self.assertEqual(self.server.run("nft", "list", "tables").stdout, "")

    def test_a_room_that_hangs_for_a_while_in_the_start_holds_it_up_for_no_longer(self):
        for room in ("listener", "gatekeeper"):
            self.daemon.stop()
            process, pid = self.start_with(room)
            os.kill(process.pid, signal.SIGHUP)  # no stop
            os.kill(pid, signal.SIGCONT)
            process.wait_for("^ready:")
            process.wait_for("^reloaded")
            process.stop()

    @staticmethod
    def end(pids):
        for pid in filter(is_running, pids.values()):
            os.kill(pid, signal.SIGKILL)

    def test_a_room_that_is_stopped_and_goes_on_is_no_end(self):
        for pid in self.daemon.rooms().values():
            for number in (signal.SIGSTOP, signal.SIGCONT):
                os.kill(pid, number)
                time.sleep(0.05)  # for the parent to hear of it
        knock(self.client, self.key, "ssh", "--wait")
        self.assert_becomes(1, lambda: self.daemon.accepted())

    def test_a_room_that_cannot_begin_gives_the_daemons_exit_code(self):
        self.daemon.stop()
        ended = self.server.run("setpriv", "--bounding-set", "-sys_chroot", program("oneknockd"), "--config",
                                self.door.config, check=False)
        self.assertEqual(ended.returncode, 77)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn("chroot", ended.stderr)

    def test_a_stop_that_reaches_all_processes_at_once_is_a_clean_stop(self):
        for pid in sorted(self.daemon.rooms().values(), reverse=True):
            os.kill(pid, signal.SIGTERM)
        self.assertEqual(self.daemon.process.wait(), 0)
        self.assertNotIn("error", self.daemon.log)

    def test_an_idle_daemon_looks_at_its_key_files_every_three_seconds_and_does_nothing_else(self):
        """inotify does not see all that may become of a path, so the parent looks. The other rooms make no system call."""
        strace = shutil.which("strace")
        if not strace:
            self.skipTest("strace is not installed")
        knock(self.client, self.key, "ssh", "--wait")
        self.daemon.status()
        # Files of this moment are read once more when they are some seconds old.
        eventually(lambda: self.calls_of(strace, "gatekeeper", 4) == [], "the key files to be settled")
        for room in ("gatekeeper", "listener"):
            self.assertEqual(self.calls_of(strace, room, 2), [], room)
        looks = self.calls_of(strace, "firewall", 7)
        self.assertLessEqual({line.split("(")[0] for line in looks}, {"newfstatat", "openat", "close", "read", "recvmsg", "recvfrom"}, looks)
        of_the_door = [line for line in looks if "door.json" in line]
        self.assertIn(len(of_the_door), (1, 2, 3), looks)
        # The door, the folder and one client in it, and what each turn of the loop asks for.
        self.assertLessEqual(len(looks), 16 * len(of_the_door), looks)

    def calls_of(self, strace, room, seconds):
        """The system calls that a room makes, but for waiting."""
        trace = self.net.path("trace")
        tracer = subprocess.Popen([strace, "-o", trace, "-p", str(self.daemon.rooms()[room])], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE)
        time.sleep(seconds)
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=PATIENCE)
        with open(trace) as file:
            return [line for line in file if not re.search("detached|ppoll\\(|restart_syscall\\(", line)]

    def test_hostile_packets_neither_stop_nor_open_anything(self):
        maker = random.Random(1)
        with self.client:
            out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            out.bind(("c0", 0))
            self.addCleanup(out.close)
        link = self.server.run("ip", "-o", "link", "show", "dev", "s0").stdout
        mac = bytes.fromhex(link.split("link/ether ")[1].split()[0].replace(":", ""))
        head = mac + b"\2\0\0\0\0\1"
        ip = bytes.fromhex("4500001c00000000401100000a4d00020a4d0001")
        for number in range(200_000):
            kind = number % 3
            if kind == 0:    # anything at all
                frame = head + maker.randbytes(2) + maker.randbytes(maker.randrange(80))
            elif kind == 1:  # datagrams to random ports, from the client's own address
                frame = head + b"\x08\0" + ip + maker.randbytes(4) + b"\0\x08\0\0"
            else:            # mutilated IPv4 and IPv6
                body = bytearray(ip + maker.randbytes(20))
                body[maker.randrange(20)] = maker.randrange(256)
                frame = head + (b"\x08\0" if number % 2 else b"\x86\xdd") + bytes(body[:maker.randrange(1, len(body))])
            try:
                out.send(frame)
            except OSError:
                pass  # the sender's queue is full
        capture = self.daemon.status()["capture"]
        self.assertGreater(capture["packets"] + capture["dropped"], 60_000)  # a third got as far as the listener
        self.assert_becomes((0, {}), lambda: (self.daemon.accepted(), self.daemon.refused()))
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), CLOSED)
        knock(self.client, self.key, "ssh", "--wait")
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN)

    def test_the_client_links_nothing_of_the_servers(self):
        libraries = run("ldd", program("oneknock")).stdout
        for library in ("libnftnl", "libmnl", "libpcap", "libsqlite3"):
            self.assertNotIn(library, libraries)

    def test_each_program_links_what_its_room_may_use_and_no_more(self):
        """libnftnl speaks to the firewall, libpcap parses packets, SQLite keeps the record."""
        wanted = {"oneknockd": {"libnftnl"}, "oneknockd-listener": {"libpcap"}, "oneknockd-gatekeeper": {"libsqlite3"}}
        for name, own in wanted.items():
            libraries = run("ldd", program(name)).stdout
            found = {library for library in ("libnftnl", "libpcap", "libsqlite3") if library in libraries}
            self.assertEqual(found, own, name)
            self.assertEqual("libfec" in libraries, name == "oneknockd-listener", name)

    def test_each_room_has_an_address_space_of_its_own(self):
        def places(pid):
            with open(f"/proc/{pid}/maps") as maps:
                return {line.split("-")[0] for line in maps if re.search(r"\[(heap|stack)\]|oneknockd", line)}

        maps = [places(pid) for pid in self.daemon.rooms().values()]
        self.assertEqual(sum(map(len, maps)), len(set.union(*maps)))

    def test_no_room_can_read_what_the_daemon_was_given(self):
        for name, pid in self.daemon.rooms().items():
            for descriptor in (0, 1):
                self.assertEqual(os.readlink(f"/proc/{pid}/fd/{descriptor}"), "/dev/null", name)


if __name__ == "__main__":
    main()
