"""Key files that are broken, moved, linked, or gone: what takes away acts, however it got there, and nothing else suffers.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; services on tcp 22 and 80)
"""

import json
import os
import shutil
import signal
import time

from door import Daemon, Door, change_json, knock
from harness import NetworkTest, eventually, main, program, run
from traffic import CLOSED, OPEN, Service, attempt

ADDRESS = "10.77.0.1"
DATA = 65


def replace_text(path, change):
    """In one step, as keygen and editors do; the mode stays 0600."""
    with open(path) as file:
        text = change(file.read())
    new = os.path.join(os.path.dirname(path), ".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    os.rename(new, path)


def edit(path, **fields):
    replace_text(path, lambda text: json.dumps({**json.loads(text), **fields}))


class KeyFiles(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", [f"{ADDRESS}/24"], self.client, "c0", ["10.77.0.2/24"])
        for port in (22, 80):
            net.keep(Service(self.server, port), Service.stop)
        self.door = Door(net, ADDRESS)
        self.clients = os.path.join(self.door.folder, "clients.d")
        self.keys = {name: self.door.add(name, allow=("ssh", "web")) for name in ("laptop", "desk", "phone")}

    def start(self):
        self.daemon = Daemon(self.net, self.server, self.door)

    def restart(self):
        self.assertEqual(self.daemon.stop(), 0)
        self.start()

    def path(self, name):
        return os.path.join(self.clients, name + ".json")

    def opens(self, name, service="ssh"):
        """Whether a knock of this client opens the service; closes it again."""
        before = self.daemon.status()
        knock(self.client, self.keys[name], service, "--for", "60s")
        judged = lambda status: status["accepted"] + sum(status["refused"].values())
        eventually(lambda: judged(self.daemon.status()) > judged(before), f"the knock of {name} to be judged")
        accepted = self.daemon.accepted() > before["accepted"]
        port = 22 if service == "ssh" else 80
        self.assertEqual(attempt(self.client, ADDRESS, port), OPEN if accepted else CLOSED)
        self.daemon.ctl("revoke", "--all")
        eventually(lambda: not self.daemon.elements(), "the port to be closed again")
        return accepted

    def wrong(self):
        """The files that are wrong: what status says of them."""
        return self.daemon.status()["key_files"]

    def await_out(self, name):
        """Within the time that is promised."""
        began = time.monotonic()
        eventually(lambda: not self.daemon.elements(), f"what {name} has opened to be closed")
        self.assertFalse(self.opens(name))
        return time.monotonic() - began

    # --- what takes away acts -------------------------------------------------------------------------------------

    def broken_besides(self):
        """Ways to break a file beside others: (name, break)."""
        desk, door = self.path("desk"), os.path.join(self.door.folder, "door.json")
        replace = lambda change: lambda: replace_text(desk, change)
        link = lambda to: lambda: (os.remove(desk), os.symlink(to, desk))
        return (
            ("mode 0644", lambda: os.chmod(desk, 0o644)),
            ("mode 0", lambda: os.chmod(desk, 0)),
            ("another owner", lambda: os.chown(desk, 12345, 12345)),
            ("cut short", replace(lambda text: text[:60])),
            ("empty", replace(lambda text: "")),
            ("an unknown field", replace(lambda text: text.replace('"source"', '"sorce"'))),
            ("an unknown service", replace(lambda text: text.replace('"web"', '"wbe"'))),
            ("another client's name", replace(lambda text: text.replace('"desk"', '"desc"'))),
            ("a folder", lambda: (os.remove(desk), os.mkdir(desk))),
            ("a pipe", lambda: (os.remove(desk), os.mkfifo(desk))),
            ("a link to nowhere", link("nowhere")),
            ("a link to itself", link("desk.json")),
            ("a span that waits for a restart", lambda: change_json(door, lambda d: d.update(span="1024-50000"))),
            ("a door that is cut short", lambda: replace_text(door, lambda text: text[:100])),
            ("a door that is gone", lambda: os.remove(door)),
            ("a copy of a file", lambda: shutil.copy(desk, self.path("desk (copy)"))),
        )

    def test_a_revocation_acts_whatever_else_is_broken(self):
        self.start()
        kept = self.net.path("kept")
        shutil.copytree(self.door.folder, kept)
        for number, name in enumerate(name for name, _ in self.broken_besides()):
            with self.subTest(name):
                knock(self.client, self.keys["laptop"], "ssh", "--for", "60s", "--wait")
                dict(self.broken_besides())[name]()
                if number % 3 == 0:
                    os.remove(self.path("laptop"))
                elif number % 3 == 1:
                    edit(self.path("laptop"), revoked=True)
                else:
                    edit(self.path("laptop"), allow=["web"])
                eventually(lambda: not self.daemon.elements(), "what it has opened to be closed")
                self.assertFalse(self.opens("laptop"))
                self.assertTrue(self.opens("phone"))
                eventually(lambda: len(self.wrong()) == 1, lambda: f"one file to be wrong; {self.wrong()}")
            for path in (self.clients, os.path.join(self.door.folder, "door.json")):
                shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)
            shutil.copytree(os.path.join(kept, "clients.d"), self.clients)
            shutil.copy(os.path.join(kept, "door.json"), self.door.folder)
            eventually(lambda: self.daemon.ctl("reload", check=False).returncode == 0, "all to be right again")
        self.assertTrue(self.opens("desk"))

    def test_a_narrower_policy_acts_beside_a_broken_file(self):
        roamer = self.door.add("roamer", "--source", "any")
        self.start()
        os.chmod(self.path("desk"), 0o644)
        edit(self.path("phone"), max_duration="2s")
        edit(self.path("laptop"), expires="2020-01-01T00:00:00Z")
        edit(self.path("roamer"), source="same")
        self.assertEqual(self.daemon.ctl("reload", check=False).returncode, DATA)
        self.assertFalse(self.opens("laptop"))
        knock(self.client, roamer, "ssh", "--source", "198.51.100.9")
        self.assert_becomes(1, lambda: self.daemon.refused().get("address-mismatch"))
        knock(self.client, self.keys["phone"], "ssh", "--for", "60s")
        self.daemon.wait_for("^accepted: phone: open tcp/22 for 10.77.0.2, 2s")

    def test_an_early_end_of_the_doors_secret_acts_beside_a_span_that_waits_for_a_restart(self):
        self.start()
        run(program("oneknock-keygen"), "rotate", "--dir", self.door.folder, "--door", "-o", self.net.path("new-keys"))
        self.daemon.wait_for("^reloaded:")
        self.assertTrue(self.opens("laptop"), "with the older secret, which is still in force")

        def end_the_older(door):
            door["span"] = "1024-50000"
            door["generations"] = door["generations"][1:]

        change_json(os.path.join(self.door.folder, "door.json"), end_the_older)
        eventually(lambda: self.daemon.ctl("reload", check=False).returncode == DATA, "the door to be seen")
        knock(self.client, self.keys["laptop"], "ssh")
        self.keys["laptop"] = os.path.join(self.net.path("new-keys"), "laptop.json")
        self.assertTrue(self.opens("laptop"))
        self.assert_becomes(2, self.daemon.accepted)

    # --- how long what is broken keeps its keys --------------------------------------------------------------------

    def test_a_broken_file_keeps_its_clients_keys_for_ten_minutes_and_none_for_who_is_strict(self):
        self.start()
        replace_text(self.path("desk"), lambda text: text[:60])
        edit(self.path("phone"), allow=["ssh", "sssh"])
        eventually(lambda: len(self.wrong()) == 2, "the files to be seen")
        self.assertTrue(self.opens("desk") and self.opens("phone"))
        desk, phone = self.wrong()
        self.assertEqual((desk["client"], phone["client"]), ("desk", "phone"))
        self.assertIn(desk["out_in_s"], range(500, 601))
        self.assertIn("keeps the keys it had", desk["consequence"])
        self.assertIn('no service "sssh"', phone["problem"])
        self.assertRegex(self.daemon.ctl("status").stdout, r"\nwrong +2 key files\n  .*desk\.json:.*\(\d+ s left\)\n  phone\.json")
        self.assertIn("\noneknock_key_files_wrong 2\n", self.daemon.ctl("status", "--format", "prometheus").stdout)
        self.assertEqual(self.daemon.ctl("reload", check=False).returncode, DATA)
        self.assertTrue(self.opens("desk"))

        knock(self.client, self.keys["desk"], "ssh", "--for", "60s", "--wait")
        told = self.daemon.ctl("reload", "--strict", check=False)
        self.assertEqual(told.returncode, DATA)
        self.assertIn("desk is kept out", told.stderr)
        eventually(lambda: not self.daemon.elements(), "what it has opened to be closed")
        self.assertEqual([self.opens(name) for name in ("desk", "phone", "laptop")], [False, False, True])

    def test_what_is_mended_is_let_in_again_and_stands_nowhere(self):
        self.start()
        for broken, mend in ((lambda: os.chmod(self.path("desk"), 0o644), lambda: os.chmod(self.path("desk"), 0o600)),
                             (lambda: os.chown(self.path("desk"), 12345, 0), lambda: os.chown(self.path("desk"), 0, 0))):
            broken()
            self.daemon.ctl("reload", "--strict", check=False)
            self.assertFalse(self.opens("desk"))
            mend()
            eventually(lambda: not self.wrong(), "the file to be right")
            self.assertTrue(self.opens("desk"))
        self.assertNotIn("wrong", self.daemon.ctl("status").stdout)
        self.assertEqual(self.daemon.ctl("reload").stdout, "done\n")

    # --- the start ------------------------------------------------------------------------------------------------

    def test_at_the_start_what_is_broken_keeps_out_its_client_alone_and_the_check_fails(self):
        check = lambda: self.server.run(program("oneknockd"), "--config", self.door.config, "--check-config", check=False)
        self.assertEqual(check().returncode, 0)
        kept = self.net.path("kept")
        shutil.copytree(self.clients, kept)
        ways = dict(self.broken_besides())
        for name in ("mode 0644", "another owner", "cut short", "an unknown service", "a pipe", "a link to nowhere",
                     "another client's name"):
            with self.subTest(name):
                ways[name]()
                checked = check()
                self.assertNotEqual(checked.returncode, 0)
                self.assertIn("desk.json", checked.stderr)
                self.start()
                self.assertRegex(self.daemon.log, r"error: .*desk\.json.*; desk is kept out\n(.*\n)*ready:")
                self.assertFalse(self.opens("desk"))
                self.assertTrue(self.opens("laptop"))
                self.assertEqual([file["client"] for file in self.wrong()], ["desk"])
                self.daemon.stop()
            shutil.rmtree(self.clients)
            shutil.copytree(kept, self.clients)

    def test_copies_are_nobodys_files_and_an_editors_leavings_are_none(self):
        edit(self.path("desk"), revoked=True)
        stray = ("desk (copy).json", "desk-backup.json", "Kopie von desk.json", "1.json", "desk.json.json")
        for name in (*stray, "desk.json~", ".desk.json.swp", "4913", "#desk.json#", "desk.json.bak", ".#desk.json"):
            with open(os.path.join(self.clients, name), "w") as file, open(self.path("desk")) as original:
                file.write(original.read().replace('"revoked": true', '"revoked": false'))
            os.chmod(os.path.join(self.clients, name), 0o600)
        self.start()
        self.assertEqual([self.opens("desk"), self.opens("laptop")], [False, True])
        self.assertEqual(len(self.wrong()), len(stray))
        os.remove(os.path.join(self.clients, "desk (copy).json"))
        eventually(lambda: len(self.wrong()) == len(stray) - 1, "the copy to be forgotten")
        self.assertTrue(self.opens("laptop"))

    def test_a_broken_door_and_no_folder_of_clients_are_fatal_at_the_start(self):
        door = os.path.join(self.door.folder, "door.json")
        for path, code in ((door, 66), (self.clients, 66)):
            os.rename(path, path + ".away")
            ended = self.server.run(program("oneknockd"), "--config", self.door.config, check=False)
            self.assertEqual(ended.returncode, code, ended.stderr)
            self.assertIn(os.path.basename(path), ended.stderr)
            self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
            os.rename(path + ".away", path)
        replace_text(door, lambda text: text[:50])
        ended = self.server.run(program("oneknockd"), "--config", self.door.config, check=False)
        self.assertEqual((ended.returncode, len(ended.stderr.splitlines())), (DATA, 1), ended.stderr)

    # --- however it got there -------------------------------------------------------------------------------------

    def take_out_and_once_more(self, change, again=lambda: None):
        """Without a word to the daemon: the change takes laptop out, and desk is revoked afterwards."""
        knock(self.client, self.keys["laptop"], "ssh", "--for", "60s", "--wait")
        change()
        self.assertLess(self.await_out("laptop"), 5 * self.slowness())
        self.assertTrue(self.opens("desk"))
        knock(self.client, self.keys["desk"], "ssh", "--for", "60s", "--wait")
        edit(os.path.realpath(self.path("desk")), revoked=True)
        again()
        self.assertLess(self.await_out("desk"), 5 * self.slowness())
        self.assertTrue(self.opens("phone"))

    @staticmethod
    def slowness():
        """How much longer than promised it may take, on a machine that does many other things."""
        return max(1.0, os.getloadavg()[0])

    def revoked_copy(self, folder, to):
        shutil.copytree(folder, to, symlinks=True)
        for path, _, names in os.walk(to):
            if "laptop.json" in names:
                edit(os.path.join(path, "laptop.json"), revoked=True)
        return to

    def test_a_folder_that_takes_the_place_of_the_doors(self):
        self.start()
        new = self.revoked_copy(self.door.folder, self.door.folder + "-new")

        def swap():
            os.rename(self.door.folder, self.door.folder + "-old")
            os.rename(new, self.door.folder)

        self.take_out_and_once_more(swap)

    def test_a_folder_above_the_doors_that_is_a_link(self):
        release = self.net.path("release-1")
        os.mkdir(release)
        os.rename(self.door.folder, os.path.join(release, "home"))
        os.symlink(os.path.join("current", "home"), self.door.folder)
        os.symlink("release-1", self.net.path("current"))
        self.start()
        self.revoked_copy(release, self.net.path("release-2"))

        def point_elsewhere():
            os.symlink("release-2", self.net.path("next"))
            os.rename(self.net.path("next"), self.net.path("current"))

        self.take_out_and_once_more(point_elsewhere)

    def test_a_folder_of_clients_that_becomes_a_link(self):
        self.start()
        new = self.revoked_copy(self.clients, self.net.path("elsewhere"))

        def replace():
            os.rename(self.clients, self.clients + ".old")
            os.symlink(new, self.clients)

        self.take_out_and_once_more(replace)

    def test_files_that_are_links_of_a_projected_volume(self):
        """As Kubernetes has them: NAME.json -> ..data/NAME.json, ..data -> ..VERSION."""
        first = os.path.join(self.clients, "..1")
        os.mkdir(first)
        for name in self.keys:
            os.rename(self.path(name), os.path.join(first, name + ".json"))
            os.symlink(f"..data/{name}.json", self.path(name))
        os.symlink("..1", os.path.join(self.clients, "..data"))
        self.start()
        self.revoked_copy(first, os.path.join(self.clients, "..2"))

        def swap():
            os.symlink("..2", os.path.join(self.clients, "..tmp"))
            os.rename(os.path.join(self.clients, "..tmp"), os.path.join(self.clients, "..data"))
            shutil.rmtree(first)

        self.take_out_and_once_more(swap)

    def test_files_that_are_links_out_of_the_folder(self):
        vault = self.net.path("vault")
        os.makedirs(os.path.join(vault, "keys"))
        for name in self.keys:
            os.rename(self.path(name), os.path.join(vault, "keys", name + ".json"))
            os.symlink(os.path.join(vault, "keys", name + ".json"), self.path(name))
        self.start()
        self.take_out_and_once_more(lambda: os.remove(os.path.join(vault, "keys", "laptop.json")))

    def test_what_inotify_does_not_see(self):
        """A file mounted over a client's, in the daemon's own mount namespace."""
        other = self.net.path("other.json")
        shutil.copy(self.path("laptop"), other)
        edit(other, revoked=True)
        self.start()
        mount = ("nsenter", "-m", "-t", str(self.daemon.process.pid))
        self.take_out_and_once_more(lambda: run(*mount, "mount", "--bind", other, self.path("laptop")))
        run(*mount, "umount", self.path("laptop"))

    def test_a_folder_that_is_gone_takes_all_with_it(self):
        self.start()
        knock(self.client, self.keys["laptop"], "ssh", "--for", "60s", "--wait")
        os.rename(self.clients, self.clients + ".away")
        self.await_out("laptop")
        self.assertIn("clients.d", self.wrong()[0]["problem"])
        os.rename(self.clients + ".away", self.clients)
        eventually(lambda: not self.wrong(), "the folder to be found again")
        self.assertTrue(self.opens("laptop"))

    def test_a_daemon_that_found_nothing_new_says_nothing(self):
        self.start()
        os.kill(self.daemon.process.pid, signal.SIGHUP)
        self.daemon.wait_for("^reloaded: 3 clients, 0 new or changed, 0 gone$")
        time.sleep(7)  # two looks
        self.assertEqual(self.daemon.process.count("^reloaded:"), 1)

    # --- keygen and the daemon ------------------------------------------------------------------------------------

    def keygen(self, *words, check=True):
        return run(program("oneknock-keygen"), words[0], "--dir", self.door.folder, *words[1:], check=check)

    def test_what_keygen_changes_is_in_force_when_it_is_done_and_it_says_so(self):
        self.start()
        for number in range(4):
            name = f"new-{number}"
            self.keys[name] = self.net.path(name + ".json")
            told = self.keygen("add", name, "--allow", "ssh", "-o", self.keys[name])
            self.assertIn(f"has it in force: {name} is let in", told.stderr)
            self.assertTrue(self.opens(name))
            self.keys[name] = self.net.path(name + "-2.json")
            told = self.keygen("rotate", name, "--overlap", "0s", "-o", self.keys[name])
            self.assertIn(f"has it in force: {name} is let in", told.stderr)
            self.assertTrue(self.opens(name))
            knock(self.client, self.keys[name], "ssh", "--for", "60s", "--wait")
            told = self.keygen("revoke", name)
            self.assertIn(f"{name} opens nothing any more", told.stderr)
            eventually(lambda: not self.daemon.elements(), "what it has opened to be closed")
            self.assertFalse(self.opens(name))
        told = self.keygen("rotate", "--door", "-o", self.net.path("new-keys"))
        self.assertIn("has it in force: generation 2 of the door's secret", told.stderr)

    def test_keygen_says_that_nobody_was_told_and_a_revocation_that_does_not_act_fails(self):
        self.assertIn("no daemon was told", self.keygen("revoke", "phone").stderr)
        self.start()
        copy = self.net.path("copy")
        shutil.copytree(self.door.folder, copy)
        told = run(program("oneknock-keygen"), "revoke", "--dir", copy, "laptop", check=False)
        self.assertEqual(told.returncode, 69, told.stderr)
        self.assertIn("laptop is revoked in this directory only", told.stderr)
        self.assertTrue(self.opens("laptop"))
        gatekeeper = self.daemon.rooms()["gatekeeper"]
        os.chmod(self.path("desk"), 0o644)
        told = self.keygen("revoke", "laptop")
        self.assertIn("something wrong with 1 other file", told.stderr)
        self.assertFalse(self.opens("laptop"))
        self.assertIn("laptop is already revoked", self.keygen("revoke", "laptop").stderr)
        os.kill(gatekeeper, signal.SIGSTOP)
        self.addCleanup(os.kill, gatekeeper, signal.SIGCONT)
        os.chmod(self.path("desk"), 0o600)
        told = self.keygen("revoke", "desk", check=False)
        self.assertEqual(told.returncode, 69, told.stderr)
        self.assertIn("did not answer within", told.stderr)


if __name__ == "__main__":
    main()
