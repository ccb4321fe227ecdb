"""Web pages and QR codes with a sealed key, without a browser: what is in them opens the door. tests/web has the browsers.

Codes are read by zbarimg.
"""

import json
import os
import re
import shutil
import unittest

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
        nowhere = self.keygen("add", "phone", "--allow", "ssh", "--source", "observed", "--page", "-", check=False)
        self.assertEqual((nowhere.returncode, nowhere.stdout), (64, ""))
        self.assertIn("standard output is for the passphrase", nowhere.stderr)
        both = self.add("--source", "observed", "-o", self.net.path("phone.json"), check=False)
        self.assertEqual(both.returncode, 64)
        other = run(program("oneknock-keygen"), "add", "--dir", self.door.folder, "phone", "--allow", "ssh", "--source",
                    "observed", "--page", self.page, "--page-template", __file__, check=False)
        self.assertEqual(other.returncode, 65)
        self.assertEqual((os.listdir(os.path.join(self.door.folder, "clients.d")), os.path.exists(self.page)), ([], False))


class Codes(BothFamilies):
    """What is scanned off a code is imported, and its passphrase opens it."""

    def build(self):
        super().build()
        self.picture = self.net.path("phone.png")

    def keygen(self, command, *words, **options):
        return run(program("oneknock-keygen"), command, "--dir", self.door.folder, "phone", "--qr", *words, **options)

    def add(self, *words, **options):
        return self.keygen("add", "--allow", "ssh", *words, **options)

    def scanned(self, picture):
        self.assertEqual(os.stat(picture).st_mode & 0o777, 0o600)
        return run("zbarimg", "--raw", "-q", picture).stdout

    def imported(self, text):
        environment = {"XDG_CONFIG_HOME": self.net.path("configuration")}
        done = run(program("oneknock"), "import", "-", input=text, env=environment)
        self.assertIn("next: oneknock open home ssh --wait", done.stdout)
        return environment

    def knock(self, environment, done):
        passphrase, = re.findall(r"^passphrase: ([a-z]{4}(?: [a-z]{4}){5})$", done.stdout, re.M)
        secret = self.net.path("passphrase")
        with open(secret, "w", encoding="utf-8") as file:
            file.write(passphrase + "\n")
        self.client.run("sh", "-c", 'exec 3<"$1"; shift; exec "$@"', "sh", secret, program("oneknock"), "open", "home", "ssh",
                        "--source", "observed", "--key-fd", "3", env=environment)

    @unittest.skipUnless(shutil.which("zbarimg"), "zbarimg reads the picture")
    def test_a_picture_is_scanned_imported_and_opens_and_so_does_the_next_generation(self):
        done = self.add("--source", "observed", "--png", self.picture)
        text = self.scanned(self.picture)
        self.assertRegex(text, r"^oneknock-key:[A-Za-z0-9_-]{1,400}\n$")
        environment = self.imported(text)
        self.knock(environment, done)
        self.daemon.wait_for("^accepted: phone: open tcp/22 for 10.77.0.2")
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN)
        second = self.net.path("phone-2.png")
        done = self.keygen("rotate", "--png", second)
        self.imported(self.scanned(second))
        self.knock(environment, done)
        self.daemon.wait_for(r"^accepted: phone: open tcp/22 for 10.77.0.2.*\(generation 2\)")

    @unittest.skipUnless(shutil.which("zbarimg"), "zbarimg reads the picture")
    def test_a_link_to_a_page_has_the_key_behind_it_and_is_imported_as_well(self):
        done = self.add("--source", "observed", "--page-url", "https://knock.example.org/?lang=en", "--png", self.picture)
        text = self.scanned(self.picture)
        self.assertRegex(text, r"^https://knock\.example\.org/\?lang=en#key=[A-Za-z0-9_-]{1,400}\n$")
        self.knock(self.imported(text), done)
        self.daemon.wait_for("^accepted: phone: open tcp/22 for 10.77.0.2")

    @unittest.skipUnless(shutil.which("zbarimg"), "zbarimg reads the picture")
    def test_what_a_terminal_shows_is_the_code(self):
        shown = self.add("--source", "observed").stdout
        passphrase, _, code = shown.partition("\n")
        self.assertTrue(passphrase.startswith("passphrase: "))
        rows = [[half for column in line for half in [(column in "▀█", column in "▄█")]] for line in code.splitlines()]
        self.assertEqual(set(code) - set(" ▀▄█\n"), set())
        pixels = [[255 * column[half] for column in row for _ in range(4)] for row in rows for half in (0, 1) for _ in range(4)]
        picture = self.net.path("terminal.pgm")
        with open(os.open(picture, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(b"P5 %d %d 255\n" % (len(pixels[0]), len(pixels)) + b"".join(map(bytes, pixels)))
        self.imported(self.scanned(picture))

    def test_a_picture_never_overwrites_and_what_makes_no_code_leaves_nothing_behind(self):
        with open(self.picture, "w", encoding="utf-8") as file:
            file.write("mine")
        for code, words in ((73, ("--png", self.picture)), (64, ("--png", "-")), (64, ("--page-url", "http://knock.example.org/")),
                            (64, ("--page-url", "https://knock.example.org/#key=x")), (64, ("--page-url", "https://")),
                            (64, ("--page", self.net.path("phone.html"))), (64, ("-o", self.net.path("phone.json"))),
                            (64, ("--page-url", "https://knock.example.org/"))):  # the policy is `same`
            done = self.add(*words, check=False)
            self.assertEqual((done.returncode, done.stdout), (code, ""), f"{words}: {done.stderr}")
        with open(self.picture, encoding="utf-8") as file:
            self.assertEqual(file.read(), "mine")
        self.assertEqual((os.listdir(os.path.join(self.door.folder, "clients.d")), os.listdir(self.door.folder).count("phone.html")),
                         ([], 0))
        alone = run(program("oneknock-keygen"), "add", "--dir", self.door.folder, "phone", "--allow", "ssh", "--png",
                    self.picture, check=False)
        self.assertEqual(alone.returncode, 64)
        both = run(program("oneknock-keygen"), "rotate", "--dir", self.door.folder, "--door", "--qr", check=False)
        self.assertEqual(both.returncode, 64)

    def test_a_key_too_large_for_a_code_says_so_and_adds_no_client(self):
        names = ["service-" + "x" * 50 + str(number) for number in range(4)]
        run(program("oneknock-keygen"), "service", "add", "--dir", self.door.folder,
            *(f"{name}=tcp/{8000 + number}" for number, name in enumerate(names)))
        done = self.keygen("add", *(word for name in names for word in ("--allow", name)), check=False)
        self.assertEqual((done.returncode, done.stdout), (65, ""))
        self.assertIn("at most 300 fit into a QR code", done.stderr)
        self.assertEqual(os.listdir(os.path.join(self.door.folder, "clients.d")), [])

    def test_a_damaged_code_is_refused_with_where_it_came_from(self):
        for text in ("oneknock-key:AAAA\n", "https://knock.example.org/\n", "oneknock-key:\n"):
            done = run(program("oneknock"), "import", "-", input=text, check=False)
            self.assertEqual(done.returncode, 65)
            self.assertIn("standard input: the key in it is damaged or cut off", done.stderr)


if __name__ == "__main__":
    main()
