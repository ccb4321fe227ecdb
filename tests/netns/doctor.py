"""`oneknock doctor`: each step from the key to the open port, sound and broken.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)
"""

import json
import os
import time

from door import PlainHouse, key_for, knock
from harness import main, program, run

USAGE, DATA, NO_INPUT, UNAVAILABLE, TRY_LATER = 64, 65, 66, 69, 75


class Doctor(PlainHouse):
    def doctor(self, *words, code=0, **environment):
        """{check: (verdict, text, advice)}: of several of a kind, the last one."""
        done = self.client.run(program("oneknock"), "doctor", *words, "--json", check=False, env=environment)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return {each["check"]: (each["verdict"], each["found"], each["advice"]) for each in json.loads(done.stdout)["checks"]}

    def assert_found(self, found, check, verdict, text):
        self.assertEqual(found[check][0], verdict, found)
        self.assertRegex(found[check][1], text)

    def test_each_step_of_a_way_that_is_sound(self):
        found = self.doctor(self.key)
        self.assertEqual(list(found), ["clock", "key", "passphrase", "name", "route", "port", "knock"])
        self.assert_found(found, "key", "ok", "client alice of door .*, generation 1")
        self.assert_found(found, "name", "ok", "10.77.0.1 is an address")
        self.assert_found(found, "route", "ok", "to 10.77.0.1 from 10.77.0.2; the knock asks for 10.77.0.2")
        self.assert_found(found, "port", "ok", "tcp/22 at 10.77.0.1 is closed: it answers with resets")
        self.assert_found(found, "knock", "ok", "open: tcp/22 at 10.77.0.1 after .* ms, by udp")
        self.assertEqual([grant["address"] for grant in self.daemon.grants()], ["10.77.0.2"])

    def test_for_people_a_line_a_check_and_what_to_do_below_it(self):
        knock(self.client, self.key, "ssh", "--wait")
        done = self.client.run(program("oneknock"), "doctor", self.key, "ssh")
        self.assertRegex(done.stdout, r"(?m)^ok       key         /.*: client alice of door ")
        self.assertRegex(done.stdout, r"(?m)^warning  port        tcp/22 at 10.77.0.1 is open before the knock\n"
                                      r" {21}-> an older grant, a trusted network or a missing guard")
        self.assertRegex(done.stdout, r"(?m)^warning  knock       was open before: ")
        self.assertTrue(all(len(line) < 200 for line in done.stdout.splitlines()), done.stdout)

    def test_without_a_knock_the_server_is_sent_nothing(self):
        found = self.doctor(self.key, "--no-knock")
        self.assertEqual(list(found), ["clock", "key", "passphrase", "name", "route"])
        self.assertEqual(self.daemon.status()["capture"]["packets"], 0)

    def test_a_knock_that_opens_nothing_is_explained(self):
        self.daemon.kill()  # the guard stays
        found = self.doctor(self.key, "ssh", "--wait=1s", code=TRY_LATER)
        self.assert_found(found, "knock", "failed", "did not open within 1s; it answers with resets(.|\n)*clock")

    def test_what_is_wrong_with_a_key(self):
        self.assert_found(self.doctor("./none.json", code=NO_INPUT), "key", "failed", "none.json")
        with open(self.key) as file:
            key = json.load(file)
        tomorrow = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))
        for expires, verdict, code in (("2020-01-01T00:00:00Z", "failed", DATA), (tomorrow, "warning", 0),
                                       ("2100-01-01T00:00:00Z", "ok", 0)):
            key["expires"] = expires
            path = self.net.path("changed.json")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(key, file)
            self.assertEqual(self.doctor(path, "--no-knock", code=code)["key"][0], verdict)

    def test_what_is_wrong_on_the_way(self):
        missing = key_for(self.key, "no.such.name.invalid", self.net.path("missing.json"))
        self.assert_found(self.doctor(missing, code=UNAVAILABLE), "name", "failed", "cannot resolve")
        away = key_for(self.key, "192.0.2.1", self.net.path("away.json"))
        self.assert_found(self.doctor(away, code=UNAVAILABLE), "route", "failed", "no route to 192.0.2.1")
        self.assert_found(self.doctor(self.key, "shh", code=USAGE), "service", "failed", "did you mean ssh")

    def test_all_imported_keys_are_looked_at_without_a_door(self):
        place = {"XDG_CONFIG_HOME": self.net.path("config")}
        self.assert_found(self.doctor(code=NO_INPUT, **place), "key", "failed", "no imported doors")
        run(program("oneknock"), "import", self.key, "--passphrase", "--key-fd", "0", input="secret words\n", env=place)
        found = self.doctor(**place, SSH_ASKPASS_REQUIRE="never")
        self.assertEqual(list(found), ["clock", "key", "passphrase"])
        self.assert_found(found, "passphrase", "warning", "nobody to ask")
        self.assertIn("oneknock unlock", found["passphrase"][2])


if __name__ == "__main__":
    main()
