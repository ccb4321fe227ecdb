"""Secrets in memory: the whole memory of each process of the daemon and of the tools, searched for every secret.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)

What must hold, for secrets raw, as base64 and as hex, and for all that is derived from them:
  firewall    none at all: it opens key files and never reads them
  listener    none at all: it has the hour's codebooks, and is done with a seed once the book is made
  gatekeeper  raw, and only in memory that is locked, left out of core dumps and fenced; what is no longer in force, nowhere
  tools       while they work as in the gatekeeper (a key file's text as well), when they end nowhere
"""

import base64
import hashlib
import json
import os
import time

from door import Daemon, Door, change_json, knock
from harness import NetworkTest, eventually, main, program, run
from images import Search, Traced, needles_for
from traffic import Service

PASSPHRASE = b"heron under the seventh bridge"


def secrets_in(*paths):
    """The secrets of key files, and of those in folders, by names such as "client alice 2" (the generation)."""
    found = {}
    for path in paths:
        if os.path.isdir(path):
            found |= secrets_in(*(os.path.join(path, name) for name in os.listdir(path) if not name.startswith(".")))
            continue
        with open(path) as file:
            content = json.load(file)
        if content["oneknock"] == "client-key":
            holders = [(kind, content[kind]["name"], content[kind]) for kind in ("door", "client")]
        else:
            holders = [(content["oneknock"], content["name"], one) for one in content.get("generations", [])]
        for kind, name, holder in holders:
            found[f"{kind} {name} {holder['generation']}"] = base64.b64decode(holder["secret"])
    return found


def derived_from(secrets, door_id):
    """All that docs/protocol.md derives from them, in the hours around now."""
    found = {}
    for name, secret in secrets.items():
        if name.startswith("client "):
            for number, key in enumerate(("K_mac", "K_cipher", "K_hint"), 1):
                found[f"{key} of {name}"] = hashlib.blake2b(key=secret, digest_size=32, salt=number.to_bytes(8, "little"),
                                                            person=b"oneknock").digest()
        else:
            hour = int(time.time()) // 3600
            for epoch in (hour - 1, hour, hour + 1):
                found[f"seed {epoch - hour:+d} of {name}"] = hashlib.blake2b(
                    b"oneknock/1 codebook" + door_id + epoch.to_bytes(8, "big"), key=secret, digest_size=32).digest()
    return found


def lines(sightings):
    return "".join(f"\n  {sighting}" for sighting in sightings)


class Memory(NetworkTest):
    def build(self):
        net = self.net
        self.searches = []
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", ["10.77.0.1/24"], self.client, "c0", ["10.77.0.2/24"])
        net.keep(Service(self.server, 22), Service.stop)
        self.door = Door(net, "10.77.0.1")
        with open(self.door_file()) as file:
            self.door_id = bytes.fromhex(json.load(file)["id"])

    def tearDown(self):
        mebibytes = sum(search.bytes for search in self.searches) / (1 << 20)
        print(f"{sum(search.images for search in self.searches)} images, {mebibytes:.0f} MiB", flush=True)

    def door_file(self):
        return os.path.join(self.door.folder, "door.json")

    def client_file(self, client):
        return os.path.join(self.door.folder, "clients.d", client + ".json")

    def secrets(self):
        """Of the door and its clients, as they are now."""
        return secrets_in(self.door_file(), os.path.join(self.door.folder, "clients.d"))

    def search_for(self, secrets, texts={}):
        """For secrets and what is derived from them."""
        self.assertGreater(len(secrets) + len(texts), 0)
        self.searches.append(Search(needles_for(secrets, derived_from(secrets, self.door_id), texts)))
        return self.searches[-1]

    def assert_nowhere(self, sightings):
        self.assertFalse(sightings, lines(sightings))


