"""Keys that change: the next generation of a client's key and of the door's secret, and what becomes of the older ones.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; services on tcp 22 and 80)
"""

import json
import os
import time

from door import Daemon, Door, knock
from harness import NetworkTest, eventually, main, program, run, stretched
from traffic import CLOSED, OPEN, Service, attempt


class Rotation(NetworkTest):
    grace = None  # of oneknockd.json

    def build(self):
        net = self.net
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", ["10.77.0.1/24"], self.client, "c0", ["10.77.0.2/24"])
        net.keep(Service(self.server, 22, 80), Service.stop)
        self.door = Door(net, "10.77.0.1", rotation={"grace": self.grace})
        self.key = self.door.add("alice")

    def start(self):
        self.daemon = Daemon(self.net, self.server, self.door)

    def keygen(self, *words, check=True):
        return run(program("oneknock-keygen"), words[0], "--dir", self.door.folder, *words[1:], check=check)

    def rotate(self, client, name, *options):
        """The new key file's path."""
        path = self.net.path(name)
        self.keygen("rotate", client, "-o", path, *options)
        return path

    def rotate_door(self, name, *options):
        """The path of the folder of new key files."""
        path = self.net.path(name)
        self.keygen("rotate", "--door", "-o", path, *options)
        return path

    def list(self):
        return json.loads(self.keygen("list", "--json").stdout)

    def generations(self, client="alice"):
        [found] = [entry for entry in self.list()["clients"] if entry["client"] == client]
        return found["generations"]

    def await_reload(self, times=1):
        self.daemon.wait_for("^reloaded:", times)

    def accepts(self, key):
        """Knocks; whether it was accepted."""
        before = self.daemon.accepted(), sum(self.daemon.refused().values()), self.daemon.junk()
        knock(self.client, key)
        eventually(lambda: (self.daemon.accepted(), sum(self.daemon.refused().values()), self.daemon.junk()) != before,
                   "the knock to be decided on")
        return self.daemon.accepted() > before[0]

    def is_heard(self, key):
        """Likewise, of a key with a secret that the door may not know: such a knock is noise, and nothing is decided."""
        before = self.daemon.accepted()
        knock(self.client, key, "ssh")
        try:
            return eventually(lambda: self.daemon.accepted() > before, timeout=stretched(0.5))
        except AssertionError:
            return False


