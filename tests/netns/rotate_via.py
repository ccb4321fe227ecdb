"""`oneknock rotate DOOR --via HOST`: the next key over ssh, whatever breaks on the way.

      client 10.77.0.2 fd77::2  c0 ---- s0  10.77.0.1 fd77::1  server (oneknockd; sshd on tcp 22)

Each session passes a gate at the server, which cuts it off where a test says.
"""

import base64
import json
import os
import shlex
import shutil
import signal

from harness import BIN, main, program, run
from ssh import SshHouse

USAGE, DATA, NO_INPUT, UNAVAILABLE, CANNOT_CREATE, TRY_LATER = 64, 65, 66, 69, 73, 75

GATE = """#!/bin/sh
# Kills the server's end of this session at the point that the file `break` names, once.
printf '%s\\n' "$SSH_ORIGINAL_COMMAND" >>HERE/commands
run() { sh -c "$SSH_ORIGINAL_COMMAND"; }
cut() { rm HERE/break; kill -9 $PPID; exit; }
case "$(cat HERE/break 2>/dev/null):$SSH_ORIGINAL_COMMAND" in
    before:*" rotate "*) cut ;;
    behind:*" rotate "*) run >/dev/null; cut ;;
    within:*" rotate "*) run | head -c 300; cut ;;
    long:*" rotate "*) rm HERE/break; run; head -c 70000 /dev/zero ;;
    other:*" rotate "*) rm HERE/break; run | sed 's/"sealed": *"[^"]*"/"sealed": "AAAA"/' ;;
    proof:*" rotate "*) run; echo answered >HERE/break ;;
    answered:*" show "*) cut ;;
    twice:*" rotate "*) rm HERE/break; XDG_CONFIG_HOME=HERE/client oneknock rotate home --via nowhere 2>HERE/second; run ;;
    deaf:*" rotate "*) run; rm HERE/break; kill -STOP $(cat HERE/listener) ;;
    *) run ;;
esac
"""


