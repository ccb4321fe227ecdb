"""Bad input gets a sentence a user can act on, the right exit code, and loses nothing.

Each row of a table: what is wrong, the exit code, and what the sentence must name (file, line, field or cause).
"""

import json
import os
import socket
import stat
import subprocess

from door import Daemon, Door, change_json
from harness import PATIENCE, NetworkTest, eventually, main, program, run

USAGE, DATA, NO_INPUT, UNAVAILABLE, CANNOT_CREATE, PERMISSION, CONFIG = 64, 65, 66, 69, 73, 77, 78


class BadInput(NetworkTest):
    def build(self):
        self.server = self.net.namespace("server")
        self.door = Door(self.net, "203.0.113.5")
        self.key = self.door.add("alice")
        self.door_file = os.path.join(self.door.folder, "door.json")
        self.client_file = os.path.join(self.door.folder, "clients.d", "alice.json")

    def refused(self, code, names, *argv, namespace=None):
        done = (namespace or self.server).run(*argv, check=False)
        said = done.stderr
        self.assertEqual(done.returncode, code, said)
        for name in names:
            self.assertIn(name, said)
        self.assertEqual(said.count("error: "), 1, said)
        self.assertNotIn(self.secret(), said)
        return said

    def secret(self):
        with open(self.original if hasattr(self, "original") else self.key) as file:
            return json.load(file)["client"]["secret"]

    def open_with(self, key, *options):
        return program("oneknock"), "open", key, "ssh", "--dry-run", "--source", "198.51.100.7", *options

    def check_config(self):
        return program("oneknockd"), "--config", self.door.config, "--check-config"

    def changed(self, path, change):
        """A copy with the text changed; mode 0600."""
        with open(path) as file:
            text = change(file.read())
        copy = self.net.path("changed.json")
        if os.path.exists(copy):
            os.remove(copy)
        with open(os.open(copy, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(text)
        self.original = self.key
        return copy

    def test_a_clients_damaged_key_file_names_file_line_and_field(self):
        rows = [
            ("cut short", lambda t: t[:len(t) // 2], DATA, ["changed.json:"]),
            ("empty", lambda t: "", DATA, ["changed.json:1: not valid JSON"]),
            ("another kind", lambda t: t.replace('"client-key"', '"door"'), DATA, ['field "oneknock"', '"client-key" is wanted']),
            ("too new", lambda t: t.replace('"version": 1', '"version": 2'), DATA, ['field "version"', "newer", "update"]),
            ("unknown field", lambda t: t.replace('"created"', '"surprise": 1, "created"'), DATA, ['field "surprise"', "unknown"]),
            ("duplicate field", lambda t: t.replace('"created"', '"expires": null, "created"'), DATA, ['"expires" appears twice']),
            ("damaged secret", lambda t: t.replace('"secret": "', '"secret": "*'), DATA, ['field "secret"', "44 characters"]),
            ("small span", lambda t: t.replace("1024-65535", "1024-9999"), DATA, ['"door.span"', "16384"]),
            ("wrong type", lambda t: t.replace('"generation": 1', '"generation": "1"', 1), DATA, ["generation", "whole number"]),
        ]
        for what, change, code, names in rows:
            with self.subTest(what):
                self.refused(code, names, *self.open_with(self.changed(self.key, change)))

    def test_own_fields_and_comments_are_allowed(self):
        copy = self.changed(self.key, lambda t: "// mine\n" + t.replace('"created"', '"x-note": [1, {"a": null}], "created"'))
        self.server.run(*self.open_with(copy))

    def test_a_key_file_that_others_may_read_is_refused_and_the_command_that_mends_it_told(self):
        os.chmod(self.key, 0o640)
        self.refused(PERMISSION, [self.key, "mode 0640", "chmod 600"], *self.open_with(self.key))
        os.chmod(self.key, 0o600)
        os.chmod(self.client_file, 0o604)
        self.refused(PERMISSION, [self.client_file, "chmod 600"], *self.check_config())

    def test_the_clients_words_are_checked(self):
        rows = [
            ((program("oneknock"), "open", self.net.path("none.json"), "ssh"), NO_INPUT, ["none.json"]),
            ((program("oneknock"), "open", "nosuchdoor", "ssh"), NO_INPUT, ["nosuchdoor"]),
            ((program("oneknock"), "open", self.key, "nosuch"), USAGE, ["nosuch", "ssh (tcp/22)"]),
            ((program("oneknock"), "open", self.key, "tcp/70000"), USAGE, ["tcp/70000"]),
            (self.open_with(self.key, "--knocks", "35"), USAGE, ["36", "64"]),
            (self.open_with(self.key, "--knocks", "65"), USAGE, ["36", "64"]),
            (self.open_with(self.key, "--via", "icmp"), USAGE, ["via"]),
            (self.open_with(self.key, "--for", "soon"), USAGE, ["soon"]),
            (self.open_with(self.key, "--pace", "1s"), USAGE, ["31ms", "2s"]),
            (self.open_with(self.key, "--nonsense"), USAGE, ["--nonsense"]),
            ((program("oneknock"), "open", self.key, "ssh", "--source", "observed", "--dry-run"), USAGE, ["same"]),
            ((program("oneknock"),), USAGE, []),
        ]
        for argv, code, names in rows:
            with self.subTest(argv[1:]):
                self.refused(code, names, *argv)

    def test_no_word_and_no_path_begins_a_line_or_steers_a_terminal(self):
        evil = "x\x1b[2J\naccepted: alice\x7f\x9b"
        folder = self.net.path(evil)
        os.mkdir(folder)
        key = os.path.join(folder, "a.json")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write("{")
        rows = [(name, words) for name in ("oneknock", "oneknockd", "oneknock-keygen", "oneknockctl")
                for words in ((evil,), ("--" + evil,), ("-" + evil,))]
        rows += [("oneknock", words) for words in (
            ("open", key, "ssh"), ("open", self.key, evil), ("import", folder), ("open", self.key, "ssh", "--for", evil),
            ("open", self.key, "ssh", "--key-fd", evil), ("open", self.key, "ssh", "--dry-run", "--write", folder))]
        rows += [("oneknockd", words) for words in (("--config", key), ("--try", evil), ("--read", key, "--config", self.door.config),
                                                    ("--config", key, "--check-config"))]
        rows += [("oneknock-keygen", words) for words in (
            ("list", "--dir", folder), ("init", "--dir", folder, "--name", "n", "--address", "h"), ("show", evil, "--dir", self.door.folder),
            ("add", "bob", "--allow", evil, "-o", key, "--dir", self.door.folder), ("limit", "alice", "--source", evil))]
        rows += [("oneknockctl", words) for words in (("--socket", key, "status"), ("audit", "--config", key), ("audit", "--since", evil),
                                                      ("status", "--format", evil), ("--socket", key * 9, "status"))]
        for name, words in rows:
            done = self.server.run(program(name), *words, check=False)
            said = done.stdout + done.stderr
            self.assertNotEqual(done.returncode, 0, (name, words))
            self.assertNotRegex(said, "(?m)^accepted|[\x1b\x7f\x9b]", (name, words))

    def test_the_servers_files_are_checked_before_anything_is_touched(self):
        files = [self.door.config, self.door_file, self.client_file]
        rows = [
            (self.door.config, lambda c: c.update(surprise=1), CONFIG, ['field "surprise"']),
            (self.door.config, lambda c: c.update(version=2), CONFIG, ['field "version"', "newer"]),
            (self.door.config, lambda c: c.update(interfaces=["a/b"]), CONFIG, ["interfaces", "a/b"]),
            (self.door.config, lambda c: c.update(interfaces=["sixteen-letters-"]), CONFIG, ["interfaces", "15"]),
            (self.door.config, lambda c: c.update(tolerance="soon"), CONFIG, ['field "tolerance"']),
            (self.door.config, lambda c: c["firewall"].update(mode="open"), CONFIG, ["firewall.mode"]),
            (self.door.config, lambda c: c["firewall"].update(trusted=["10.0.0.1/8"]), CONFIG, ["firewall.trusted"]),
            (self.door.config, lambda c: c.update(door="nowhere.json"), NO_INPUT, ["nowhere.json"]),
            (self.door_file, lambda c: c.update(span="1024-2000"), DATA, ["door.json:", 'field "span"', "16384"]),
            (self.door_file, lambda c: c["services"].update(ssh="tcp/0"), DATA, ["door.json:", "services"]),
            (self.client_file, lambda c: c.update(allow=["nosuch"]), DATA, ["alice.json", "nosuch", "ssh"]),
            (self.client_file, lambda c: c.update(name="bob"), DATA, ["alice.json", "bob"]),
            (self.client_file, lambda c: c.update(source="everywhere"), DATA, ["alice.json:", 'field "source"']),
        ]
        for path, change, code, names in rows:
            with open(path) as file:
                before = file.read()
            with self.subTest(names):
                change_json(path, change)
                self.refused(code, names, *self.check_config())
                if path != self.client_file:  # which keeps out its client alone: key_files.py
                    self.refused(code, names, program("oneknockd"), "--config", self.door.config)
                self.assertNotIn("oneknock", self.server.run("nft", "list", "ruleset").stdout)
            with open(path, "w") as file:
                file.write(before)
        self.server.run(*self.check_config())
        self.assertEqual([os.path.exists(path) for path in files], [True] * 3)

    def test_duplicate_fields_of_the_servers_files_are_refused(self):
        for path, code in ((self.door.config, CONFIG), (self.door_file, DATA), (self.client_file, DATA)):
            with open(path) as file:
                before = file.read()
            with open(path, "w") as file:
                file.write(before.replace('"version": 1', '"version": 1, "version": 1', 1))
            self.refused(code, [os.path.basename(path) + ":", '"version" appears twice'], *self.check_config())
            with open(path, "w") as file:
                file.write(before)

    def test_keygen_refuses_what_cannot_be_and_leaves_nothing(self):
        keygen = program("oneknock-keygen")
        new = self.net.path("new")
        base = (keygen, "init", "--dir", new, "--name", "n", "--address", "h", "--state", self.net.path("new-state"))
        rows = [
            ((*base, "--service", "ssh=tcp/22", "--span", "1-16383"), ["16384"]),
            ((*base, "--service", "ssh=tcp/22", "--interface", "no such"), ["no such"]),
            ((*base, "--service", "ssh=icmp/22"), ["icmp/22"]),
            ((*base, "--service", "ssh"), ["ssh"]),
            (base, ["--service"]),
        ]
        for argv, names in rows:
            with self.subTest(names):
                done = run(*argv, check=False)
                self.assertIn(done.returncode, (USAGE, DATA), done.stderr)
                for name in names:
                    self.assertIn(name, done.stderr)
                self.assertFalse(os.path.exists(new))
        self.refused(NO_INPUT, [new, "oneknock-keygen init"], keygen, "list", "--dir", new)
        out = self.net.path("out.json")
        add = (keygen, "add", "--dir", self.door.folder, "bob", "-o", out)
        self.refused(DATA, ["nosuch", "door.json", "ssh"], *add, "--allow", "nosuch")
        self.assertFalse(os.path.exists(out))
        self.assertEqual(os.listdir(os.path.dirname(self.client_file)), ["alice.json"])

    def test_keygen_never_overwrites(self):
        keygen = program("oneknock-keygen")
        with open(self.key) as file:
            before = file.read()
        self.refused(CANNOT_CREATE, [self.key], keygen, "add", "--dir", self.door.folder, "bob", "--allow", "ssh", "-o", self.key)
        self.refused(CANNOT_CREATE, ["alice"], keygen, "add", "--dir", self.door.folder, "alice", "--allow", "ssh", "-o",
                     self.net.path("again.json"))
        self.refused(CANNOT_CREATE, ["exists"], keygen, "init", "--dir", self.door.folder, "--name", "n", "--address", "h",
                     "--service", "ssh=tcp/22", "--state", self.net.path("s2"))
        with open(self.key) as file:
            self.assertEqual(file.read(), before)
        self.assertFalse(os.path.exists(self.net.path("again.json")))
        self.assertEqual(os.listdir(os.path.dirname(self.client_file)), ["alice.json"])
        self.assertEqual(stat.S_IMODE(os.stat(self.key).st_mode), 0o600)

    def test_keygen_puts_no_keys_into_a_folder_that_somebody_else_has_made_ready(self):
        keygen, folder = program("oneknock-keygen"), self.net.path("new-keys")
        partial = folder + ".oneknock-partial"
        for what, prepare in (("of another user", lambda: os.chown(partial, 65534, 65534)),
                              ("open to others", lambda: os.chmod(partial, 0o755)),
                              ("a link", lambda: (os.rmdir(partial), os.symlink("/tmp", partial)))):
            with self.subTest(what):
                os.mkdir(partial, 0o700)
                prepare()
                self.refused(CANNOT_CREATE, [partial], keygen, "rotate", "--dir", self.door.folder, "--door", "-o", folder)
                self.assertFalse(os.path.exists(folder))
                if os.path.islink(partial):
                    os.unlink(partial)
                else:
                    self.assertEqual(os.listdir(partial), [])
                    os.rmdir(partial)

    def test_keygen_puts_no_keys_into_a_folder_made_by_somebody_else_while_it_runs(self):
        folder, trace = self.net.path("new-keys"), self.net.path("trace")
        partial = folder + ".oneknock-partial"
        calls = "%file,%desc"  # those that name the folder are slowed down, so that there is time to be in between
        keygen = subprocess.Popen(["strace", "-o", trace, "-P", partial, "-e", "trace=" + calls, "-e",
                                   f"inject={calls}:delay_exit=500000", program("oneknock-keygen"), "rotate", "--dir",
                                   self.door.folder, "--door", "-o", folder], stderr=subprocess.PIPE, text=True)

        def is_found_missing():
            if not os.path.exists(trace):
                return False
            with open(trace) as file:
                return "ENOENT" in file.read()

        try:
            eventually(is_found_missing, "the check of the folder")
            os.mkdir(partial, 0o700)
            os.chown(partial, 65534, 65534)
            said = keygen.communicate(timeout=2 * PATIENCE)[1]
        finally:
            keygen.kill()
            keygen.wait()
        self.assertEqual(keygen.returncode, CANNOT_CREATE, said)
        self.assertIn(partial, said)
        self.assertEqual(os.listdir(partial), [])
        self.assertFalse(os.path.exists(folder))

    def test_keygen_gives_up_roots_powers_for_good_before_it_reads_the_audit(self):
        daemon = Daemon(self.net, self.server, self.door)
        daemon.stop()
        trace = self.net.path("trace")
        run("strace", "-o", trace, "-e", "trace=prctl,capset,setresuid,openat,open", program("oneknock-keygen"), "list", "--dir",
            self.door.folder)
        with open(trace) as file:
            lines = file.read().splitlines()
        opened = max(number for number, line in enumerate(lines) if "oneknock.db" in line and "= -1" not in line)
        dropped = {line.split("(")[1].split(")")[0].split(",")[0] for line in lines[:opened] if line.endswith("= 0")}
        self.assertLessEqual({"PR_CAPBSET_DROP", "PR_CAP_AMBIENT", "PR_SET_NO_NEW_PRIVS"}, dropped)
        steps = [line.split("(")[0] for line in lines[:opened]]
        self.assertLess(steps.index("setresuid"), steps.index("capset"))
        capset = lines[steps.index("capset")]
        self.assertIn("{effective=0, permitted=0, inheritable=0}", capset)
        self.assertTrue(capset.endswith("= 0"), capset)

    def test_a_second_daemon_on_the_same_table_or_state_folder_is_refused(self):
        Daemon(self.net, self.server, self.door)
        other = Door(self.net, "203.0.113.6", name="other")
        self.refused(UNAVAILABLE, ["another oneknockd"], program("oneknockd"), "--config", other.config)
        other.configure(state=self.door.state)
        elsewhere = self.net.namespace("elsewhere")
        self.refused(UNAVAILABLE, ["another oneknockd", "state folder", self.door.state], program("oneknockd"), "--config",
                     other.config, namespace=elsewhere)

    def test_without_privilege_the_daemon_says_what_it_needs(self):
        as_nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--")
        folder = self.net.path("nobody")
        os.mkdir(folder, 0o700)
        os.chown(folder, 65534, 65534)
        os.chmod(self.net.folder, 0o711)
        run(*as_nobody, program("oneknock-keygen"), "init", "--dir", folder + "/door", "--name", "n", "--address", "h", "--service",
            "ssh=tcp/22", "--state", folder + "/state", "--socket", folder + "/socket")
        self.refused(PERMISSION, [], *as_nobody, program("oneknockd"), "--config", folder + "/door/oneknockd.json")

    def test_ctl_takes_no_strange_answer(self):
        path = self.net.path("strange.sock")
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(path)
        listening.listen()
        for words in (("status",), ("status", "--format", "prometheus"), ("grants",), ("confirm",)):
            for answer in (b"", b"{", b"[]", b"{\"schema\":1,\"error\":5}", b"{\"grants\":[1],\"capture\":[],\"refused\":7}"):
                if words == ("confirm",) and b"refused" in answer:
                    continue  # no error: that is all it asks
                asking = subprocess.Popen([program("oneknockctl"), "--socket", path, *words], stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE, text=True)
                peer, _ = listening.accept()
                peer.recv(100)
                peer.sendall(answer)
                peer.close()
                out, problem = asking.communicate(timeout=PATIENCE)
                self.assertEqual((asking.returncode, out), (65 if answer else 69, ""), (words, answer, problem))
                self.assertRegex(problem, "^oneknockctl: error: the daemon")

    def test_ctl_gives_up_on_a_daemon_that_does_not_answer(self):
        path = self.net.path("deaf.sock")
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(path)
        listening.listen(0)
        waiting = socket.socket(socket.AF_UNIX)  # takes the one place there is
        self.addCleanup(waiting.close)
        waiting.connect(path)
        refused = run(program("oneknockctl"), "--socket", path, "status", check=False)
        self.assertEqual(refused.returncode, 69)
        self.assertIn("did not answer within 5 seconds", refused.stderr)

    def test_ctl_says_when_no_daemon_answers(self):
        self.refused(UNAVAILABLE, ["nowhere.sock", "oneknockd"], program("oneknockctl"), "--socket", self.net.path("nowhere.sock"), "status")
        self.refused(USAGE, [], program("oneknockctl"), "revoke")


if __name__ == "__main__":
    main()