class TheDaemon(Memory):
    def build(self):
        super().build()
        alice, _, _ = (self.door.add(client) for client in ("alice", "bob", "carol"))
        newer = self.rotate("newer.json", "alice")
        newest = os.path.join(self.rotate("keys", "--door"), "alice.json")
        self.daemon = Daemon(self.net, self.server, self.door)
        for number, key in enumerate((alice, newer, newest), 1):
            knock(self.client, key)
            eventually(lambda: self.daemon.accepted() == number, "the knock to be accepted")

    def rotate(self, output, *words):
        run(program("oneknock-keygen"), "rotate", "--dir", self.door.folder, "-o", self.net.path(output), *words)
        return self.net.path(output)

    def test_the_firewall_and_the_listener_have_no_secret(self):
        rooms = self.daemon.rooms()
        for room in ("firewall", "listener"):
            with self.subTest(room):
                self.assert_nowhere(self.search_for(self.secrets()).image(rooms[room]))

    def test_the_gatekeeper_has_secrets_in_memory_made_for_them_alone(self):
        secrets = self.secrets()
        sightings = self.search_for(secrets).image(self.daemon.rooms()["gatekeeper"])
        self.assert_nowhere([one for one in sightings
                             if not one.form.startswith("raw") or not (one.mapping.is_for_secrets and one.mapping.is_fenced)])
        # The search finds what is there: each secret in force, once.
        self.assertEqual(sorted(one.name for one in sightings if one.name in secrets and one.form == "raw"), sorted(secrets))

    def test_what_is_no_longer_in_force_is_nowhere(self):
        before = self.secrets()
        for number, change in enumerate((lambda: os.remove(self.client_file("carol")),
                                         lambda: change_json(self.client_file("alice"), lambda file: file["generations"].pop(0)),
                                         lambda: self.door.revoke("bob"),
                                         lambda: self.rotate("again", "--door", "--force")), 1):
            change()
            self.daemon.wait_for("^reloaded:", number)
        after = self.secrets()
        gone = {name: secret for name, secret in before.items() if name not in after}
        self.assertEqual(set(gone), {"client carol 1", "client alice 1", "door home 1"})
        for room, pid in self.daemon.rooms().items():
            with self.subTest(room):
                search = self.search_for(gone)  # what was replaced may be discarded in slices
                eventually(lambda: not search.image(pid), lambda: "the end of" + lines(search.image(pid)))
        found = {one.name for one in self.search_for(after).image(self.daemon.rooms()["gatekeeper"])}
        self.assertLessEqual(set(after), found)

    def test_what_the_daemon_writes_holds_no_secret(self):
        """The record, the audit, and whatever else is in the state folder; and the log."""
        secrets = self.secrets()
        needles = needles_for(secrets, derived_from(secrets, self.door_id), {})
        written = {"the log": self.daemon.log.encode()}
        for name in os.listdir(self.door.state):
            path = os.path.join(self.door.state, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    written[name] = file.read()
        self.assertLessEqual({"oneknock.db", "oneknock.db-replay"}, set(written))
        self.assertIn(b"alice", written["oneknock.db-replay"])  # it is not empty, and not hidden from this search
        for file, content in written.items():
            self.assertEqual([(name, form) for name, form, needle in needles if needle in content], [], file)

    def test_no_room_leaves_a_core(self):
        for room, pid in self.daemon.rooms().items():
            with open(f"/proc/{pid}/limits") as file:
                [limit] = [line.split()[4:6] for line in file if line.startswith("Max core file size")]
            self.assertEqual(limit, ["0", "0"], room)
            # What belongs to a process that is not dumpable is root's.
            self.assertEqual(os.stat(f"/proc/{pid}/mem").st_uid, 0, room)


class TheTools(Memory):
    def trace(self, *argv, known, texts={}, input=b""):
        """Runs a program. What is `known` before is, at each of its system calls, only where secrets may be; and what is
        known afterwards (as `known` tells) is nowhere when it ends. Gives the names seen while it worked."""
        search = self.search_for(known(), texts)
        seen = set()
        with self.client:
            traced = Traced(argv, input, {"XDG_CONFIG_HOME": self.net.path("config")})
        try:
            for is_last in traced.stops():
                if is_last:
                    self.assert_nowhere(self.search_for(known(), texts).image(traced.pid))
                    continue
                sightings = search.image(traced.pid, lambda mapping: not mapping.is_unchanged_file)
                self.assert_nowhere([one for one in sightings if not one.mapping.is_for_secrets])
                seen |= {(one.name, one.form) for one in sightings}
            self.assertEqual(traced.exit, 0, traced.output)
            return seen
        finally:
            traced.end()

    def keygen_traced(self, *words):
        return self.trace(program("oneknock-keygen"), words[0], "--dir", self.door.folder, *words[1:], known=self.secrets)

    def test_keygen(self):
        path = self.net.path
        seen = self.keygen_traced("add", "alice", "--allow", "ssh", "-o", path("alice.json"))
        self.assertIn(("door home 1", "raw"), seen)
        self.assertIn(("door home 1", "base64+0"), seen, "the key file's text, in memory for secrets")
        self.keygen_traced("add", "bob", "--allow", "ssh", "-o", path("bob.json"))
        seen = self.keygen_traced("rotate", "alice", "-o", path("newer.json"))
        self.assertIn(("client alice 1", "raw"), seen)
        self.keygen_traced("rotate", "--door", "-o", path("keys"))
        seen = self.keygen_traced("list")
        self.assertLessEqual({("client alice 2", "raw"), ("door home 2", "raw")}, seen)
        self.keygen_traced("revoke", "bob")
        self.assertEqual(len(self.secrets()), 5)

    def test_keygen_init(self):
        folder, before = self.net.path("other"), self.secrets()  # so that there is something to look for from the beginning
        self.trace(program("oneknock-keygen"), "init", "--dir", folder, "--name", "other", "--address", "10.77.0.1",
                   "--service", "ssh=tcp/22", "--state", self.net.path("other-state"),
                   known=lambda: secrets_in(folder + "/door.json") if os.path.exists(folder) else before)

    def test_the_client(self):
        key = self.door.add("alice")
        self.daemon = Daemon(self.net, self.server, self.door)
        for words in (("open", key, "ssh"), ("import", key), ("open", "home", "ssh", "--wait"), ("list",),
                      ("close", "home", "ssh", "--via", "tcp")):
            with self.subTest(words):
                seen = self.trace(program("oneknock"), *words, known=lambda: secrets_in(key))
                self.assertLessEqual({("client alice 1", "raw"), ("door home 1", "raw")}, seen)
                # A book's seed is made and wiped between two system calls, when ports are made of it.
                self.assertFalse([name for name, _ in seen if name.startswith("seed")])
        self.assert_becomes(3, lambda: self.daemon.accepted())

    def test_a_key_that_is_sealed_on_its_way(self):
        words, sealed = (program("oneknock"), "enrol"), self.net.path("sealed.json")
        string = run(*words, env={"XDG_CONFIG_HOME": self.net.path("config")}).stdout
        self.trace(*words, known=self.halves)
        seen = self.keygen_traced("add", "alice", "--allow", "ssh", "--for", string, "-o", sealed)
        self.assertIn(("door home 1", "raw"), seen)
        known = {**self.secrets(), **self.halves()}
        seen = self.trace(program("oneknock"), "import", sealed, "--yes", known=lambda: known)
        self.assertLessEqual({"client alice 1", "door home 1"}, {name for name, _ in seen})
        self.assertEqual(sum(name.startswith("half") for name, form in seen if form == "raw"), 1)

    def halves(self):
        """Of the enrolments that wait, by their files."""
        found, folder = {}, self.net.path("config", "oneknock")
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            if name.endswith(".enrolment"):
                with open(os.path.join(folder, name)) as file:
                    found["half " + name] = base64.b64decode(json.load(file)["secret"])
        return found

    def test_the_client_with_a_passphrase(self):
        key = self.door.add("alice")
        self.daemon = Daemon(self.net, self.server, self.door)
        texts = {"first passphrase": PASSPHRASE, "second passphrase": PASSPHRASE[::-1]}
        for words, asked in ((("import", "--passphrase", key), ["first passphrase"]),
                             (("list",), []),
                             (("passphrase", "home"), ["first passphrase", "second passphrase"]),
                             (("open", "home", "ssh", "--wait"), ["second passphrase"])):
            with self.subTest(words):
                options = ["--key-fd", "0"] if asked else []
                seen = self.trace(program("oneknock"), words[0], *options, *words[1:], known=lambda: secrets_in(key),
                                  texts=texts, input=b"".join(texts[name] + b"\n" for name in asked))
                self.assertEqual({name for name, form in seen if form == "text"}, set(asked))
                self.assertEqual(words[0] != "list", ("client alice 1", "raw") in seen)
        self.assert_becomes(1, lambda: self.daemon.accepted())

    def test_the_control_program(self):
        alice = self.door.add("alice")
        self.daemon = Daemon(self.net, self.server, self.door)
        knock(self.client, alice, "ssh", "--wait")
        for word in ("status", "grants"):
            seen = self.trace(program("oneknockctl"), "--socket", self.door.socket, word, known=self.secrets)
            self.assertEqual(seen, set())

    def test_a_check_of_the_configuration(self):
        self.door.add("alice")
        seen = self.trace(program("oneknockd"), "--config", self.door.config, "--check-config", known=self.secrets)
        self.assertIn(("client alice 1", "raw"), seen)


if __name__ == "__main__":
    main()
