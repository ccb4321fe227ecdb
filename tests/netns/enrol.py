"""Enrolling: a key comes to a client without anybody carrying a secret.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)
"""

import base64
import json
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import time
import unittest

from door import Door, PlainHouse, change_json
from harness import PATIENCE, Network, main, program, run
from traffic import OPEN, attempt

USAGE, DATA, NO_INPUT, CANNOT_CREATE, PERMISSION = 64, 65, 66, 73, 77
WORDS = r"((?:[a-z]{4} ){6}[a-z]{4})"


def enrol(home, *words, **options):
    """What is to be sent to the administrator."""
    return run(program("oneknock"), "enrol", *words, env={"XDG_CONFIG_HOME": home}, **options).stdout


def import_key(home, file, *words, **options):
    return run(program("oneknock"), "import", file, *words, env={"XDG_CONFIG_HOME": home}, **options)


def keygen(door, *words, **options):
    return run(program("oneknock-keygen"), *words, "--dir", door.folder, **options)


def words_in(text):
    return re.search(r"words: +" + WORDS if "words: " in text else r"words +" + WORDS, text)[1]


def halves(home):
    folder = os.path.join(home, "oneknock")
    return [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".enrolment")]


def on_a_terminal(argv, answer, env):
    """Runs it with a terminal of its own, types the answer to its question; status and what was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, {**os.environ, **env})
    shown, end = "", time.monotonic() + PATIENCE
    try:
        while "words) " not in shown and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536).decode()
        os.write(terminal, (answer(shown) + "\n").encode())
        while time.monotonic() < end:
            try:
                shown += os.read(terminal, 65536).decode()
            except OSError:  # its end
                break
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown
    finally:
        os.close(terminal)


class Enrolled(PlainHouse):
    """The whole way, to an opened port."""

    def test_a_key_that_was_sealed_for_a_client_opens_the_door_and_so_does_its_next_generation(self):
        home = self.net.path("laptop")
        for generation, command in ((1, ("add", "laptop", "--allow", "ssh")), (2, ("rotate", "laptop"))):
            string = enrol(home)
            self.assertRegex(string, r"\Aoneknock-enrol:[0-9a-f]{84}\n\Z")
            sealed = self.net.path(f"sealed-{generation}.json")
            said = keygen(self.door, *command, "--for", string, "-o", sealed).stderr
            done = import_key(home, sealed, "--words", words_in(said))
            self.assertEqual(words_in(done.stderr), words_in(said))
            self.assertIn("next: oneknock open home ssh --wait", done.stdout)
            self.assertEqual(halves(home), [])
            with open(os.path.join(home, "oneknock", "home.json")) as file:
                key = json.load(file)
            self.assertEqual((key["client"]["name"], key["client"]["generation"]), ("laptop", generation))
            self.client.run(program("oneknock"), "open", "home", "ssh", env={"XDG_CONFIG_HOME": home})
            self.daemon.wait_for(r"^accepted: laptop: open tcp/22 for 10.77.0.2" + (r".*\(generation 2\)" if generation == 2 else ""))
            self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN)


class Enrolling(unittest.TestCase):
    """The files alone; no daemon runs."""

    def setUp(self):
        self.net = Network()
        self.addCleanup(self.net.remove)
        self.door = Door(self.net, "10.77.0.1")
        self.home = self.net.path("laptop")
        self.sealed = self.net.path("sealed.json")

    def seal(self, string=None, client="laptop", to=None, **options):
        return keygen(self.door, "add", client, "--allow", "ssh", "--for", string or enrol(self.home), "-o",
                      to or self.sealed, **options)

    def refused(self, code, what, done):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(what, done.stderr)
        return done

    def imported(self):
        return sorted(name for name in os.listdir(os.path.join(self.home, "oneknock")) if name.endswith(".json"))

    def assert_nothing_happened(self):
        """The sealed key can still be imported."""
        self.assertEqual((self.imported(), len(halves(self.home))), ([], 1))

    # --- what people see ----------------------------------------------------------------------------------------------

    def test_both_sides_show_the_same_words_and_the_user_sees_what_the_key_is_for(self):
        said = keygen(self.door, "add", "laptop", "--allow", "ssh", "--source", "observed", "--max-duration", "5m",
                      "--expires", "2099-01-31", "--for", enrol(self.home), "-o", self.sealed).stderr
        self.assertIn("oneknock import", said)
        for answer, status in (("no", NO_INPUT), ("y", NO_INPUT), ("", NO_INPUT), ("bako lumi tesa fori gupo nane vizu", DATA), ("yes", 0)):
            self.assert_nothing_happened()
            got, shown = on_a_terminal([program("oneknock"), "import", self.sealed], lambda _, typed=answer: typed,
                                       {"XDG_CONFIG_HOME": self.home})
            self.assertEqual(got, status, shown)
            for part in ("home at 10.77.0.1", "laptop, generation 1", "ssh (tcp/22)", "observed", "5m", "2099-01-31T00:00:00Z",
                         words_in(said)):
                self.assertIn(part, shown)
        self.assertEqual((self.imported(), halves(self.home)), (["home.json"], []))

    def test_the_words_can_be_typed_and_the_key_come_over_standard_input(self):
        said = self.seal().stderr
        shell = ["sh", "-c", '"$1" import - <"$2"', "sh", program("oneknock"), self.sealed]
        status, shown = on_a_terminal(shell, lambda _: words_in(said).upper(), {"XDG_CONFIG_HOME": self.home})
        self.assertEqual(status, 0, shown)
        self.assertEqual(self.imported(), ["home.json"])

    def test_without_a_terminal_it_needs_the_words_or_yes(self):
        words = words_in(self.seal().stderr)
        lonely = ("setsid", "--wait", program("oneknock"), "import", self.sealed)
        done = run(*lonely, env={"XDG_CONFIG_HOME": self.home}, check=False)
        self.refused(NO_INPUT, "--words", done)
        self.assertIn(words, done.stderr)
        self.refused(DATA, "not the words", import_key(self.home, self.sealed, "--words", words[:-1] + "?", check=False))
        self.refused(USAGE, "excludes", import_key(self.home, self.sealed, "--words", words, "--yes", check=False))
        self.assert_nothing_happened()
        import_key(self.home, self.sealed, "--yes")
        self.assertEqual(self.imported(), ["home.json"])

    def test_words_are_for_sealed_keys_alone(self):
        key = self.door.add("alice")
        self.refused(USAGE, "--words", import_key(self.home, key, "--words", "bako", check=False))
        self.assertFalse(os.path.exists(os.path.join(self.home, "oneknock", "home.json")))

    def test_no_secret_is_on_the_way(self):
        done = keygen(self.door, "add", "laptop", "--allow", "ssh", "--for", enrol(self.home), "-o", "-")
        self.assertNotIn("secret", done.stderr)
        with open(os.path.join(self.door.folder, "clients.d", "laptop.json")) as file:
            secret = json.load(file)["generations"][0]["secret"]
        plain = base64.b64decode(json.loads(done.stdout)["sealed"])
        for form in (secret.encode(), base64.b64decode(secret), b"laptop"):
            self.assertNotIn(form, plain)
        self.assertEqual(os.stat(halves(self.home)[0]).st_mode & 0o777, 0o600)
        import_key(self.home, "-", "--yes", input=done.stdout)
        with open(os.path.join(self.home, "oneknock", "home.json")) as file:
            self.assertEqual(json.load(file)["client"]["secret"], secret)

    # --- strings ------------------------------------------------------------------------------------------------------

    def test_a_wrong_or_damaged_string_is_refused_and_no_client_is_added(self):
        string = enrol(self.home).strip()
        for wrong in ("laptop", string[:-1], string[:40] + "x" + string[41:], string.replace("enrol", "key"), "-"):
            self.refused(USAGE, "--for", self.seal(wrong, check=False))
        self.assertEqual(os.listdir(os.path.join(self.door.folder, "clients.d")), [])
        self.assertFalse(os.path.exists(self.sealed))
        self.seal("\n  ".join((string[:60], string[60:])))
        import_key(self.home, self.sealed, "--yes")

    def test_for_goes_with_a_key_file_alone(self):
        string, page = enrol(self.home), self.net.path("page.html")
        for words in (("--page", page), ("--qr",)):
            self.refused(USAGE, "--for", keygen(self.door, "add", "laptop", "--allow", "ssh", "--source", "observed",
                                                "--for", string, *words, check=False))
        self.refused(USAGE, "--for", keygen(self.door, "rotate", "--door", "--for", string, "-o", page, check=False))
        self.refused(USAGE, "--output", keygen(self.door, "add", "laptop", "--allow", "ssh", "--for", string, check=False))
        self.assertEqual(os.listdir(os.path.join(self.door.folder, "clients.d")), [])

    def stopped(self, *words):
        """Killed before the key file got its name: where the key lies in clear."""
        run("strace", "-o", "/dev/null", "-e", "inject=renameat2:signal=KILL", program("oneknock-keygen"), *words, "--dir",
            self.door.folder, "-o", self.sealed, check=False)
        partial = self.sealed + ".oneknock-partial"
        self.assertTrue(os.path.exists(partial))
        return partial

    def files(self):
        """Contents by path, of the door and of what is handed out."""
        return {str(path): path.read_text() for path in pathlib.Path(self.net.folder).rglob("*.json*")}

    def test_a_key_that_an_earlier_run_left_in_clear_is_no_answer_to_another_command(self):
        add = ("add", "laptop", "--allow", "ssh")
        for command in (add, ("rotate", "laptop")):
            partial = self.stopped(*command)
            before = self.files()
            others = [(*command, "--for", enrol(self.home), "-o", self.sealed), (*command, "--page", self.sealed),
                      (*command, "--qr", "--png", self.sealed)]
            if command is add:
                others += [(*add, *limit, "-o", self.sealed) for limit in (
                    ("--allow", "web"), ("--source", "any"), ("--max-duration", "5m"), ("--expires", "2099-01-31"))]
            for other in others:
                with self.subTest(" ".join(other)):
                    self.refused(CANNOT_CREATE, partial, keygen(self.door, *other, check=False))
                    self.assertEqual(self.files(), before)
            self.assertIn("an earlier run", keygen(self.door, *command, "-o", self.sealed).stderr)
            self.assertEqual(self.files()[self.sealed], before[partial])
            os.remove(self.sealed)
        os.remove(self.stopped("rotate", "laptop"))
        keygen(self.door, "rotate", "laptop", "--for", enrol(self.home), "-o", self.sealed)

    def test_a_string_that_was_used_opens_nothing_more(self):
        string, second = enrol(self.home), self.net.path("second.json")
        self.seal(string)
        self.seal(string, client="other", to=second)
        import_key(self.home, self.sealed, "--yes")
        for file in (self.sealed, second):
            self.refused(NO_INPUT, "oneknock enrol", import_key(self.home, file, "--yes", check=False))
        self.assertEqual(self.imported(), ["home.json"])

    def test_a_string_that_has_expired_is_refused_on_both_sides_and_its_half_goes(self):
        string = enrol(self.home, "--for", "1s")
        time.sleep(1.1)  # the string's own end
        self.refused(USAGE, "expired at", self.seal(string, check=False))
        self.seal()  # by a new string: the old one's half is gone
        half, = halves(self.home)
        change_json(half, lambda content: content.update(expires="2020-01-01T00:00:00Z"))
        self.refused(DATA, "expired at 2020-01-01T00:00:00Z", import_key(self.home, self.sealed, "--yes", check=False))
        enrol(self.home)
        self.assertNotIn(half, halves(self.home))
        for wrong in ("0s", "31d", "soon"):
            self.refused(USAGE, "--for", run(program("oneknock"), "enrol", "--for", wrong, check=False))

    # --- sealed keys --------------------------------------------------------------------------------------------------

    def test_what_was_sealed_for_somebody_else_or_changed_on_its_way_is_not_imported(self):
        self.seal()
        other = self.net.path("other")
        enrol(other)
        self.refused(NO_INPUT, "another user's", import_key(other, self.sealed, "--yes", check=False))
        with open(self.sealed) as file:
            whole = file.read()
        content = json.loads(whole)
        box = base64.b64decode(content["sealed"])
        changed = self.net.path("changed.json")
        for at in (0, 31, 32, 47, 48, len(box) - 1):  # the pair's public half, the tag, the key
            bad = bytearray(box)
            bad[at] ^= 1
            with open(changed, "w") as file:
                json.dump(content | {"sealed": base64.b64encode(bad).decode()}, file)
            self.refused(DATA, "does not open", import_key(self.home, changed, "--yes", check=False))
        for text in (whole[:200], whole.replace('"version": 1', '"version": 2'), whole.replace('"for"', '"to"')):
            with open(changed, "w") as file:
                file.write(text)
            self.assertEqual(import_key(self.home, changed, "--yes", check=False).returncode, DATA)
        self.assert_nothing_happened()
        import_key(self.home, self.sealed, "--yes")

    def test_words_tell_when_the_string_or_the_sealed_key_was_exchanged_on_the_way(self):
        """Who sits between both hands the server a string of his own, and the client the key sealed anew."""
        string, between = enrol(self.home), self.net.path("between")
        said = words_in(self.seal(enrol(between)).stderr)
        import_key(between, self.sealed, "--yes")
        anew = self.net.path("anew.json")
        keygen(Door(self.net, "10.77.0.1", name="forged"), "add", "laptop", "--allow", "ssh", "--for", string, "-o", anew)
        self.refused(DATA, "not the words", import_key(self.home, anew, "--words", said, check=False))
        self.assert_nothing_happened()

    # --- the client's folder ------------------------------------------------------------------------------------------

    def test_a_half_that_others_may_read_is_refused_and_a_sealed_key_may_have_any_mode(self):
        self.seal()
        os.chmod(self.sealed, 0o644)
        os.chmod(halves(self.home)[0], 0o640)
        self.refused(PERMISSION, "chmod 600", import_key(self.home, self.sealed, "--yes", check=False))
        self.assert_nothing_happened()
        os.chmod(halves(self.home)[0], 0o600)
        import_key(self.home, self.sealed, "--yes")

    def test_beside_a_door_of_the_same_name_it_needs_a_name_of_its_own(self):
        import_key(self.home, Door(self.net, "10.77.0.9", name="home-2").add("alice"), "--as", "home")
        self.seal()
        self.refused(CANNOT_CREATE, "--as home-2", import_key(self.home, self.sealed, "--yes", check=False))
        self.assertEqual(len(halves(self.home)), 1)
        import_key(self.home, self.sealed, "--yes", "--as", "work")
        self.assertEqual((self.imported(), halves(self.home)), (["home.json", "work.json"], []))

    def test_beside_a_key_of_its_generation_under_a_passphrase_the_half_goes_only_if_the_keys_are_equal(self):
        other = shutil.copytree(self.door.folder, self.net.path("other-folder"))
        forged = self.net.path("forged.json")
        self.seal()
        again = self.net.path("again")
        shutil.copytree(self.home, again)  # as if it was killed before the half was removed
        import_locked = lambda file, typed, **options: run("sh", "-c", 'echo "$1" | "$2" import "$3" --yes --passphrase --key-fd 0', "sh",
                                                           typed, program("oneknock"), file, env={"XDG_CONFIG_HOME": self.home}, **options)
        import_locked(self.sealed, "open sesame")
        run(program("oneknock-keygen"), "add", "laptop", "--allow", "ssh", "--for", enrol(self.home), "-o", forged, "--dir", other)
        for typed in ("open sesame", "open barley"):
            done = import_locked(forged, typed, check=False)
            self.refused(CANNOT_CREATE, "already has a key of this generation; nothing was changed", done)
            self.assertEqual("wrong passphrase" in done.stderr, typed == "open barley")
            self.assertEqual(len(halves(self.home)), 1)
        os.remove(halves(self.home)[0])
        for half in halves(again):
            shutil.copy2(half, os.path.join(self.home, "oneknock"))
        self.assertIn("an earlier run", import_locked(self.sealed, "open sesame").stderr)
        self.assertEqual((self.imported(), halves(self.home)), (["home.json"], []))

    def test_where_nothing_can_be_written_nothing_is_lost(self):
        string = enrol(self.home)
        self.seal(string)
        folder = os.path.join(self.home, "oneknock")
        full = self.net.path("full")
        os.makedirs(os.path.join(full, "oneknock"))
        run("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", os.path.join(full, "oneknock"))
        try:
            for name in os.listdir(folder):
                shutil.copy2(os.path.join(folder, name), os.path.join(full, "oneknock", name))
            filler = os.path.join(full, "oneknock", "filler")
            with open(filler, "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(512))
                except OSError:
                    pass
            self.refused(CANNOT_CREATE, "space", import_key(full, self.sealed, "--yes", check=False))
            self.assertEqual(len(halves(full)), 1)
            done = run(program("oneknock"), "enrol", env={"XDG_CONFIG_HOME": full}, check=False)
            self.assertEqual((done.returncode, done.stdout, len(halves(full))), (CANNOT_CREATE, "", 1))
            os.remove(filler)
            import_key(full, self.sealed, "--yes")
        finally:
            run("umount", os.path.join(full, "oneknock"))
        with open("/dev/full", "w") as nowhere:
            done = subprocess.run([program("oneknock"), "enrol"], stdout=nowhere, stderr=subprocess.PIPE, text=True,
                                  env=os.environ | {"XDG_CONFIG_HOME": self.home}, check=False)
        self.assertEqual((done.returncode, len(halves(self.home))), (CANNOT_CREATE, 1), done.stderr)

    def test_killed_at_any_write_an_import_leaves_the_half_or_the_key_and_given_again_completes(self):
        self.seal()
        before = self.net.path("before")
        shutil.copytree(self.home, before)
        states = set()
        for calls in ("write", "fsync", "link", "unlink"):
            for when in range(1, 9):
                shutil.rmtree(self.home)
                shutil.copytree(before, self.home)
                done = run("strace", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={when}",
                           program("oneknock"), "import", self.sealed, "--yes", env={"XDG_CONFIG_HOME": self.home}, check=False)
                if done.returncode == 0:
                    break
                key, half = "home.json" in self.imported(), len(halves(self.home)) == 1
                self.assertTrue(key or half)
                states.add((key, half))
                if half:
                    again = import_key(self.home, self.sealed, "--yes")
                    self.assertEqual("an earlier run" in again.stderr, key)
                    self.assertEqual(os.listdir(os.path.join(self.home, "oneknock")), ["home.json"])
                self.assertEqual((self.imported(), halves(self.home)), (["home.json"], []))
        self.assertEqual(states, {(False, True), (True, True), (True, False)})


if __name__ == "__main__":
    main()
