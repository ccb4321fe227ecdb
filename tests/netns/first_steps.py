"""`oneknock-keygen setup`, as a new user types it at a terminal, on a machine that has no door yet.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (a service on tcp 22; /etc, /var/lib, /run and /root of its own)
"""

import os
import pty
import re
import select
import signal
import subprocess

from door import knock
from harness import NetworkTest, eventually, main, program, run
from traffic import OPEN, Service, attempt, connect, is_alive

# A machine's own folders, as they are before anything is set up. What runs in it is entered by the process that stays.
MACHINE = """
mkdir "$1/etc" && cp -a /etc/. "$1/etc" && rm -rf "$1/etc/oneknock" && mount --bind "$1/etc" /etc
for folder in /var/lib /run /root; do mount -t tmpfs none $folder; done
echo 'alice:x:4711:4711::/root/alice:/bin/sh' >>/etc/passwd && mkdir /root/alice && chown 4711:4711 /root/alice
echo made && exec sleep infinity
"""
KEPT = "/etc/oneknock", "/var/lib", "/run", "/root"
ANSWERS = ("--name", "home", "--address", "10.77.0.1", "--service", "ssh=tcp/22", "--client", "laptop")


# What the units make of these words, for those who have no systemd; `enable` takes as long as /run/slow is there, and fails
# where /run/broken is.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>/run/systemctl.log
case "$1" in
cat) ;;
enable)
    touch /run/enabled
    while test -e /run/slow; do sleep 0.02; done
    test ! -e /run/broken || { echo 'Job for oneknockd.service failed.' >&2; exit 1; }
    BIN/oneknockd --guard && (BIN/oneknockd >/run/oneknockd.log 2>&1 & echo $! >/run/oneknockd.pid)
    until BIN/oneknockctl status >/dev/null 2>&1; do sleep 0.02; done ;;
disable)
    rm /run/enabled
    read -r pid </run/oneknockd.pid || exit 0
    kill "$pid" && while test -e "/proc/$pid/exe"; do sleep 0.02; done ;;
