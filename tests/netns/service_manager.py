"""What the daemon tells a service manager and the journal: a test stands in for both.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)
"""

import contextlib
import os
import select
import signal
import socket
import time

from door import Daemon, PlainHouse, is_running, knock
from harness import PATIENCE, eventually, main, program, run

# Standard error becomes the journal's, and the journal's socket the one in the folder $1.
AMONG_SYSTEMD = """
mount -t tmpfs run /run && mkdir -p /run/systemd/journal && mount --bind "$1" /run/systemd/journal && shift
JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$@"
"""


class Listening:
    """A socket of datagrams, and all it got."""

    def __init__(self, net, path):
        self.path = path
        self._socket = net.keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), socket.socket.close)
        self._socket.bind(path)
        os.chmod(path, 0o666)
        self._socket.setblocking(False)
        self._got = []

    def got(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self._got.append(self._socket.recv(65536).decode())
        return self._got

    def wait_for(self, condition):
        """The first that fulfils it."""
        return eventually(lambda: next(filter(condition, self.got()), None), lambda: f"what was told was {self.got()}")

    def next_within(self, seconds):
        """Whether something new comes."""
        self.got()
        return bool(select.select([self._socket], [], [], seconds)[0])


class ServiceManager(PlainHouse):
    def build(self):
        super().build()
        self.daemon.stop()
        self.manager = Listening(self.net, self.net.path("notify"))

    def start(self, *options, within=(), **variables):
        env = {"NOTIFY_SOCKET": self.manager.path, **variables}
        self.daemon = Daemon(self.net, self.server, self.door, *options, env=env, within=within, ready="^(<6>)?ready:")

    def test_it_says_when_it_is_ready_what_it_closes_and_that_it_stops(self):
        self.start()
        self.manager.wait_for(lambda told: told == "READY=1\nSTATUS=closed to whoever has not knocked: tcp/22, tcp/80")
        run(program("oneknock-keygen"), "service", "remove", "--dir", self.door.folder, "web")
        self.manager.wait_for(lambda told: told == "STATUS=closed to whoever has not knocked: tcp/22")
        self.daemon.stop()
        self.manager.wait_for(lambda told: told.startswith("STOPPING=1\n"))
        self.assertFalse(any("WATCHDOG" in told for told in self.manager.got()))  # nobody asked

    def test_a_trial_is_told_of_until_it_is_confirmed(self):
        self.start("--try", "600")
        self.manager.wait_for(lambda told: told.startswith("READY=1\n") and "on trial" in told)
        self.daemon.ctl("confirm")
        self.manager.wait_for(lambda told: told == "STATUS=closed to whoever has not knocked: tcp/22, tcp/80")

    def test_the_watchdog_hears_of_it_as_long_as_every_process_answers(self):
        for room in ("listener", "gatekeeper"):
            with self.subTest(room=room):
                self.start(WATCHDOG_USEC="600000")
                beats = len([told for told in self.manager.got() if told == "WATCHDOG=1"])
                eventually(lambda: self.manager.got().count("WATCHDOG=1") >= beats + 3, "signs of life")
                pids = list(self.daemon.rooms().values())
                os.kill(self.daemon.rooms()[room], signal.SIGSTOP)
                end = time.monotonic() + PATIENCE
                while self.manager.next_within(2) and time.monotonic() < end:
                    pass
                self.assertLess(time.monotonic(), end, "signs of life come from a daemon that hangs")
                os.kill(self.daemon.rooms()[room], signal.SIGCONT)
                self.assertTrue(self.manager.next_within(PATIENCE), "none come once it goes on")
                self.daemon.stop()
                eventually(lambda pids=pids: not any(map(is_running, pids)), "the rooms to be gone")

    def test_the_watchdog_of_another_process_is_none_of_its_business(self):
        self.start(WATCHDOG_USEC="300000", WATCHDOG_PID="1")
        self.manager.wait_for(lambda told: told.startswith("READY=1"))
        self.assertFalse(self.manager.next_within(1))

    def test_the_journal_gets_fields_beside_the_lines_about_knocks(self):
        os.mkdir(self.net.path("journal"))
        os.chmod(self.net.folder, 0o755)
        journal = Listening(self.net, self.net.path("journal", "socket"))
        self.start(within=("unshare", "--mount", "sh", "-ec", AMONG_SYSTEMD, "sh", self.net.path("journal")))
        self.daemon.wait_for("^<6>ready:")
        knock(self.client, self.key)
        entry = journal.wait_for(lambda told: "ONEKNOCK_CLIENT=alice\n" in told)
        self.assertRegex(entry, "(?m)^MESSAGE=accepted: alice: open tcp/22 for 10.77.0.2, 30s, from 10.77.0.2 ")
        for field in ("PRIORITY=6", "SYSLOG_IDENTIFIER=oneknockd", "ONEKNOCK_DECISION=accepted", "ONEKNOCK_OPERATION=open",
                      "ONEKNOCK_SERVICE=tcp/22", "ONEKNOCK_ADDRESS=10.77.0.2", "ONEKNOCK_SOURCE=10.77.0.2",
                      "ONEKNOCK_DURATION=30"):
            self.assertIn(field + "\n", entry)
        knock(self.client, self.key, "tcp/80")
        entry = journal.wait_for(lambda told: "ONEKNOCK_DECISION=service-not-allowed\n" in told)
        self.assertIn("PRIORITY=4\n", entry)
        self.assertNotIn("accepted", self.daemon.log)

    def test_lines_go_to_standard_error_where_the_journal_is_gone(self):
        os.mkdir(self.net.path("journal"))
        os.chmod(self.net.folder, 0o755)
        journal = Listening(self.net, self.net.path("journal", "socket"))
        self.start(within=("unshare", "--mount", "sh", "-ec", AMONG_SYSTEMD, "sh", self.net.path("journal")))
        journal._socket.close()
        knock(self.client, self.key)
        self.daemon.wait_for("^<6>accepted: alice: open tcp/22")


if __name__ == "__main__":
    main()
