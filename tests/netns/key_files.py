"""Key files that are broken, copied or gone: what takes away acts, and nothing else suffers.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; services on tcp 22 and 80)
"""

import os
import shutil
import signal
import time

from door import change_json, knock
from harness import eventually, main, program, run
from key_house import DATA, KeyHouse, edit, replace_text


class KeyFiles(KeyHouse):
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
        self.assertEqual([self.opens(name) for name in ("desk", "phone", "laptop")], [False, True, True])

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

    def test_who_was_kept_out_for_a_service_that_there_was_not_is_let_in_with_it(self):
        edit(self.path("desk"), allow=["ssh", "news"])
        self.start()
        self.assertFalse(self.opens("desk"), "at a start what is wrong keeps its client out")
        run(program("oneknock-keygen"), "service", "add", "--dir", self.door.folder, "news=tcp/119")
        self.assertTrue(self.opens("desk"))
        self.assertEqual(self.wrong(), [])

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

    def copy_as(self, name, **fields):
        """A copy of laptop's file under another name, inside and out."""
        shutil.copy(self.path("laptop"), self.path(name))
        edit(self.path(name), name=name, **fields)

    def test_a_key_in_two_files_opens_only_what_both_let_it_open(self):
        check = lambda: self.server.run(program("oneknockd"), "--config", self.door.config, "--check-config", check=False)
        self.start()
        for copy in ("a-copy", "zz-copy"):
            self.copy_as(copy)
            eventually(lambda: len(self.wrong()) == 2, "both files to be told of")
            self.assertEqual([problem["problem"].split(":")[0] for problem in self.wrong()],
                             sorted((f"{copy}.json", "laptop.json")))
            self.daemon.wait_for(f"^error: laptop.json: holds a key that is in {copy}.json as well")
            self.daemon.wait_for(f"^error: {copy}.json: holds a key that is in laptop.json as well")
            self.assertIn(f"laptop.json: holds a key that is in {copy}.json", self.daemon.ctl("status").stdout)
            self.assertEqual(check().returncode, DATA)
            self.assertRegex(check().stderr, f"({copy}|laptop).json: holds a key that is in ({copy}|laptop).json")
            self.assertTrue(self.opens("laptop"), "nothing is stricter")
            knock(self.client, self.keys["laptop"], "ssh", "--for", "60s", "--wait")
            edit(self.path(copy), revoked=True)
            eventually(lambda: not self.daemon.elements(), "what the key has opened to be closed")
            self.assertFalse(self.opens("laptop"))
            edit(self.path(copy), revoked=False, allow=["web"])
            self.assertEqual(self.daemon.ctl("reload", check=False).returncode, DATA)
            self.assertEqual([self.opens("laptop", "ssh"), self.opens("laptop", "web")], [False, True])
            self.keygen("revoke", "laptop")
            self.assertFalse(self.opens("laptop", "web"))
            self.restart()
            self.assertEqual(len(self.wrong()), 2)
            self.assertFalse(self.opens("laptop", "web"))
            os.remove(self.path(copy))
            self.keygen("unrevoke", "laptop")
            self.assertEqual(self.wrong(), [])
            self.assertTrue(self.opens("laptop"))

    def test_a_revoked_clients_file_under_another_name_opens_nothing(self):
        self.start()
        shutil.copy(self.path("laptop"), self.net.path("backup.json"))
        self.keygen("revoke", "laptop")
        shutil.copy(self.net.path("backup.json"), self.path("laptop-restored"))
        edit(self.path("laptop-restored"), name="laptop-restored")
        self.daemon.ctl("reload", check=False)
        self.assertFalse(self.opens("laptop"))
        self.restart()
        self.assertFalse(self.opens("laptop"))

    def test_a_key_that_was_rotated_away_does_not_come_back_with_an_older_file(self):
        self.door.configure(rotation={"grace": "0s"})
        self.start()
        shutil.copy(self.path("laptop"), self.net.path("backup.json"))
        old = self.keys["laptop"]
        self.keys["laptop"] = self.net.path("laptop-2.json")
        self.keygen("rotate", "laptop", "-o", self.keys["laptop"])
        self.assertTrue(self.opens("laptop"))
        time.sleep(1.1)  # times are whole seconds
        shutil.copy(self.net.path("backup.json"), self.path("laptop"))
        self.daemon.ctl("reload", check=False)
        self.keys["old"] = old
        for _ in range(2):
            self.assertEqual([self.opens("old"), self.opens("laptop")], [False, False])
            self.assertIn("is older than the key that laptop has used", self.wrong()[0]["problem"])
            self.restart()
        self.keys["laptop"] = self.net.path("laptop-3.json")
        self.keygen("rotate", "laptop", "-o", self.keys["laptop"])
        self.assertTrue(self.opens("laptop"))
        self.assertEqual([self.opens("old"), self.wrong()], [False, []])

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

    # --- keygen and the daemon ------------------------------------------------------------------------------------

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
