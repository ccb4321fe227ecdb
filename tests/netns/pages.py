"""Web pages with a sealed key, without a browser: what is in them opens the door. tests/web has the browsers."""

import json
import os
import re

from door import BothFamilies
from harness import main, program, run
from traffic import OPEN, attempt

TEMPLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../client/web/page.html")


class Pages(BothFamilies):
    def build(self):
        super().build()
        self.page = self.net.path("phone.html")

    def keygen(self, command, *words, **options):
        return run(program("oneknock-keygen"), command, "--dir", self.door.folder, *words, "--page-template", TEMPLATE, **options)

    def add(self, *words, **options):
        return self.keygen("add", "phone", "--allow", "ssh", "--page", self.page, *words, **options)

    def passphrase_of(self, done):
        found = re.fullmatch(r"passphrase: ([a-z]{4}(?: [a-z]{4}){5})\n", done.stdout)
        self.assertTrue(found, done.stdout)
        return found[1]

    def key_in(self, page):
        """The path of a file with the page's key alone."""
        self.assertEqual(os.stat(page).st_mode & 0o777, 0o600)
        with open(page, encoding="utf-8") as file:
            block, = re.findall(r'<script type="application/json" id="key">(.*?)</script>', file.read(), re.S)
        self.assertEqual(json.loads(block)["x-addresses"], ["10.77.0.1"])
        path = page + ".json"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(block)
        return path

    def knock(self, page, passphrase):
        secret = self.net.path("passphrase")
        with open(secret, "w", encoding="utf-8") as file:
            file.write(passphrase + "\n")
        self.client.run("sh", "-c", 'exec 3<"$1"; shift; exec "$@"', "sh", secret, program("oneknock"), "open",
                        self.key_in(page), "ssh", "--source", "observed", "--key-fd", "3")

    def test_the_key_of_a_page_and_its_passphrase_open_the_door_and_so_does_the_next_generation(self):
        self.knock(self.page, self.passphrase_of(self.add("--source", "observed")))
        self.daemon.wait_for("^accepted: phone: open tcp/22 for 10.77.0.2")
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN)
        next_page = self.net.path("phone-2.html")
        self.knock(next_page, self.passphrase_of(self.keygen("rotate", "phone", "--page", next_page)))
        self.daemon.wait_for(r"^accepted: phone: open tcp/22 for 10.77.0.2.*\(generation 2\)")

    def test_a_page_is_made_of_a_key_that_somebody_has(self):
        key = self.door.add("alice", "--source", "observed")
        words = (program("oneknock"), "page", key, "-o", self.page, "--page-template", TEMPLATE)
        self.knock(self.page, self.passphrase_of(run(*words)))
        self.daemon.wait_for("^accepted: alice: open tcp/22 for 10.77.0.2")
        again = run(*words, check=False)
        self.assertEqual((again.returncode, again.stdout), (73, ""))

    def test_what_cannot_become_a_page_leaves_nothing_behind(self):
        refused = self.add(check=False)
        self.assertEqual((refused.returncode, refused.stdout), (64, ""))
        self.assertIn("allow it --source observed", refused.stderr)
        both = self.add("--source", "observed", "-o", self.net.path("phone.json"), check=False)
        self.assertEqual(both.returncode, 64)
        other = run(program("oneknock-keygen"), "add", "--dir", self.door.folder, "phone", "--allow", "ssh", "--source",
                    "observed", "--page", self.page, "--page-template", __file__, check=False)
        self.assertEqual(other.returncode, 65)
        self.assertEqual((os.listdir(os.path.join(self.door.folder, "clients.d")), os.path.exists(self.page)), ([], False))


if __name__ == "__main__":
    main()