class House(SshHouse):
    def build(self):
        super().build()
        self.home = self.net.path("client")
        self.oneknock("import", self.key)
        self.key = os.path.join(self.home, "oneknock", "home.json")
        self.pending = os.path.join(self.home, "oneknock", "home.pending")

    def more_for_sshd(self):
        gate = self.net.path("gate")
        with open(gate, "w") as file:
            file.write(GATE.replace("HERE", self.net.path()))
        os.chmod(gate, 0o755)
        return f"ForceCommand {gate}\nSetEnv PATH={os.path.abspath(BIN)}:/usr/bin:/bin\n"

    def oneknock(self, *words, **options):
        return self.client.run(program("oneknock"), *words, env={"XDG_CONFIG_HOME": self.home}, **options)

    def words(self, *words, host="root@10.77.0.1"):
        return ("rotate", "home", *words, "--via", host, "--dir", self.door.folder, "--", *self.options())

    def rotate(self, *words, code=0, says=(), host="root@10.77.0.1"):
        done = self.oneknock(*self.words(*words, host=host), check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for what in says:
            self.assertIn(what, done.stdout + done.stderr)
        return done

    def cut(self, where):
        with open(self.net.path("break"), "w") as file:
            file.write(where)

    def generation(self):
        with open(self.key) as file:
            return json.load(file)["client"]["generation"]

    def at_server(self):
        told = run(program("oneknock-keygen"), "show", "laptop", "--dir", self.door.folder, "--json")
        return json.loads(told.stdout)["generation"]

    def opens(self):
        """Whether the key that `open` uses is accepted."""
        before = self.daemon.accepted()
        self.oneknock("open", "home", self.allow[0])
        self.assert_becomes(before + 1, self.daemon.accepted)

    def assert_complete(self, generation):
        self.assertEqual((self.generation(), self.at_server()), (generation, generation))
        self.assertFalse(os.path.exists(self.pending))
        self.opens()


class Rotate(House):
    def test_the_next_key_comes_sealed_works_and_takes_the_place_of_the_old_one(self):
        done = self.rotate(says=["rotated", "generation 2"])
        self.assertNotIn("oneknock import", done.stderr)
        self.assert_complete(2)
        with open(self.key) as file:
            secret = json.load(file)["client"]["secret"]
        with open(self.net.path("commands")) as file:
            commands = file.read()
        self.assertIn("oneknock-keygen rotate laptop", commands)
        for form in (secret, base64.b64decode(secret).hex()):
            self.assertNotIn(form, commands + done.stdout + done.stderr)
        self.daemon.wait_for(r"^accepted: laptop: open tcp/22 for 10.77.0.2.*\(generation 2\)")

    def test_wherever_the_connection_breaks_a_key_works_and_the_same_command_completes(self):
        latest = 1
        for where, says in (("before", "the present one ends"), ("behind", "the present one ends"), ("within", "the present one ends"),
                            ("proof", "both keys are kept")):
            with self.subTest(where):
                old = self.generation()
                self.cut(where)
                self.rotate(code=UNAVAILABLE, says=[says])
                latest += where != "before"
                self.assertEqual((self.generation(), self.at_server()), (old, latest))
                self.assertEqual(os.path.exists(self.pending), where == "proof")
                self.opens()
                again = self.rotate()
                self.assertEqual("an earlier run got generation" in again.stderr, where == "proof")
                latest += where != "proof"
                self.assert_complete(latest)

    def test_a_port_that_the_old_key_has_opened_proves_nothing(self):
        """The daemon hears nothing once the key is rotated; the port is open all the while."""
        with open(self.net.path("listener"), "w") as file:
            file.write(str(self.daemon.rooms()["listener"]))
        self.cut("deaf")
        try:
            self.rotate(code=TRY_LATER, says=["does not say that the next key was used", "both keys are kept"])
        finally:
            os.kill(self.daemon.rooms()["listener"], signal.SIGCONT)
        self.assertEqual((self.generation(), self.at_server()), (1, 2))
        self.rotate(says=["an earlier run got generation 2"])
        self.assert_complete(2)

    def test_killed_between_its_steps_the_client_has_a_key_and_the_same_command_completes(self):
        latest = 1
        for call, when, is_pending, is_in_place in (("link", 1, False, False),  # the next key is not stored yet
                                                    ("rename", 1, True, False),  # it was used, and is to take its place
                                                    ("unlink", 2, True, True)):
            with self.subTest(call):
                done = self.client.run("strace", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                                       f"inject={call}:error=EIO:signal=KILL:when={when}", program("oneknock"), *self.words(),
                                       env={"XDG_CONFIG_HOME": self.home}, check=False)
                self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
                latest += 1
                self.assertEqual((self.at_server(), self.generation(), os.path.exists(self.pending)),
                                 (latest, latest if is_in_place else latest - 1, is_pending))
                self.opens()
                again = self.rotate()
                self.assertEqual("an earlier run got generation" in again.stderr, is_pending)
                latest += not is_pending
                self.assert_complete(latest)

    def test_a_next_key_that_cannot_be_read_or_stored_ends_the_present_one_and_that_is_told(self):
        told = "the present one ends 7d from now: give the same command again before"
        for latest, answer in enumerate(("long", "other"), 2):
            self.cut(answer)
            self.rotate(code=DATA, says=[told])
            self.assertEqual((self.generation(), self.at_server()), (1, latest))
        done = self.client.run("strace", "-o", "/dev/null", "-e", "trace=link", "-e", "inject=link:error=ENOSPC", program("oneknock"),
                               *self.words(), env={"XDG_CONFIG_HOME": self.home}, check=False)
        self.assertEqual(done.returncode, CANNOT_CREATE, done.stderr)
        self.assertIn(told, done.stderr)
        self.assertEqual((self.generation(), self.at_server(), os.path.exists(self.pending)), (1, 4, False))
        self.rotate()
        self.assert_complete(5)

    def test_what_the_server_refuses_changes_nothing_and_is_told(self):
        for words in (("--via", "-oProxyCommand=true"), ("--via", "root@10.77.0.1", "--dir", "etc")):
            done = self.oneknock("rotate", "home", *words, check=False)
            self.assertEqual(done.returncode, USAGE, done.stderr)
        other = self.net.path("other")
        run(program("oneknock-keygen"), "init", "--dir", other, "--name", "home", "--address", "10.77.0.1", "--service",
            "ssh=tcp/22", "--state", self.net.path("other-state"), "--socket", self.net.path("other.sock"))
        run(program("oneknock-keygen"), "add", "laptop", "--allow", "ssh", "--dir", other, "-o", self.net.path("other.json"))
        self.door.folder, ours = other, self.door.folder
        self.rotate(code=DATA, says=["is not of the door home"])
        self.assertEqual((self.at_server(), self.generation()), (1, 1))
        self.door.folder = "/nowhere"
        self.rotate(code=UNAVAILABLE, says=["failed at the server with status 66"])
        self.door.folder = ours
        self.rotate("--no-sudo", host="nobody@10.77.0.1", code=UNAVAILABLE, says=["ssh could not"])
        self.assertFalse(os.path.exists(self.pending))
        if not shutil.which("sudo", path="/usr/bin:/bin"):
            self.rotate(host="10.77.0.1", code=UNAVAILABLE, says=["status 127: sudo -n oneknock-keygen show laptop"])
        self.assertEqual((self.generation(), self.at_server()), (1, 1))
        self.rotate("--no-sudo", host="10.77.0.1")
        self.assert_complete(2)

    def test_of_two_commands_at_once_one_gives_way_and_no_key_is_lost(self):
        self.cut("twice")
        self.rotate(says=["generation 2"])
        with open(self.net.path("second")) as file:
            self.assertRegex(file.read(), "another oneknock command that is changing the keys in .*; wait until it is done")
        self.assert_complete(2)

        askpass = self.net.path("askpass")
        with open(askpass, "w") as file:
            file.write(f"""#!/bin/sh
case "$1" in new*) {shlex.join([program("oneknock"), *self.words()])} >&2 ;; esac && echo open sesame
""")
        os.chmod(askpass, 0o755)
        done = self.client.run(program("oneknock"), "passphrase", "home", check=False, env={
            "XDG_CONFIG_HOME": self.home, "ONEKNOCK_ASKPASS": askpass, "SSH_ASKPASS_REQUIRE": "force"})
        self.assertEqual(done.returncode, TRY_LATER, done.stderr)
        self.assertIn("was changed meanwhile; nothing was changed", done.stderr)
        self.assert_complete(3)

    def test_a_key_with_a_passphrase_keeps_it(self):
        secret = self.net.path("passphrase")
        with open(secret, "w") as file:
            file.write("open sesame\n")
        with_secret = lambda *words: self.client.run("sh", "-c", f"exec 3<{secret}; exec \"$@\"", "sh", program("oneknock"),
                                                     *words, env={"XDG_CONFIG_HOME": self.home})
        with_secret("passphrase", "home", "--key-fd", "3")
        with_secret(*self.words("--key-fd", "3"))
        with open(self.key) as file:
            stored = json.load(file)
        self.assertEqual((stored["oneknock"], stored["client"]["generation"]), ("locked-client-key", 2))
        self.assertFalse(os.path.exists(self.pending))
        self.daemon.wait_for(r"^accepted: laptop: open tcp/22 for 10.77.0.2.*\(generation 2\)")


class Unseen(House):
    """The client may open a UDP service alone, and ssh is not behind the door."""
    services = ["vpn=udp/51820"]
    allow = ("vpn",)

    def test_the_servers_word_counts_where_nobody_sees_a_service_open(self):
        self.rotate("vpn", says=["generation 2"])
        self.assert_complete(2)
        self.cut("proof")
        self.rotate("vpn", code=UNAVAILABLE, says=["both keys are kept"])
        self.rotate("vpn", says=["an earlier run got generation 3"])
        self.assert_complete(3)


if __name__ == "__main__":
    main()