class Clients(Rotation):
    def test_old_and_new_key_both_open_during_the_overlap(self):
        self.start()
        self.assertTrue(self.accepts(self.key))
        new = self.rotate("alice", "new.json")
        self.await_reload()
        self.assertTrue(self.accepts(self.key))
        self.assertTrue(self.accepts(new))
        self.assertTrue(self.accepts(self.key))
        self.daemon.wait_for(r"^accepted: alice: .*\(generation 1\)", 3)
        self.daemon.wait_for(r"^accepted: alice: .*\(generation 2\)")

    def test_the_old_key_ends_with_the_overlap(self):
        self.start()
        time.sleep(1)  # no generation holds for less than a second
        new = self.rotate("alice", "new.json", "--overlap", "0s")
        self.await_reload()
        end = time.time() + 2
        eventually(lambda: time.time() > end)
        self.assertFalse(self.accepts(self.key))
        self.daemon.wait_for("^warning: refused: key-expired: alice")
        self.assertTrue(self.accepts(new))

    def test_list_says_when_each_generation_was_last_used(self):
        self.start()
        self.assertEqual([g["last_used"] for g in self.generations()], [None])
        before = int(time.time())
        new = self.rotate("alice", "new.json")
        self.await_reload()
        self.accepts(self.key)
        first, second = self.generations()
        self.assertEqual((first["generation"], first["status"], second["generation"], second["status"]),
                         (1, "ending", 2, "valid"))
        self.assertIsNone(second["last_used"])
        used = time.mktime(time.strptime(first["last_used"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        self.assertTrue(before <= used <= time.time(), (before, used))
        self.accepts(new)
        self.assertIsNotNone(self.generations()[1]["last_used"])
        told = self.keygen("list")
        self.assertEqual(told.stderr, "")
        self.assertRegex(told.stdout, r"(?m)^alice +2 .* valid$")
        # The daemon's record stays the daemon's.
        owners = {os.stat(os.path.join(self.door.state, name)).st_uid for name in os.listdir(self.door.state)}
        self.assertEqual(owners, {os.stat(self.door.state).st_uid})
        self.assertTrue(self.accepts(new))

    def test_list_works_with_the_record_of_a_daemon_that_was_stopped_or_killed(self):
        self.start()
        self.accepts(self.key)
        self.daemon.stop()
        self.assertIsNotNone(self.generations()[0]["last_used"])
        self.start()
        self.accepts(self.key)
        self.daemon.kill()
        self.assertIsNotNone(self.generations()[0]["last_used"])
        self.start()
        self.assertTrue(self.accepts(self.key))

    def test_a_revoked_key_stops_and_its_grant_closes_within_a_second(self):
        self.start()
        new = self.rotate("alice", "new.json")
        self.await_reload()
        knock(self.client, new, "ssh", "--wait")
        before = time.monotonic()
        self.door.revoke("alice")
        eventually(lambda: self.daemon.elements() == [], "the grant to be closed", timeout=stretched(1))
        print(f"revoked and closed after {1000 * (time.monotonic() - before):.0f} ms", flush=True)
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), CLOSED)
        self.assertEqual((self.accepts(new), self.accepts(self.key)), (False, False))
        self.assert_becomes({"key-revoked": 2}, lambda: self.daemon.refused())
        refused = self.keygen("rotate", "alice", "-o", self.net.path("again.json"), check=False)
        self.assertEqual((refused.returncode, os.path.exists(self.net.path("again.json"))), (65, False))


class EarlyEnd(Rotation):
    grace = "2s"

    def test_the_old_key_ends_once_the_new_one_is_in_use_also_after_a_restart(self):
        self.start()
        new = self.rotate("alice", "new.json")
        self.await_reload()
        self.assertTrue(self.accepts(self.key))
        self.assertTrue(self.accepts(new))
        end = time.time() + 4
        eventually(lambda: time.time() > end)
        self.assertEqual(self.generations()[0]["status"], "ended")
        self.assertFalse(self.accepts(self.key))
        self.assert_becomes({"key-expired": 1}, lambda: self.daemon.refused())
        self.daemon.stop()
        self.start()
        self.assertFalse(self.accepts(self.key))
        self.assertTrue(self.accepts(new))

    def test_the_old_door_secret_ends_once_all_clients_have_moved(self):
        bob = self.door.add("bob")
        self.start()
        time.sleep(1)  # a client that is added in the second of the rotation is waited for as well
        folder = self.rotate_door("keys")
        new = {name: os.path.join(folder, name + ".json") for name in ("alice", "bob")}
        eventually(lambda: self.is_heard(new["alice"]), "the new secret to be known")
        end = time.time() + 4
        eventually(lambda: time.time() > end)
        self.assertTrue(self.is_heard(bob))
        self.assertTrue(self.is_heard(new["bob"]))
        self.assertEqual([g["status"] for g in self.list()["door_generations"]], ["ending", "valid"])
        end = time.time() + 4
        eventually(lambda: time.time() > end)
        self.assertEqual([g["status"] for g in self.list()["door_generations"]], ["ended", "valid"])
        self.assertFalse(self.is_heard(bob))
        self.assertTrue(self.is_heard(new["bob"]))


class TheDoor(Rotation):
    def test_both_secrets_are_heard_during_the_overlap(self):
        bob = self.door.add("bob")
        self.start()
        folder = self.rotate_door("keys")
        self.assertEqual(sorted(os.listdir(folder)), ["alice.json", "bob.json"])
        new = os.path.join(folder, "alice.json")
        eventually(lambda: self.is_heard(new), "the new secret to be known")
        for key in (self.key, bob, new, os.path.join(folder, "bob.json"), self.key):
            self.assertTrue(self.is_heard(key), key)
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN)
        carol = self.door.add("carol")
        self.await_reload(2)
        self.assertTrue(self.is_heard(carol))

    def test_the_client_takes_in_its_new_key_and_goes_on(self):
        home = {"XDG_CONFIG_HOME": self.net.path("config")}
        self.start()
        run(program("oneknock"), "import", self.key, env=home)
        client_key = self.rotate("alice", "new.json")
        self.await_reload()
        door_key = os.path.join(self.rotate_door("keys"), "alice.json")
        run(program("oneknock"), "import", door_key, env=home)
        eventually(lambda: knock(self.client, "home", "ssh", "--wait=1s", env=home, check=False).returncode == 0)
        late = run(program("oneknock"), "import", client_key, env=home, check=False)
        self.assertEqual(late.returncode, 73)  # it is older than what is there
        knock(self.client, "home", "ssh", "--wait", env=home)


if __name__ == "__main__":
    main()
