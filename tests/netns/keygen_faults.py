"""Calls of the kernel that fail while oneknock-keygen changes a door, one run for each: a command that fails leaves nothing
behind, and where it cannot undo what it did, the new keys are kept and the same command completes it.
"""

import json
import os
import pathlib
import shutil
import unittest

from door import Door
from harness import Network, main, program, run

FAULTS = {"fsync": "EIO", "openat": "EMFILE", "write": "ENOSPC", "mkdir": "ENOSPC", "link": "EIO", "rename": "EIO", "renameat2": "EIO"}


def load(path):
    with open(path) as file:
        return json.load(file)


class KeygenFaults(unittest.TestCase):
    """The files alone; no daemon runs."""

    def setUp(self):
        self.net = Network()
        self.addCleanup(self.net.remove)
        self.door = Door(self.net, "10.77.0.1")
        self.clients = pathlib.Path(self.door.folder, "clients.d")
        for client in ("alice", "bob"):
            self.door.add(client)
        self.out, self.trace = self.net.path("out"), self.net.path("trace")
        self.pristine = self.net.path("pristine")
        shutil.copytree(self.door.folder, self.pristine)
        self.key, self.keys = os.path.join(self.out, "key.json"), os.path.join(self.out, "keys")
        in_door = ("--dir", self.door.folder, "-o")
        self.changes = (("add", "carol", "--allow", "ssh", *in_door, self.key), ("rotate", "alice", *in_door, self.key),
                        ("rotate", "--door", *in_door, self.keys))
        self.init = ("init", "--name", "other", "--address", "10.77.0.2", "--service", "ssh=tcp/22", "--state", self.net.path("other"),
                     "--dir", os.path.join(self.out, "door"))

    def start_again(self):
        shutil.rmtree(self.door.folder)
        shutil.copytree(self.pristine, self.door.folder)
        shutil.rmtree(self.out, ignore_errors=True)
        os.mkdir(self.out)

    def left(self):
        """All there is, in the door and beside it, with what is in it."""
        return {str(path): path.read_text() if path.is_file() else None
                for folder in (self.door.folder, self.out) for path in pathlib.Path(folder).rglob("*")}

    def runs(self, command, call, how_often=""):
        """The command from the beginning, each time with the next of these calls failing."""
        when = 1
        while True:
            self.start_again()
            done = run("strace", "-o", self.trace, "-e", f"trace={call}", "-e",
                       f"inject={call}:error={FAULTS[call]}:when={when}{how_often}", program("oneknock-keygen"), *command, check=False)
            if "(INJECTED)" not in pathlib.Path(self.trace).read_text():
                return
            yield done, f"{' '.join(command[:2])}: {call} {when}{how_often}: {done.stderr.strip()}"
            when += 1

    def is_published(self):
        return os.path.exists(self.key) or os.path.exists(self.keys)

    def assert_in_step(self, what):
        """What was handed out is complete, and every key in it is the newest that the door has."""
        self.assertEqual([name for name in os.listdir(self.out) if name.endswith("-partial")], [], what)
        secret = load(os.path.join(self.door.folder, "door.json"))["generations"][-1]["secret"]
        for key in map(load, pathlib.Path(self.out).rglob("*.json")):
            own = load(self.clients / (key["client"]["name"] + ".json"))["generations"][-1]["secret"]
            self.assertEqual((key["door"]["secret"], key["client"]["secret"]), (secret, own), what)

    def test_a_command_that_fails_leaves_nothing_behind(self):
        self.start_again()
        before, failed = self.left(), set()
        for command in (self.init, *self.changes):
            for call in FAULTS:
                for done, what in self.runs(command, call):
                    if done.returncode == 0:
                        self.assertNotEqual(self.left(), before, what)
                    elif not self.is_published():  # it may fail to tell the daemon
                        self.assertEqual(self.left(), before, what)
                        failed.add((command[:2], call))
                    if self.is_published():
                        self.assert_in_step(what)
        self.assertLessEqual({(command[:2], "fsync") for command in (self.init, *self.changes)}, failed)

    def test_keys_that_the_door_still_has_are_kept_for_the_same_command(self):
        self.start_again()
        before, completed = self.left(), set()
        for command in self.changes:
            for done, what in self.runs(command, "fsync", "+"):
                if self.left() == before:
                    continue
                self.assertIn("could not be undone", done.stderr, what)
                run(program("oneknock-keygen"), *command)
                self.assertTrue(self.is_published(), what)
                self.assert_in_step(what)
                completed.add(command)
        self.assertEqual(completed, set(self.changes))


if __name__ == "__main__":
    main()
