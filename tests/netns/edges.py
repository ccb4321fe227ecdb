"""The edge of every process: descriptors, pipes, signals, encodings, environment, full disks.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import time

from door import Daemon, PlainHouse, knock, rooms
from harness import PATIENCE, eventually, main, program, run

USAGE, DATA, NO_INPUT, SOFTWARE, SYSTEM, CANNOT_CREATE, TRY_LATER, PERMISSION, CONFIG = 64, 65, 66, 70, 71, 73, 75, 77, 78
CAPTURE_REPORT, BOOK_SEED, VERDICT, REPORT_REQUEST, READY, DOOR_SPAN = 2, 3, 4, 5, 13, 14  # server/privsep/messages.hpp
OURS_TO_PUT_BACK = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)


def ignore_children():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def ignore_all_and_mask_all():
    for each in OURS_TO_PUT_BACK:
        signal.signal(each, signal.SIG_IGN)
    os.umask(0o123)


def end(process):
    process.kill()
    process.wait()


class Pipe:
    """A pipe of one page, its read end with the test."""

    def __init__(self):
        self.reads, self.writes = os.pipe()
        fcntl.fcntl(self.writes, fcntl.F_SETPIPE_SZ, 4096)

    def fill(self):
        """Leaves no room, without a change to the description that others have as well."""
        own = os.open(f"/proc/self/fd/{self.writes}", os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(own, b"x" * 64)
        os.close(own)

    def read(self):
        """What there is, without waiting."""
        os.set_blocking(self.reads, False)
        with contextlib.suppress(BlockingIOError):
            return os.read(self.reads, 65536).decode()
        return ""

    def wait_for(self, text):
        eventually(lambda: text in self.read(), text)


class Edges(PlainHouse):
    def build(self):
        super().build()
        self.daemon.stop()

    def launch(self, *options, **redirected):
        """oneknockd with descriptors of the test's choice."""
        with self.server:
            process = subprocess.Popen([program("oneknockd"), "--config", self.door.config, *options], **redirected)
        return self.net.keep(process, end)

    def ctl(self, *words, **more):
        return run(program("oneknockctl"), "--socket", self.door.socket, *words, **more)

    def is_answered(self):
        return self.ctl("status", check=False).returncode == 0

    def has_table(self):
        return "table inet oneknock" in self.server.run("nft", "list", "tables").stdout

    # --- pipes and signals ---------------------------------------------------------------------------------------

    def test_a_trial_ends_with_the_guard_removed_also_when_the_logs_reader_has_gone(self):
        for stop in (False, True):
            pipe = Pipe()
            daemon = self.launch("--try", "60" if stop else "1", stderr=pipe.writes)
            os.close(pipe.writes)
            eventually(self.has_table)
            os.close(pipe.reads)
            if stop:
                daemon.terminate()
            self.assertEqual(daemon.wait(), TRY_LATER)
            self.assertFalse(self.has_table())

    def test_a_daemon_whose_logs_reader_has_gone_goes_on(self):
        pipe = Pipe()
        daemon = self.launch(stderr=pipe.writes)
        os.close(pipe.writes)
        eventually(self.is_answered)
        os.close(pipe.reads)
        self.ctl("reload")
        knock(self.client, self.key, "ssh", "--wait")
        daemon.terminate()
        self.assertEqual(daemon.wait(), 0)

    def test_a_log_that_nobody_reads_keeps_no_knock_waiting_and_says_how_much_was_lost(self):
        pipe = Pipe()
        self.launch(stderr=pipe.writes)
        pipe.wait_for("ready: ")
        pipe.fill()
        for _ in range(3):
            self.ctl("revoke", "--all")
            self.ctl("reload")
        knock(self.client, self.key, "ssh", "--wait")
        eventually(lambda: json.loads(self.ctl("status", "--json").stdout)["accepted"] == 1)  # and so it was to be logged
        self.assertEqual(json.loads(self.ctl("status", "--json").stdout)["log"], {"dropped": 7, "unlogged": 0})
        self.assertRegex(self.ctl("status").stdout, r"log +7 lines were dropped: nobody read them")
        pipe.read()
        self.ctl("revoke", "--all")
        self.assertRegex(pipe.read(), r"^warning: 7 lines of this log were dropped .*\nrevoked 1 grant\n$")
        self.assertFalse(fcntl.fcntl(pipe.writes, fcntl.F_GETFL) & os.O_NONBLOCK, "the description is the shell's as well")

    def test_an_audit_that_another_program_has_locked_keeps_no_knock_waiting_and_gets_its_lines_later(self):
        daemon = Daemon(self.net, self.server, self.door)
        with contextlib.closing(sqlite3.connect(os.path.join(self.door.state, "oneknock.db"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            until = time.monotonic() + PATIENCE
            for number in range(1, 16):  # SQLite would wait for two seconds each time
                knock(self.client, self.key, "ssh")
                daemon.wait_for("^accepted: ", number, until - time.monotonic())
            daemon.wait_for("^error: cannot write the audit: database is locked; its lines wait in memory$")
            other.execute("ROLLBACK")
            eventually(lambda: other.execute("SELECT count(*) FROM audit").fetchone() == (15,))
            self.assertNotIn("lacks", daemon.log)
            other.execute("BEGIN IMMEDIATE")
            knock(self.client, self.key, "ssh")
            daemon.wait_for("^accepted: ", 16)
            self.assertEqual(daemon.stop(), 0)
        self.assertRegex(daemon.log, r"(?m)^error: the audit lacks 1 line: it could not be written$")

    def test_a_program_that_run_executes_finds_signals_and_umask_as_they_were(self):
        self.launch(stderr=subprocess.DEVNULL)
        eventually(self.is_answered)
        for before, ignored, umask in ((ignore_all_and_mask_all, OURS_TO_PUT_BACK, "0123"), (lambda: os.umask(0o77), (), "0077")):
            with self.client:
                told = subprocess.run([program("oneknock"), "run", self.key, "ssh", "--", "grep", "-E", "SigIgn|Umask", "/proc/self/status"],
                                      preexec_fn=before, stdout=subprocess.PIPE, text=True, timeout=20).stdout.split()
            mask = sum(1 << (each - 1) for each in OURS_TO_PUT_BACK)
            self.assertEqual(int(told[3], 16) & mask, sum(1 << (each - 1) for each in ignored), told)
            self.assertEqual(told[1], umask)

    def test_the_log_says_which_process_ended_and_how_also_where_the_ends_of_children_are_ignored(self):
        for name, number, code in (("listener", signal.SIGKILL, SYSTEM), ("gatekeeper", signal.SIGSEGV, SOFTWARE)):
            for before in (None, ignore_children):
                pipe = Pipe()
                daemon = self.launch(stderr=pipe.writes, preexec_fn=before)
                pipe.wait_for("ready: ")
                os.kill(rooms(daemon.pid)[name], number)
                self.assertEqual(daemon.wait(10), code)
                self.assertRegex(pipe.read(), f"error: the {name} process was killed by signal {number.value} ")

    # --- descriptors ---------------------------------------------------------------------------------------------

    def test_no_file_of_ours_becomes_a_closed_standard_descriptor(self):
        for closed in ("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"):
            with self.server:
                shell = subprocess.Popen(["sh", "-c", f"exec {program('oneknockd')} --config {self.door.config} {closed}"],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.net.keep(shell, end)
            eventually(self.is_answered)
            self.assertEqual([os.readlink(f"/proc/{shell.pid}/fd/{fd}") for fd in range(3)], ["/dev/null"] * 3)
            shell.terminate()
            self.assertEqual(shell.wait(), 0)

    def test_output_that_is_lost_is_an_error(self):
        self.launch(stderr=subprocess.DEVNULL)
        eventually(self.is_answered)
        daemon, client, ctl, keygen = map(program, ("oneknockd", "oneknock", "oneknockctl", "oneknock-keygen"))
        capture = self.net.path("knock.pcap")
        knock(self.client, self.key, "ssh", "--dry-run", "--source", "10.77.0.2", "--write", capture)
        ctl, daemon = (ctl, "--socket", self.door.socket), (daemon, "--config", self.door.config)
        rows = [(*ctl, "status"), (*ctl, "status", "--json"), (*ctl, "status", "--format", "prometheus"),
                (*ctl, "status", "--watch"), (*ctl, "grants"), (*ctl, "grants", "--json"), (*ctl, "revoke", "--all"), (*ctl, "reload"),
                (*daemon, "--check-config"), (*daemon, "--read", capture), (*daemon, "--read", capture, "--json"),
                (client, "list"), (client, "list", "--json"), (client, "help", "open"), (keygen, "help", "service"),
                (client, "open", self.key, "ssh", "--dry-run", "--source", "10.77.0.2"),
                (client, "open", self.key, "ssh", "--dry-run", "--source", "10.77.0.2", "--json")]
        rows += [(keygen, *words, "--dir", self.door.folder, *form)
                 for words in (("list",), ("show", "alice"), ("service", "list")) for form in ((), ("--json",))]
        rows += [(keygen, "add", "--dir", self.door.folder, "carol", "--allow", "ssh", "-o", "-"),
                 (keygen, "rotate", "--dir", self.door.folder, "alice", "-o", "-")]
        rows += [(each[0], option) for each in (ctl, daemon, (client,), (keygen,)) for option in ("--help", "--version")]
        env = {**os.environ, "XDG_CONFIG_HOME": self.net.path("config")}
        run(client, "import", self.key, env=env)
        reads, pipe = os.pipe()
        os.close(reads)
        full = os.open("/dev/full", os.O_WRONLY)
        for row in rows:
            for what, where in (("full disk", {"stdout": full}), ("no reader", {"stdout": pipe}),
                                ("closed", {"preexec_fn": lambda: os.close(1)})):
                with self.subTest(program=os.path.basename(row[0]), words=row[1:], what=what):
                    done = subprocess.run(row, stderr=subprocess.PIPE, text=True, timeout=20, env=env, **where)
                    self.assertEqual(done.returncode, CANNOT_CREATE, done.stderr)
                    self.assertRegex(done.stderr, f"^{os.path.basename(row[0])}: error: cannot write to standard output: .*\n$")
        left = json.loads(run(keygen, "show", "--dir", self.door.folder, "alice", "--json").stdout)
        self.assertEqual(len(left["generations"]), 1, "a key that nobody got is none")
        self.assertEqual(sorted(os.listdir(self.door.folder + "/clients.d")), ["alice.json"])

    def test_priorities_stand_before_lines_only_where_standard_error_is_the_journal(self):
        ours, theirs = (self.net.keep(each, socket.socket.close) for each in socket.socketpair())
        journal = "{0.st_dev}:{0.st_ino}".format(os.fstat(theirs.fileno()))
        for stream, begin in ((journal, b"<6>ready"), ("8:12345", b"ready"), ("", b"ready")):
            daemon = self.launch(stderr=theirs, env={**os.environ, "JOURNAL_STREAM": stream})
            self.assertEqual(ours.recv(4096)[:len(begin)], begin)
            daemon.terminate()
            daemon.wait(10)
            ours.recv(4096)

    # --- commands that act once --------------------------------------------------------------------------------------

    def once(self, *options, before=(), **more):
        with self.server:
            return subprocess.run([*before, program("oneknockd"), "--config", self.door.config, *options], stderr=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, timeout=20, **more)

    def test_a_command_that_acts_once_says_what_it_has_done(self):
        self.once("--remove")
        capture = self.net.path("empty.pcap")
        with open(capture, "wb") as file:
            file.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
        for options, said in ((("--guard",), "^the guard is up: tcp/22, tcp/80 closed to everyone"),
                              (("--guard",), "^the guard is up: "),
                              (("--remove",), "^removed the nftables table inet oneknock"),
                              (("--remove",), "^there was nothing to remove: the nftables table inet oneknock does not exist"),
                              (("--read", capture), "no knock at this door in 0 packets")):
            done = self.once(*options)
            self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
            self.assertRegex(done.stderr, said)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_what_stands_in_the_way_of_a_command_is_named(self):
        without_net_admin = ("setpriv", "--bounding-set", "-net_admin")
        nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
        a_file = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /run && touch /run/oneknock && exec "$@"', "sh")
        rows = [(("--guard",), without_net_admin, PERMISSION, "CAP_NET_ADMIN"), (("--remove",), without_net_admin, PERMISSION, "CAP_NET_ADMIN"),
                (("--guard",), a_file, CANNOT_CREATE, "/run/oneknock"), (("--remove",), a_file, CANNOT_CREATE, "/run/oneknock")]
        rows += [(option, nobody, PERMISSION, "oneknockd.json: Permission denied")
                 for option in (("--guard",), ("--remove",), ("--check-config",), ("--read", "/dev/null"), ())]
        os.chmod(self.net.folder, 0o755)
        for options, before, code, said in rows:
            with self.subTest(options=options, before=before[-2:]):
                done = self.once(*options, before=before)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertRegex(done.stderr, ("^oneknockd: " if options else "^") + "error: .*" + said)

    def test_a_wrong_word_is_met_with_what_was_meant_by_all_four_programs(self):
        self.launch(stderr=subprocess.DEVNULL)
        eventually(self.is_answered)
        client, keygen, folder = program("oneknock"), program("oneknock-keygen"), ("--dir", self.door.folder)
        ctl, daemon = (program("oneknockctl"), "--socket", self.door.socket), program("oneknockd")
        meant = [((client, "opne", self.key, "ssh"), USAGE, "open"), ((client, "open", self.key, "shh"), USAGE, "ssh"),
                 ((client, "open", self.key, "ssh", "--pcae", "5ms"), USAGE, "--pace"), ((client, "--verison"), USAGE, "--version"),
                 ((*ctl, "stauts"), USAGE, "status"), ((*ctl, "revoke", "alcie"), DATA, "alice"), ((*ctl, "status", "--format", "jsno"), USAGE, "json"),
                 ((daemon, "--verison"), USAGE, "--version"), ((daemon, "verison"), USAGE, "--version"), ((daemon, "--gaurd"), USAGE, "--guard"),
                 ((keygen, "servcie", "list"), USAGE, "service"), ((keygen, "service", "lsit"), USAGE, "list"), ((keygen, "unrevoek", "alice"), USAGE, "unrevoke"),
                 ((keygen, "add", *folder, "bob", "--alow", "ssh"), USAGE, "--allow"), ((keygen, "add", *folder, "bob", "--allow", "shh", "-o", "-"), DATA, "ssh"),
                 ((keygen, "limit", *folder, "alcie", "--expires", "never"), NO_INPUT, "alice"), ((keygen, "service", "remove", *folder, "wbe"), DATA, "web")]
        for words, code, word in meant:
            with self.subTest(program=os.path.basename(words[0]), words=words[1:]):
                done = run(*words, check=False)
                self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
                self.assertRegex(done.stderr, rf"^{os.path.basename(words[0])}: error: .*did you mean {word}\?")
        for address in ("host:2222", "192.0.2.1:22", "300.1.2.3", "1.2.3", "[::1", "[::1]", "x..y", ".x", "http://x.example.org", ""):
            with self.subTest(address=address):
                done = run(keygen, "init", "--dir", self.net.path("no"), "--name", "x", "--address", address, "--service", "ssh=tcp/22", check=False)
                self.assertEqual(done.returncode, USAGE, done.stderr)
                self.assertRegex(done.stderr, "^oneknock-keygen: error: --address.*(address|host name|must not be empty|needs a value)")
        for address in ("host", "host.example.org.", "192.0.2.1", "2001:db8::1", "fe80::1%eth0", "xn--bcher-kva.example"):
            run(keygen, "init", "--dir", self.net.path("yes-" + address), "--name", "x", "--address", address, "--service", "ssh=tcp/22")

    def test_a_path_where_something_else_lies_is_named(self):
        a_file = self.net.path("a-file")
        with open(a_file, "w"):
            pass
        for field, value in (("state", a_file), ("state", a_file + "/state"), ("socket", a_file), ("socket", a_file + "/socket")):
            with self.subTest(field=field, value=value):
                before = {"state": self.door.state, "socket": self.door.socket}
                self.door.configure(**{field: value})
                done = self.once()
                self.door.configure(**before)
                self.assertIn(done.returncode, (CANNOT_CREATE, DATA), done.stderr)
                self.assertRegex(done.stderr, f"^error: .*{a_file}")

    def test_a_clients_file_that_is_wrong_keeps_nobody_else_out_of_what_read_shows(self):
        capture = self.net.path("knock.pcap")
        knock(self.client, self.key, "ssh", "--write", capture)
        for name in ("bad", "worse"):
            with open(os.open(os.path.join(self.door.folder, "clients.d", name + ".json"), os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                file.write("{")
        done = self.once("--read", capture)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, "accepted: alice: open tcp/22")
        self.assertRegex(done.stderr, "(?m)^oneknockd: warning: .*bad.json.*; no client is read from it$")
        self.assertRegex(done.stderr, "(?m)^oneknockd: warning: .*worse.json")
        done = self.once("--check-config")
        self.assertEqual(done.returncode, DATA)
        self.assertRegex(done.stderr, "(?m)^oneknockd: error: .*bad.json")
        self.assertRegex(done.stderr, "(?m)^oneknockd: warning: .*worse.json")

    # --- what another process says ---------------------------------------------------------------------------------

    def listener(self):
        """oneknockd-listener alone; the gatekeeper's end of its channel."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setblocking(False)
        is_open, opened = os.pipe()
        given = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs.fileno(), opened)]
        with self.server:
            line = f"exec {program('oneknockd-listener')} 65534:65534 any 3<&{given[0]} 4>&{given[1]}"
            process = subprocess.Popen(["bash", "-c", line], pass_fds=given, stderr=subprocess.PIPE, text=True)
        for fd in (theirs.detach(), opened, *given):
            os.close(fd)
        self.net.keep(process, lambda process: (end(process), process.stderr.close(), ours.close()))
        self.assertEqual(os.read(is_open, 1), b"\1")
        os.close(is_open)
        ours.settimeout(10)
        return process, ours

    def test_the_listener_stops_at_what_its_gatekeeper_cannot_have_said(self):
        def span(count, *ports):
            return struct.pack(f"=II{len(ports)}H", DOOR_SPAN, count, *ports).ljust(408, b"\0")

        def verdict(verified):
            return struct.pack("=IB3xQ", VERDICT, verified, 7)

        ask, seed = struct.pack("=IIQ", REPORT_REQUEST, 0, 7), struct.pack("=IIQqq32x", BOOK_SEED, 1, 500_000, 0, 0)
        rows = [("a span", span(1, 1024, 65535), True),
                ("a question", ask, True),
                ("a verdict on nothing", verdict(1), True),
                ("a truth value that is neither", verdict(2), False),
                ("more ranges than there can be", span(101), False),
                ("a range that descends", span(1, 2000, 1999), False),
                ("a span too small for a code", span(1, 1024, 1025), False),
                ("the size of another kind", ask + b"\0", False),
                ("half a seed", seed[:-1], False),
                ("half a kind", b"\5", False),
                ("a kind that is none", struct.pack("=I", 99), False),
                ("a kind for another process", struct.pack("=I", READY), False)]
        for what, said, is_taken in rows:
            with self.subTest(what):
                process, gatekeeper = self.listener()
                gatekeeper.send(said)
                if is_taken:
                    gatekeeper.send(ask)
                    self.assertEqual(struct.unpack_from("=I", gatekeeper.recv(512))[0], CAPTURE_REPORT)
                    gatekeeper.close()  # which is a clean end
                self.assertEqual(process.wait(10), 0 if is_taken else SOFTWARE)
                self.assertEqual("something unexpected" in process.stderr.read(), not is_taken)

    # --- the configuration's edges ---------------------------------------------------------------------------------

    def test_a_user_that_does_not_exist_is_an_error_and_nothing_becomes_anybody_elses(self):
        before = os.stat(self.door.state).st_uid
        self.door.configure(user="oneknokc")
        for options in ((), ("--check-config",)):
            done = self.server.run(program("oneknockd"), "--config", self.door.config, *options, check=False)
            self.assertEqual(done.returncode, CONFIG, done.stderr)
            self.assertRegex(done.stderr, ("^oneknockd: " if options else "^") + 'error: .*"user".*"oneknokc"')
        self.assertEqual(os.stat(self.door.state).st_uid, before)

    def test_paths_are_relative_to_the_configuration_also_where_it_is_named_without_a_directory(self):
        self.door.configure(socket="control.sock", state="state")
        self.door.socket = os.path.join(self.door.folder, "control.sock")
        for name in ("oneknockd.json", "./oneknockd.json"):
            with self.server:
                daemon = subprocess.Popen([program("oneknockd"), "--config", name], cwd=self.door.folder, stderr=subprocess.DEVNULL)
            self.net.keep(daemon, end)
            eventually(self.is_answered)
            daemon.terminate()
            self.assertEqual(daemon.wait(10), 0)

    # --- encodings -----------------------------------------------------------------------------------------------

    def test_no_name_of_a_file_stops_the_daemon_or_steers_the_terminal_of_who_reads_of_it(self):
        names = [b"caf\xe9", b"\x1b[2J\x1b]0;x\x07", b"\xc2\x9b2J", b"two\nwarning: lines", b"\xff" * 250,
                 "€".encode() * 83, b"not/a file"]
        pipe = Pipe()
        self.launch(stderr=pipe.writes)
        pipe.wait_for("ready: ")
        with open(self.key, "rb") as file:
            key = file.read()
        for name in names:
            path = os.path.join(self.door.folder.encode(), b"clients.d", name.replace(b"/", b"") + b".json")
            if b"/" in name:
                os.mkdir(path)  # is told of by the parent, the others by the gatekeeper
            else:
                with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                    file.write(key)
            check = subprocess.run([program("oneknockd"), "--config", self.door.config, "--check-config"], timeout=20,
                                   stderr=subprocess.PIPE).stderr.decode()
            told = self.ctl("reload", check=False)
            logged = pipe.read()
            self.assertEqual((told.returncode, told.stderr.count("error: ")), (65, 1), name)
            self.assertIn(".json", logged)
            for text in (told.stderr, logged, check):
                self.assertTrue(all(re.match("(oneknock(d|ctl): )?error: |reloaded: ", line) for line in text.splitlines()), text)
                self.assertFalse([each for each in text if each != "\n" and (each < " " or "\x7f" <= each < "\xa0")], text)
                self.assertNotIn("\ufffd", text)
            self.assertEqual("\\x" in logged, name not in names[-2:], "no name is cut within a character")
            os.rmdir(path) if b"/" in name else os.remove(path)
        self.ctl("reload")


if __name__ == "__main__":
    main()
