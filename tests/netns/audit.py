"""oneknockctl audit: who opened what, when, from where. And what oneknockctl shows until it is interrupted.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)
"""

import contextlib
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import termios
import time

from door import Daemon, PlainHouse, knock
from harness import eventually, main, program, run

USAGE, DATA, NO_INPUT, CANNOT_CREATE = 64, 65, 66, 73


class Audit(PlainHouse):
    def audit(self, *words, check=True):
        return run(program("oneknockctl"), "audit", "--config", self.door.config, *words, check=check)

    def lines(self, *words):
        return [json.loads(line) for line in self.audit("--json", *words).stdout.splitlines()]

    def command(self, *words):
        return [program("oneknockctl"), "audit", "--config", self.door.config, *words]

    def have_history(self):
        """alice opens ssh and closes it, is refused once; bob opens web for another address."""
        self.bob = self.door.add("bob", "--source", "any", allow=("web",))
        self.daemon.ctl("reload")
        knock(self.client, self.key, "ssh", "--for", "20s")
        self.assert_becomes(1, self.daemon.accepted)
        knock(self.client, self.key, "ssh", operation="close")
        self.assert_becomes(2, self.daemon.accepted)
        knock(self.client, self.key, "ssh", "--time-offset", "90s")
        self.assert_becomes({"future": 1}, self.daemon.refused)
        knock(self.client, self.bob, "web", "--source", "10.77.0.9", "--for", "20s")
        self.assert_becomes(3, self.daemon.accepted)
        self.assert_becomes(4, lambda: len(self.lines()))

    def test_it_tells_who_opened_what_when_from_where_and_finds_it_again(self):
        self.have_history()
        lines = self.lines()
        told = [(line["client"], line["operation"], line["service"], line["decision"], line["reason"]) for line in lines]
        self.assertEqual(told, [("alice", "open", "ssh", "accepted", None), ("alice", "close", "ssh", "accepted", None),
                                ("alice", "open", "ssh", "refused", "future"), ("bob", "open", "web", "accepted", None)])
        self.assertEqual({line["source"] for line in lines}, {"10.77.0.2"})
        self.assertEqual((lines[3]["address"], lines[3]["duration_s"], lines[3]["port"]), ("10.77.0.9", 20, 80))
        now = time.strftime("%Y-%m-%dT%H:%M", time.gmtime())
        self.assertTrue(now[:13] <= lines[0]["time"][:13] <= lines[3]["time"][:13])

        for words, found in ((("--client", "bob"), [3]), (("--client", "nobody"), []), (("--service", "ssh"), [0, 1, 2]),
                             (("--service", "tcp/80"), [3]), (("--decision", "accepted"), [0, 1, 3]),
                             (("--decision", "refused"), [2]), (("--decision", "future"), [2]), (("--since", "1h"), [0, 1, 2, 3]),
                             (("--until", "1h"), []), (("--since", "2100-01-01"), []),
                             (("--since", lines[0]["time"], "--client", "alice", "--decision", "accepted"), [0, 1]),
                             (("--until", lines[3]["time"], "--service", "web"), [3])):
            self.assertEqual(self.lines(*words), [lines[i] for i in found], words)

        text = self.audit().stdout.splitlines()
        self.assertRegex(text[0], "^TIME +CLIENT +SOURCE +OPERATION +SERVICE +DECISION$")
        self.assertRegex(text[1], "^20.*Z +alice +10.77.0.2 +open +ssh +accepted for 20s$")
        self.assertRegex(text[3], "alice .* refused: future$")
        self.assertRegex(text[4], "bob .* web +accepted for 20s, opened for 10.77.0.9$")

    def test_it_follows_what_comes_and_a_file_that_is_begun_anew(self):
        knock(self.client, self.key, "ssh", "--for", "20s")
        self.assert_becomes(1, lambda: len(self.lines()))
        follow = self.net.start(self.server, *self.command("--follow", "--decision", "accepted"))
        follow.wait_for(" open +ssh ")
        knock(self.client, self.key, "ssh", operation="close")
        follow.wait_for(" close +ssh ")
        self.assertEqual(follow.count(" alice "), 2)
        self.daemon.stop()
        for name in os.listdir(self.door.state):
            if name in ("oneknock.db", "oneknock.db-wal", "oneknock.db-shm"):
                os.remove(os.path.join(self.door.state, name))
        self.daemon = Daemon(self.net, self.server, self.door)
        knock(self.client, self.key, "ssh", "--for", "40s")
        follow.wait_for("for 40s$")
        self.assertEqual(follow.count(" alice "), 3)
        self.assertIsNone(follow.exit)

    def test_a_line_is_written_behind_the_firewalls_answer_and_at_the_latest_when_the_daemon_stops(self):
        def mark():
            with open(os.path.join(self.door.state, "oneknock.db-mark"), "rb") as file:
                return file.read()

        firewall, before = self.daemon.rooms()["firewall"], mark()
        os.kill(firewall, signal.SIGSTOP)
        knock(self.client, self.key)
        eventually(lambda: mark() != before, "the knock to be recorded")
        time.sleep(0.3)
        self.assertEqual(self.lines(), [])
        os.kill(firewall, signal.SIGTERM)
        os.kill(firewall, signal.SIGCONT)
        self.daemon.process.wait()
        self.assertEqual([line["client"] for line in self.lines()], ["alice"])

    def test_it_reads_what_a_daemon_left_that_does_not_run(self):
        knock(self.client, self.key)
        self.assert_becomes(1, self.daemon.accepted)
        self.daemon.stop()
        self.assertEqual([line["client"] for line in self.lines()], ["alice"])

    def test_a_missing_or_damaged_file_is_a_sentence_to_act_on(self):
        self.daemon.stop()
        database = os.path.join(self.door.state, "oneknock.db")
        with open(database, "r+b") as file:
            file.write(b"no database at all")
        done = self.audit(check=False)
        self.assertEqual(done.returncode, DATA)
        self.assertIn("put aside, and begun anew, when oneknockd is restarted", done.stderr)
        shutil.rmtree(self.door.state)
        done = self.audit(check=False)
        self.assertEqual(done.returncode, NO_INPUT)
        self.assertIn("the daemon makes it when it is first started", done.stderr)
        self.assertFalse(os.path.exists(self.door.state))
        done = run(program("oneknockctl"), "audit", "--config", self.net.path("none.json"), check=False)
        self.assertEqual(done.returncode, NO_INPUT)

    def test_what_a_compromised_daemon_left_in_it_runs_in_nobody(self):
        endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT count(*) FROM r"
        for left in (f"CREATE TRIGGER t AFTER INSERT ON audit BEGIN UPDATE audit SET duration=({endless}); END",
                     f"DROP TABLE audit; CREATE VIEW audit AS SELECT 1 AS id, 'alice' AS client WHERE ({endless})>0"):
            self.daemon.stop()
            with contextlib.closing(sqlite3.connect(os.path.join(self.door.state, "oneknock.db"))) as database:
                database.executescript(left)
            done = self.audit(check=False)
            self.assertEqual((done.returncode, done.stdout.count("\n")), (DATA, 0))
            self.assertIn("it holds what oneknockd does not make; a damaged audit is put aside", done.stderr)
            for words in (("list",), ("show", "alice")):
                run(program("oneknock-keygen"), *words, "--dir", self.door.folder, check=False)  # it ends
            self.daemon = Daemon(self.net, self.server, self.door)
            self.daemon.wait_for("put aside")
            knock(self.client, self.key)
            self.assert_becomes(1, lambda: len(self.lines()))
            time.sleep(1.1)  # the next one's name is another second's

    def test_whoever_reads_slowly_does_not_keep_the_daemon_from_folding_its_log_into_the_file(self):
        knock(self.client, self.key)
        self.assert_becomes(1, lambda: len(self.lines()))
        with contextlib.closing(sqlite3.connect(os.path.join(self.door.state, "oneknock.db"), isolation_level=None)) as database:
            database.execute("WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<5000) INSERT INTO audit SELECT"
                             " NULL,time,client,generation,source,operation,protocol,port,address,duration,decision,reason,"
                             "door_generation FROM audit, n")
            with subprocess.Popen(self.command(), stdout=subprocess.PIPE, text=True) as slow:
                eventually(lambda: waiting_in(slow.stdout) > 60_000, "the pipe to be full")
                busy, in_log, folded = database.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
                self.assertEqual((busy, in_log), (0, folded))
                self.assertEqual(len(slow.stdout.readlines()), 1 + 1 + 5000)
            self.assertEqual(slow.returncode, 0)

    def test_wrong_words_are_refused_before_anything_is_read(self):
        for words in (("--since", "yesterday"), ("--decision", "acepted"), ("--service", "shs"), ("--until", "1h", "--follow")):
            done = self.audit(*words, check=False)
            self.assertEqual((done.returncode, done.stdout), (USAGE, ""), words)

    def test_standard_output_that_is_full_or_closed_is_an_error(self):
        for to in (">/dev/full", ">&-"):
            done = run("sh", "-c", f'exec "$@" {to}', "sh", *self.command(), check=False)
            self.assertEqual(done.returncode, CANNOT_CREATE, to)

    def test_following_ends_with_its_reader(self):
        for command in (self.command("--follow"), [program("oneknockctl"), "--socket", self.door.socket, "status", "--watch"]):
            done = run("sh", "-c", '{ "$@"; echo $? >&2; } | head -n 1', "sh", *command)
            self.assertEqual(done.stderr.splitlines()[-1], str(CANNOT_CREATE))

    def test_root_is_given_up_before_the_file_is_read(self):
        follow = self.net.start(self.server, *self.command("--follow"))
        follow.wait_for("^TIME")
        with open(f"/proc/{follow.pid}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        self.assertEqual(set(status["Uid"].split()), {str(os.stat(self.door.state).st_uid)})
        self.assertEqual((int(status["CapEff"], 16), int(status["CapBnd"], 16)), (0, 0))
        self.assertEqual(os.readlink(f"/proc/{follow.pid}/root"), self.door.state)

    def test_status_is_redrawn_in_place_on_a_terminal_and_has_no_escapes_elsewhere(self):
        command = [program("oneknockctl"), "--socket", self.door.socket, "status", "--watch"]
        drawn = on_a_terminal(command, 2.5)
        self.assertEqual(drawn.count(b"\033[2J"), 1)
        self.assertGreaterEqual(drawn.count(b"\033[H"), 3)  # once cleared, then at least twice drawn
        self.assertIn(b"door      home, up", drawn)
        plain = self.net.start(self.server, *command)
        plain.wait_for("^door ", times=2)
        self.assertNotIn("\033", plain.log)


def waiting_in(pipe):
    """How many bytes nobody has read."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"1234"))[0]


def on_a_terminal(argv, seconds):
    """What a program writes to a terminal in this time, after which it is ended."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(argv[0], argv)
    written, end = b"", time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            written += os.read(terminal, 65536)
    os.kill(pid, 15)
    os.waitpid(pid, 0)
    os.close(terminal)
    return written


if __name__ == "__main__":
    main()
