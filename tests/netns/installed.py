"""`cmake --install` into a prefix of one's own: the programs find each other there, and the units start them."""

import os
import re
import unittest

from harness import BIN, Network, main, run

BUILD = os.path.dirname(os.path.abspath(BIN))
CONFIG = "/etc/oneknock/oneknockd.json"


class Installed(unittest.TestCase):
    def setUp(self):
        self.net = Network()
        self.addCleanup(self.net.remove)
        self.prefix = self.net.path("prefix")
        run("cmake", "--install", BUILD, "--prefix", self.prefix)

    def path(self, *parts):
        return os.path.join(self.prefix, *parts)

    def unit(self, name):
        with open(self.path("lib/systemd/system", name)) as file:
            return file.read()

    def test_what_was_installed_works_where_it_is(self):
        folder, state = self.net.path("door"), self.net.path("state")
        keygen = self.path("bin/oneknock-keygen")
        run(keygen, "init", "--dir", folder, "--name", "home", "--address", "127.0.0.1", "--service", "ssh=tcp/22",
            "--state", state)
        made = run(keygen, "add", "--dir", folder, "phone", "--allow", "ssh", "--source", "observed",
                   "--page", self.net.path("phone.html"))
        self.assertIn("passphrase: ", made.stdout)
        run(self.path("sbin/oneknockd"), "--config", f"{folder}/oneknockd.json", "--check-config")
        run(self.path("bin/oneknock"), "--version")
        run(self.path("bin/oneknockctl"), "--version")
        told = run(self.path("sbin/oneknockd"), "--config", f"{folder}/oneknockd.json", "--read", "/dev/null", check=False)
        self.assertNotIn("neither in", told.stderr)  # the program that reads it was found

    def test_units_start_the_programs_of_the_prefix_once_there_is_a_door(self):
        for name in ("oneknockd.service", "oneknockd-guard.service"):
            unit = self.unit(name)
            started = re.search(r"^ExecStart=(.*) --config (\S+)", unit, re.MULTILINE)
            self.assertEqual(started.groups(), (self.path("sbin/oneknockd"), CONFIG))
            self.assertIn(f"\nConditionPathExists={CONFIG}\n", unit)
            self.assertNotIn("@", re.sub(r"(?m)^(#.*|SystemCallFilter=.*)$", "", unit))

    def test_what_belongs_to_the_programs_is_there(self):
        for path in ("lib/sysusers.d/oneknock.conf", "lib/tmpfiles.d/oneknock.conf", "share/man/man8/oneknockd.8",
                     "share/man/man5/oneknockd.json.5", "share/bash-completion/completions/oneknock",
                     "share/zsh/site-functions/_oneknockctl", "share/doc/oneknock/LICENSE",
                     "share/doc/oneknock/operations.md", "libexec/oneknock/oneknockd-listener"):
            self.assertTrue(os.path.exists(self.path(path)), path)


if __name__ == "__main__":
    main()