esac
"""


class Typist:
    """A program on a terminal of its own, and whoever types there."""

    def __init__(self, *argv, env):
        self._terminal, other = pty.openpty()
        self._popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "setsid", "--ctty", *argv], stdin=other,
                                       stdout=other, stderr=other, env=env)
        os.close(other)
        self.shown = ""
        self._read_to = 0

    def sees(self, pattern):
        """Waits until it is shown, behind what was waited for before."""
        def found():
            self._read()
            return re.compile(pattern, re.M).search(self.shown, self._read_to)

        match = eventually(found, lambda: f"/{pattern}/ in:\n{self.shown}")
        self._read_to = match.end()
        return match

    def types(self, line):
        os.write(self._terminal, line.encode() + b"\n")

    def presses_ctrl_c(self):
        os.write(self._terminal, b"\x03")

    def closes_the_terminal(self):
        os.close(self._terminal)
        self._terminal = None

    def is_sent(self, which):
        self._popen.send_signal(which)

    def ends(self):
        """Its status; minus the number of the signal that ended it."""
        eventually(lambda: self._read() or self._popen.poll() is not None, lambda: f"the end; shown was:\n{self.shown}")
        self._read()
        return self._popen.returncode

    def end(self):
        self._popen.kill()
        self._popen.wait()
        if self._terminal is not None:
            self.closes_the_terminal()

    def _read(self):
        while self._terminal is not None and select.select([self._terminal], [], [], 0)[0]:
            try:
                self.shown += os.read(self._terminal, 65536).decode(errors="replace").replace("\r\n", "\n")
            except OSError:  # nobody has it open any more
                return


class FirstSteps(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", ["10.77.0.1/24"], self.client, "c0", ["10.77.0.2/24"])
        net.keep(Service(self.server, 22), Service.stop)
        self.machine = net.start(self.server, "unshare", "--mount", "sh", "-ec", MACHINE, "sh", net.folder)
        self.machine.wait_for("^made$")
        net.keep(self.server, kill_all_in)

    def within(self, *argv):
        return ("nsenter", "--target", str(self.machine.pid), "--mount", "--wd=/", "--", *argv)

    def run_in(self, *argv, **options):
        return self.server.run(*self.within(*argv), **options)

    def setup(self, *options, **env):
        clean = {"PATH": os.environ["PATH"], "TERM": "dumb", **env}
        with self.server:
            typist = Typist(*self.within(program("oneknock-keygen"), "setup", *options), env=clean)
        return self.net.keep(typist, Typist.end)

    def on_trial(self, *options):
        typist = self.setup(*ANSWERS, *options)
        typist.sees("Press Enter")
        typist.types("")
        typist.sees("here with yes")
        return typist

    def files(self):
        return self.run_in("find", *KEPT, "-printf", "%p %m %u\n", check=False).stdout

    def tables(self):
        return self.server.run("nft", "list", "tables").stdout

    def key(self, path="/root/laptop.json"):
        """A copy of the client's key, where the client finds it."""
        to = self.net.path("key")
        with open(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self.run_in("cat", path).stdout)
        return to

    def expect_undone(self, files):
        self.assertEqual(self.files(), files)
        self.assertEqual(self.tables(), "")
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN)
        self.assertEqual(daemons_in(self.server), [])

    def test_a_new_user_answers_tries_and_confirms(self):
        session = connect(self.client, "10.77.0.1", 22)
        self.addCleanup(session.close)
        typist = self.setup()
        typist.sees(r"Name of the door, as clients say it \[.+\]: ")
        typist.types("my home")
        typist.sees("is not a name")
        typist.sees("Name of the door")
        typist.types("home")
        typist.sees(r"clients knock at \[10\.77\.0\.1\]: ")
        typist.types("10.77.0.300")
        typist.sees("is no IPv4 address")
        typist.types("")
        typist.sees(r"ssh=tcp/22  \(python3?.*\)")
        typist.sees(r"What knocks open.* \[ssh\]: ")
        typist.types("ssh tcp/99999")
        typist.sees("is not a name and a service")
        typist.types("ssh dns=udp/53")
        typist.sees("Nothing listens at udp/53")
        typist.sees(r"first client \[laptop\]: ")
        typist.types("")
        typist.sees("^# oneknock-keygen init --name home --address 10.77.0.1 --service dns=udp/53 --service ssh=tcp/22$")
        typist.sees("^# oneknock-keygen add laptop --allow dns --allow ssh --source observed -o /root/laptop.json$")
        typist.sees("^# oneknockd --check-config$")
        typist.sees("OK: door home")
        typist.sees(r"^    scp root@10\.77\.0\.1:laptop\.json \. && oneknock import laptop\.json$")
        typist.sees("those of UDP end")
        typist.sees("Press Enter")
        key = self.key()
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN)
        typist.types("")
        typist.sees("^# oneknockd --try 120$")
        typist.sees("oneknock open home ssh --wait && ssh root@10.77.0.1$")
        self.assertNotEqual(attempt(self.client, "10.77.0.1", 22), OPEN)
        self.assertTrue(is_alive(session))
        typist.types("yes")
        typist.sees("No knock has been accepted yet")
        knock(self.client, key, "ssh", "--wait")
        typist.types("what?")
        typist.sees("Answer yes")
        typist.types("Yes")
        typist.sees("^# oneknockctl confirm$")
        typist.sees("^Done: udp/53, tcp/22")
        typist.sees("shred -u /root/laptop.json")
        self.assertEqual(typist.ends(), 0)
        self.assertTrue(is_alive(session))
        knock(self.client, key, "ssh", operation="close")
        eventually(lambda: attempt(self.client, "10.77.0.1", 22) != OPEN, "it to be closed")
        knock(self.client, key, "ssh", "--wait")

    def with_service_manager(self):
        path = self.net.path("systemctl")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o755), "w") as file:
            file.write(SYSTEMCTL.replace("BIN", os.path.dirname(program("oneknockd"))))
        self.run_in("sh", "-ec", f"mkdir -p /run/systemd/system && mount --bind {path} /usr/bin/systemctl")

    def confirmed(self):
        """A trial that was confirmed from elsewhere."""
        typist = self.on_trial()
        key = self.key()
        knock(self.client, key, "ssh", "--wait")
        self.run_in(program("oneknockctl"), "confirm")
        return typist, key

    def test_a_service_manager_takes_the_confirmed_door_over(self):
        self.with_service_manager()
        typist, key = self.confirmed()
        typist.sees("^# systemctl enable --now oneknockd-guard.service oneknockd.service$")
        typist.sees("^Done: tcp/22 is closed to whoever has not knocked, after a boot too")
        self.assertEqual(typist.ends(), 0)
        self.assertEqual(self.run_in("cat", "/run/systemctl.log").stdout.count("enable --now"), 1)
        self.assertEqual(len(daemons_in(self.server)), 3)
        self.assertNotEqual(attempt(self.client, "10.77.0.1", 22), OPEN)
        knock(self.client, key, "ssh", "--wait")

    def test_a_service_that_does_not_start_is_undone(self):
        self.with_service_manager()
        self.run_in("touch", "/run/broken", "/run/systemctl.log")
        files = self.files()
        typist, _ = self.confirmed()
        typist.sees("^Job for oneknockd.service failed")
        typist.sees("^# systemctl disable --now oneknockd-guard.service oneknockd.service$")
        typist.sees("^# oneknockd --remove$")
        self.assertEqual(typist.ends(), 69, typist.shown)
        self.expect_undone(files)

    def test_whoever_breaks_off_while_the_service_starts_is_heard_once_that_is_done(self):
        self.with_service_manager()
        self.run_in("touch", "/run/systemctl.log")
        files = self.files()
        self.run_in("touch", "/run/slow")
        typist, _ = self.confirmed()
        eventually(lambda: "enable" in self.run_in("cat", "/run/systemctl.log").stdout, "the service to be started")
        typist.presses_ctrl_c()
        self.run_in("rm", "/run/slow")
        typist.sees("^# systemctl disable")
        self.assertEqual(typist.ends(), -signal.SIGINT, typist.shown)
        self.run_in("rm", "/run/oneknockd.log", "/run/oneknockd.pid")
        self.expect_undone(files)

    def test_the_key_is_put_where_the_person_behind_sudo_can_fetch_it(self):
        typist = self.setup(*ANSWERS, SUDO_UID="4711", SSH_CONNECTION="10.77.0.2 40000 10.77.0.1 2222")
        typist.sees(r"^    scp -P 2222 alice@10\.77\.0\.1:laptop\.json \. && oneknock import laptop\.json$")
        typist.sees("Press Enter")
        self.assertEqual(self.run_in("stat", "-c", "%U %a", "/root/alice/laptop.json").stdout, "alice 600\n")
        typist.presses_ctrl_c()
        self.assertEqual(typist.ends(), -signal.SIGINT)
        self.assertNotIn("laptop.json", self.files())

    def test_a_code_instead_of_a_file(self):
        typist = self.setup(*ANSWERS, "--qr")
        typist.sees("^# oneknock-keygen add laptop --allow ssh --source observed --qr$")
        typist.sees("passphrase")
        typist.sees("Scan the code")
        typist.presses_ctrl_c()
        self.assertEqual(typist.ends(), -signal.SIGINT)

    def test_a_key_that_is_sealed_for_the_machine_that_asked_for_it(self):
        home = {"XDG_CONFIG_HOME": self.net.path("home")}
        string = run(program("oneknock"), "enrol", env=home).stdout.strip()
        typist = self.setup(*ANSWERS, "--for", string)
        typist.sees(f"^# oneknock-keygen add laptop --allow ssh --source observed --for {string} -o /root/laptop.json$")
        words = typist.sees("words: (.*)$")[1]
        typist.sees("is in /root/laptop.json, sealed")
        typist.sees("Compare the words")
        typist.sees("Press Enter")
        run(program("oneknock"), "import", self.key(), "--words", words, env=home)
        typist.types("")
        typist.sees("here with yes")
        self.client.run(program("oneknock"), "open", "home", "ssh", "--wait", env=home)
        typist.types("yes")
        typist.sees("^Done:")
        typist.sees("remove it here: rm /root/laptop.json")
        self.assertEqual(typist.ends(), 0)

    def test_what_would_be_in_vain_is_refused_before_anything_is_asked(self):
        files = self.files()
        script = self.run_in(program("oneknock-keygen"), "setup", check=False)
        self.assertEqual(script.returncode, 64)
        self.assertIn("A script runs the commands one by one: oneknock-keygen init,", script.stderr)
        other = self.run_in("setpriv", "--reuid=4711", "--clear-groups", program("oneknock-keygen"), "setup", check=False)
        self.assertEqual((other.returncode, "sudo oneknock-keygen setup" in other.stderr), (77, True))
        self.assertEqual(self.files(), files)
        for there, status, said in ((("mkdir", "-p", "/etc/oneknock/clients.d"), 73, "there is a door in /etc/oneknock already"),
                                    (("touch", "/var/lib/oneknock.db-replay"), 73, "is the record of an earlier door")):
            self.run_in(*there)
            typist = self.setup("--state", "/var/lib")
            self.assertEqual(typist.ends(), status, typist.shown)
            self.assertIn(said, typist.shown)
            self.run_in("rm", "-r", there[-1])
        self.run_in("touch", "/root/laptop.json")
        typist = self.setup(*ANSWERS)
        self.assertEqual(typist.ends(), 73)
        self.assertIn("/root/laptop.json already exists", typist.shown)

    def test_what_is_not_confirmed_is_undone(self):
        self.run_in("mkdir", "/run/oneknock")
        files = self.files()
        typist = self.on_trial("--try", "1s")
        self.assertEqual(typist.ends(), 75, typist.shown)
        self.assertIn("the trial was not confirmed; all of it is undone, and nothing is closed", typist.shown)
        self.expect_undone(files)

    def test_a_set_up_that_is_killed_closes_nothing_for_longer_than_its_trial(self):
        typist = self.on_trial("--try", "3s")
        typist.is_sent(signal.SIGKILL)
        self.assertEqual(typist.ends(), -signal.SIGKILL)
        eventually(lambda: not daemons_in(self.server), "the end of the trial")
        self.assertEqual(self.tables(), "")
        typist = self.setup()
        self.assertEqual(typist.ends(), 73)
        self.assertIn("rm -r /etc/oneknock /var/lib/oneknock/oneknock.db*", typist.shown)

    def test_whoever_breaks_off_leaves_nothing_behind(self):
        files = self.files()
        for how, status in ((Typist.presses_ctrl_c, -signal.SIGINT), (Typist.closes_the_terminal, -signal.SIGHUP),
                            (lambda typist: typist.is_sent(signal.SIGTERM), -signal.SIGTERM)):
            typist = self.on_trial()
            how(typist)
            self.assertEqual(typist.ends(), status, typist.shown)
            self.expect_undone(files)
        typist = self.setup(*ANSWERS)
        typist.sees("Press Enter")
        typist.presses_ctrl_c()
        self.assertEqual(typist.ends(), -signal.SIGINT)
        self.expect_undone(files)
        typist = self.setup()
        typist.sees("Name of the door")
        os.write(typist._terminal, b"\x04")
        self.assertEqual(typist.ends(), 75)
        self.expect_undone(files)


def daemons_in(namespace):
    pids = run("ip", "netns", "pids", namespace.name).stdout.split()
    return [pid for pid in pids if os.path.exists(f"/proc/{pid}/exe") and "oneknockd" in os.readlink(f"/proc/{pid}/exe")]


def kill_all_in(namespace):
    for pid in run("ip", "netns", "pids", namespace.name).stdout.split():
        if int(pid) != os.getpid():
            os.kill(int(pid), signal.SIGKILL)


if __name__ == "__main__":
    main()
