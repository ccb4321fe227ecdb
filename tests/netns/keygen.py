"""What oneknock-keygen changes without anybody editing a file: what clients may open, and the services of the door.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; services on tcp 22 and 443)
"""

import fcntl
import json
import os
import shutil
import subprocess

from door import PlainHouse, change_json, knock
from harness import PATIENCE, eventually, main, program, run
from traffic import CLOSED, OPEN, Service, attempt, connect, is_alive

USAGE, DATA, NO_INPUT, CANNOT_CREATE = 64, 65, 66, 73


class Keygen(PlainHouse):
    def keygen(self, *words, check=True):
        return run(program("oneknock-keygen"), *words, "--dir", self.door.folder, check=check)

    def refused(self, code, names, *words):
        done = self.keygen(*words, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        for name in names:
            self.assertIn(name, done.stderr)
        return done.stderr

    def told(self, *words):
        return json.loads(self.keygen(*words, "--json").stdout)

    def allowed(self, client="alice"):
        return self.told("show", client)["services"]

    def files(self):
        found = {}
        for folder, _, names in os.walk(self.door.folder):
            for name in names:
                with open(os.path.join(folder, name)) as file:
                    found[name] = file.read()
        return found

    def secrets(self):
        with open(self.key) as file:
            key = json.load(file)
        return key["door"]["secret"], key["client"]["secret"]

    def test_a_client_may_open_what_it_is_allowed_from_now_on_without_a_new_key_file(self):
        said = self.keygen("allow", "alice", "web").stderr
        self.assertIn("tcp/80", said)
        self.assertEqual(self.allowed(), ["ssh", "web"])
        eventually(lambda: knock(self.client, self.key, "tcp/80") and [e[2] for e in self.daemon.elements()] == [80],
                   "tcp/80 to be opened", step=0.5)
        said = self.keygen("deny", "alice", "web").stderr
        self.assertIn("alice may open ssh (tcp/22)", said)
        eventually(lambda: not self.daemon.elements(), "the grant to be closed")
        self.assertEqual(self.allowed(), ["ssh"])

    def test_a_client_that_may_open_nothing_is_known_and_can_open_nothing(self):
        knock(self.client, self.key)
        eventually(self.daemon.elements, "the grant")
        self.assertIn("nothing", self.keygen("deny", "alice", "ssh").stderr)
        eventually(lambda: not self.daemon.elements(), "the grant to be closed")
        self.assertEqual(self.told("show", "alice")["status"], "valid")
        knock(self.client, self.key)
        eventually(lambda: self.daemon.refused() == {"service-not-allowed": 1}, "the knock to be refused")
        self.refused(DATA, ["alice", "may open nothing", "oneknock-keygen allow"], "rotate", "alice", "-o", self.net.path("k"))
        run(program("oneknockd"), "--config", self.door.config, "--check-config")
        self.assertIn("alice may open ssh (tcp/22)", self.keygen("allow", "alice", "ssh").stderr)

    def test_a_revoked_client_is_let_in_again_with_its_old_key(self):
        self.keygen("revoke", "alice")
        self.assertEqual(self.told("show", "alice")["status"], "revoked")
        said = self.keygen("allow", "alice", "web").stderr
        self.assertIn("oneknock-keygen unrevoke alice", said)
        said = self.refused(DATA, ["revoked", "oneknock-keygen unrevoke alice"], "rotate", "alice", "-o", self.net.path("k"))
        self.assertNotIn("\"revoked\"", said)
        self.keygen("limit", "alice", "--expires", "2020-01-01")
        said = self.keygen("unrevoke", "alice").stderr
        self.assertIn("expired at 2020-01-01T00:00:00Z", said)
        self.assertIn("oneknock-keygen limit alice --expires", said)
        self.keygen("limit", "alice", "--expires", "never")
        self.assertEqual(self.told("show", "alice")["status"], "valid")
        self.assertIn("not revoked", self.keygen("unrevoke", "alice").stderr)
        eventually(lambda: knock(self.client, self.key) and self.daemon.elements(), "the door to be opened", step=0.5)

    # --- the daemon is told -------------------------------------------------------------------------------------------

    def knocked(self, service, *options):
        """What became of a knock: the grants as the kernel has them, or the reason of the refusal."""
        judged = lambda: (self.daemon.accepted(), self.daemon.refused())
        before = judged()
        knock(self.client, self.key, service, *options)
        eventually(lambda: judged() != before, "the knock to be judged")
        if self.daemon.accepted() == before[0]:
            return next(reason for reason, count in self.daemon.refused().items() if count != before[1].get(reason, 0))
        return eventually(self.daemon.elements, "the grant")

    def ports(self, service):
        found = self.knocked(service)
        return found if isinstance(found, str) else sorted(element[2] for element in found)

    def in_force(self, *words):
        said = self.keygen(*words).stderr
        self.assertIn("has it in force: ", said)
        return said.split("has it in force: ")[1].splitlines()[0]

    def test_what_a_command_changes_is_in_force_when_it_exits(self):
        """No wait follows: neither for the knock that comes next, nor for what the command closes."""
        self.net.keep(Service(self.server, 443), Service.stop)
        for _ in range(3):
            self.assertEqual(self.ports("tcp/80"), "service-not-allowed")
            self.assertEqual(self.in_force("allow", "alice", "web"), "alice may open ssh (tcp/22), web (tcp/80)")
            self.assertEqual(self.ports("tcp/80"), [80])
            self.assertEqual(self.in_force("deny", "alice", "web"), "alice may open ssh (tcp/22)")
            self.assertEqual(self.daemon.elements(), [])
            self.assertIn("at most 2s", self.in_force("limit", "alice", "--max-duration", "2s"))
            self.assertLessEqual(self.knocked("ssh", "--for", "60s")[0][3], 2)
            self.in_force("limit", "alice", "--expires", "2020-01-01")
            self.assertEqual(self.ports("ssh"), "key-expired")
            self.in_force("limit", "alice", "--expires", "never", "--max-duration", "60s", "--source", "observed")
            self.assertEqual(self.ports("ssh"), [22])
            self.assertIn("opens nothing any more", self.in_force("revoke", "alice"))
            self.assertEqual(self.daemon.elements(), [])
            self.assertEqual(self.ports("ssh"), "key-revoked")
            self.assertEqual(self.in_force("unrevoke", "alice"), "alice is let in")
            self.assertEqual(self.ports("ssh"), [22])
            self.assertEqual(self.in_force("service", "add", "shop=tcp/443"), "the door has shop (tcp/443)")
            self.assertEqual(self.reached(443), CLOSED)
            self.in_force("allow", "alice", "shop")
            self.assertEqual(self.ports("tcp/443"), [22, 443])
            self.assertEqual(self.in_force("service", "remove", "shop"), "shop (tcp/443) is removed")
            self.assertEqual(self.reached(443), OPEN)
            self.assertEqual([element[2] for element in self.daemon.elements()], [22])
            self.daemon.ctl("revoke", "--all")

    def test_a_command_says_that_nobody_was_told_or_that_the_daemon_has_something_else(self):
        """What only takes away and does not act is an error; the rest is a warning."""
        copy = self.net.path("copy")
        shutil.copytree(self.door.folder, copy)
        commands = ((("allow", "alice", "web"), 0), (("deny", "alice", "ssh"), 69), (("limit", "alice", "--max-duration", "9s"), 69),
                    (("revoke", "alice"), 69), (("service", "add", "shop=tcp/443"), 0), (("service", "remove", "web"), 69))
        for words, code in commands:
            with self.subTest(words):
                done = run(program("oneknock-keygen"), *words, "--dir", copy, check=False)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn("has not taken this in: does it use another directory?", done.stderr)
                self.assertEqual("in this directory only" in done.stderr, code != 0)
        done = run(program("oneknock-keygen"), "unrevoke", "alice", "--dir", copy)
        self.assertIn("has it in force", done.stderr)
        self.daemon.stop()
        for words in (*(words for words, _ in commands), ("unrevoke", "alice")):
            self.assertIn("no daemon was told of this: nobody answers on", self.keygen(*words).stderr)

    def reached(self, port, namespace=None):
        return attempt(namespace or self.client, "10.77.0.1", port)

    def test_a_service_comes_and_goes_without_a_restart(self):
        self.net.keep(Service(self.server, 443), Service.stop)
        knock(self.client, self.key, "ssh", "--wait", "--for", "60s")
        session = connect(self.client, "10.77.0.1", 443)
        self.addCleanup(session.close)
        self.assertIn("tcp/443", self.keygen("service", "add", "shop=tcp/443").stderr)
        eventually(lambda: self.reached(443) == CLOSED, "the new service to be closed")
        self.daemon.wait_for("closed from now on: tcp/443")
        self.assertTrue(is_alive(session))
        self.assertEqual(self.reached(22), OPEN)

        self.keygen("allow", "alice", "shop")
        eventually(lambda: knock(self.client, self.key, "tcp/443") and self.reached(443) == OPEN, "it to be opened", step=0.5)
        self.assertEqual(sorted(element[2] for element in self.daemon.elements()), [22, 443])
        self.server.nft("flush ruleset")
        eventually(lambda: sorted(element[2] for element in self.daemon.elements()) == [22, 443], "the repair")
        self.assertEqual(self.told("service", "list")["services"][0],
                         {"service": "shop", "protocol": "tcp", "port": 443, "clients": ["alice"]})

        said = self.keygen("service", "remove", "shop").stderr
        self.assertIn("does not close tcp/443 any more", said)
        self.assertIn("alice", said)
        self.daemon.wait_for("NOT CLOSED ANY MORE: tcp/443")
        eventually(lambda: [element[2] for element in self.daemon.elements()] == [22], "its grant to end")
        self.assertEqual([grant["port"] for grant in self.daemon.grants()], [22])
        self.assertEqual(self.reached(443), OPEN)
        self.assertEqual(self.allowed(), ["ssh"])
        knock(self.client, self.key, "tcp/443")
        eventually(lambda: "service-not-allowed" in self.daemon.refused(), "the knock to be refused")
        self.assertNotIn("error", self.daemon.log)

    def test_a_service_at_another_port_is_opened_there_and_nowhere_else(self):
        self.net.keep(Service(self.server, 443), Service.stop)
        knock(self.client, self.key, "ssh", "--wait")
        door = os.path.join(self.door.folder, "door.json")
        change_json(door, lambda content: content["services"].update(ssh="tcp/443"))
        eventually(lambda: self.reached(443) == CLOSED, "the new port to be closed")
        eventually(lambda: not self.daemon.elements(), "the grant of the old one to end")
        eventually(lambda: self.reached(22) == OPEN, "the old port to be closed no more")
        knock(self.client, self.key, "tcp/443", "--wait")
        self.assertEqual([element[2] for element in self.daemon.elements()], [443])

    def test_no_connection_of_a_granted_client_fails_while_services_change(self):
        knock(self.client, self.key, "ssh", "--wait", "--for", "60s")
        for number in range(8):
            changing = subprocess.Popen([program("oneknock-keygen"), "service", *(("add", "extra=tcp/9000") if number % 2 == 0
                                         else ("remove", "extra")), "--dir", self.door.folder], stderr=subprocess.DEVNULL)
            line = "closed from now on: tcp/9000" if number % 2 == 0 else "NOT CLOSED ANY MORE: tcp/9000"
            tried = 0
            while self.daemon.log.count(line) <= number // 2 or tried < 20:
                self.assertEqual(self.reached(22), OPEN)
                tried += 1
                self.assertLess(tried, 20000)
            self.assertEqual(changing.wait(PATIENCE), 0)

    def test_limits_are_changed_one_by_one_and_the_rest_stays(self):
        before = self.told("show", "alice")
        rows = [(("--source", "192.0.2.0/24"), "source", "192.0.2.0/24"), (("--max-duration", "2h"), "max_duration_s", 7200),
                (("--expires", "2099-01-31"), "expires", "2099-01-31T00:00:00Z"), (("--expires", "never"), "expires", None),
                (("--source", "same"), "source", "same")]
        for words, field, value in rows:
            with self.subTest(words):
                self.keygen("limit", "alice", *words)
                before[field] = value
                self.assertEqual(self.told("show", "alice"), before)
        self.refused(USAGE, ["--source, --max-duration or --expires"], "limit", "alice")
        self.refused(USAGE, ["--max-duration", "19h"], "limit", "alice", "--max-duration", "19h")
        self.refused(USAGE, ["--source", "192.0.2.1/24"], "limit", "alice", "--source", "192.0.2.1/24")
        self.refused(USAGE, ["--expires", "tomorrow"], "limit", "alice", "--expires", "tomorrow")
        self.assertEqual(self.told("show", "alice"), before)

    def test_what_does_not_exist_names_the_nearest_that_does_and_changes_nothing(self):
        before = self.files()
        rows = [
            (NO_INPUT, ['"alcie"', "did you mean alice?", "oneknock-keygen list"], ("show", "alcie")),
            (NO_INPUT, ["did you mean alice?"], ("allow", "Alice", "ssh")),
            (NO_INPUT, ["did you mean alice?"], ("deny", "alic", "ssh")),
            (NO_INPUT, ["did you mean alice?"], ("limit", "allice", "--expires", "never")),
            (NO_INPUT, ["did you mean alice?"], ("unrevoke", "alicee")),
            (NO_INPUT, ["did you mean alice?"], ("revoke", "alise")),
            (NO_INPUT, ['"zebedee"', "oneknock-keygen list"], ("show", "zebedee")),
            (DATA, ['"wbe"', "door.json", "it has ssh, web", "did you mean web?"], ("allow", "alice", "wbe")),
            (DATA, ['"shs"', "did you mean ssh?"], ("deny", "alice", "shs")),
            (DATA, ['"ssj"', "did you mean ssh?"], ("service", "remove", "ssj")),
            (DATA, ['"mail"', "it has ssh, web"], ("allow", "alice", "web", "mail")),
            (CANNOT_CREATE, ['"ssh" is tcp/22', "another name"], ("service", "add", "ssh=tcp/2222")),
            (CANNOT_CREATE, ['tcp/22', '"ssh"', "allow"], ("service", "add", "login=tcp/22")),
            (CANNOT_CREATE, ['"ssh" is tcp/22'], ("service", "add", "new=tcp/443", "ssh=tcp/2222")),
            (DATA, ["all of the door's services", "service add"], ("service", "remove", "ssh", "web")),
            (USAGE, ["new=tcp/0"], ("service", "add", "new=tcp/0")),
            (USAGE, ["NAME=PROTOCOL/PORT"], ("service", "add")),
            (USAGE, ["comes after the command", "service COMMAND"], ("service",)),
            (USAGE, ["SERVICE"], ("allow", "alice")),
        ]
        for code, names, words in rows:
            with self.subTest(words):
                self.refused(code, names, *words)
        self.assertEqual(self.files(), before)

    def test_no_secret_is_shown(self):
        self.keygen("rotate", "alice", "-o", self.net.path("next.json"))
        for words in (("show", "alice"), ("list",), ("service", "list")):
            for more in ((), ("--json",)):
                done = self.keygen(*words, *more)
                with open(os.path.join(self.door.folder, "clients.d", "alice.json")) as file:
                    secrets = [generation["secret"] for generation in json.load(file)["generations"]]
                self.assertEqual(len(secrets), 2)
                for secret in (*self.secrets(), *secrets):
                    self.assertNotIn(secret[:12], done.stdout + done.stderr)
        shown = self.told("show", "alice")
        self.assertEqual([g["status"] for g in shown["generations"]], ["ending", "valid"])
        knock(self.client, self.key)
        eventually(lambda: self.told("show", "alice")["generations"][0]["last_used"], "the use to be shown")

    def test_one_wrong_file_hides_no_other_client(self):
        self.door.add("bob", allow=("web",))
        os.chmod(os.path.join(self.door.folder, "clients.d", "bob.json"), 0o644)
        done = self.keygen("list", "--json", check=False)
        self.assertEqual([client["client"] for client in json.loads(done.stdout)["clients"]], ["alice"])
        self.assertIn("chmod 600", done.stderr)
        self.assertEqual(done.returncode, 77)
        self.keygen("show", "alice")
        self.keygen("deny", "alice", "ssh")

    def test_a_service_that_the_door_has_no_more_can_be_taken_from_a_client(self):
        path = os.path.join(self.door.folder, "clients.d", "alice.json")
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace('"allow": ["ssh"]', '"allow": ["ssh", "mail"]'))
        self.refused(DATA, ["alice.json", '"allow"', '"mail"'], "show", "alice")
        self.keygen("deny", "alice", "mail")
        self.assertEqual(self.allowed(), ["ssh"])

    def test_commands_at_the_same_time_lose_nothing(self):
        names = [f"s{number}" for number in range(12)]
        for words in (lambda i, name: ("service", "add", f"{name}=tcp/{9000 + i}"), lambda i, name: ("allow", "alice", name)):
            running = [subprocess.Popen([program("oneknock-keygen"), *words(i, name), "--dir", self.door.folder],
                                        stderr=subprocess.DEVNULL) for i, name in enumerate(names)]
            for process in running:
                self.assertEqual(process.wait(2 * PATIENCE), 0)
        self.assertEqual(sorted(self.allowed()), sorted(["ssh", *names]))
        self.assertEqual(len(self.told("service", "list")["services"]), 14)

    def test_who_may_read_the_doors_folder_does_not_hold_a_command_up(self):
        os.chmod(self.door.folder, 0o755)
        folder = os.open(self.door.folder, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        self.keygen("revoke", "alice")
        self.assertEqual(os.stat(os.path.join(self.door.folder, "clients.d")).st_mode & 0o777, 0o700)

    def test_who_is_logged_in_by_a_port_that_is_closed_is_warned(self):
        def add(service, connection):
            return run(program("oneknock-keygen"), "service", "add", service, "--dir", self.door.folder,
                       env={"SSH_CONNECTION": connection}).stderr

        self.assertIn("this ssh session uses tcp/2222", add("login=tcp/2222", "192.0.2.7 51000 192.0.2.1 2222"))
        self.assertNotIn("ssh session", add("mail=tcp/25", "192.0.2.7 51000 192.0.2.1 2222"))
        self.assertNotIn("ssh session", add("news=tcp/119", "nonsense"))

    def test_the_default_folder_is_etc_oneknock(self):
        done = run(program("oneknock-keygen"), "show", "nobody", check=False)
        self.assertEqual(done.returncode, NO_INPUT)
        for words in (("allow", "--help"), ("service", "add", "--help"), ("show", "--help"), ("unrevoke", "--help")):
            help_text = run(program("oneknock-keygen"), *words).stdout
            self.assertIn("(default: /etc/oneknock)", help_text)
            self.assertGreaterEqual(help_text.split("Examples:")[1].count("oneknock-keygen "), 2)


if __name__ == "__main__":
    main()
