"""Keys that nobody carries in clear: enrolled, and rotated by ssh, with a real sudo."""

import json
import os
import re

from image import ROOT
from server import Server
from steps import expect, expect_in

SEALED = "laptop-sealed.json"


class HandedOut(Server):
    """Keys, handed out and rotated"""

    def step_enrolment(self):
        """`oneknock enrol`, `oneknock-keygen add --for`, the words compared at a terminal, `oneknock import`: a new user's
        knock opens, and nobody has carried a secret."""
        self.run("useradd --create-home --shell /bin/bash bob")
        self.person("bob", "oneknock enrol >string.txt")
        said = self.run(f'oneknock-keygen add bob --allow ssh --for "$(cat /home/bob/string.txt)" -o /root/{SEALED}')
        self.run(f"install -m 644 /root/{SEALED} /home/bob && rm /root/{SEALED}")
        self.import_at_terminal("bob", _words(said))
        self.expect_closed()
        self.person("bob", "oneknock open home ssh --wait")
        expect(self.can_connect(), "a knock does not open")
        self.person("bob", "oneknock close home ssh")
        self.wait_until(lambda: not self.can_connect(), "the port to be closed again")

    def step_root(self):
        """`oneknock rotate home --via root@SERVER` brings the next key by ssh, and the client uses it."""
        self.alice("oneknock rotate home --via root@10.77.0.1")
        self.expect_generation(2)

    def step_password(self):
        """At a server where sudo asks for a password, that changes nothing, and says so; with the password typed at a terminal,
        `sudo oneknock-keygen rotate --for` makes the next key."""
        self.run("useradd --create-home --shell /bin/bash --groups sudo carol && echo carol:secret | chpasswd"
                 " && install -d -o carol -m 700 /home/carol/.ssh"
                 " && install -o carol -m 600 /home/alice/.ssh/id_ed25519.pub /home/carol/.ssh/authorized_keys")
        status, said = self.alice("oneknock rotate home --via carol@10.77.0.1", check=False)
        expect(status == 69, f"exit {status}\n{said}")
        expect_in("sudo: a password is required", said)
        expect_in("sudoers", said)
        self.expect_generation(2)
        self.alice("oneknock enrol >string.txt && oneknock open home ssh --wait")
        self.person_at_terminal("alice", "ssh -t carol@10.77.0.1 'sudo oneknock-keygen rotate laptop --for"
                                f" '$(cat string.txt)' -o - >{SEALED}'")
        self.answer("password for carol", "secret")
        words = _words(self.terminal_ends())
        self.alice(f"scp -q carol@10.77.0.1:{SEALED} .")
        self.import_at_terminal("alice", words)
        self.expect_generation(3)

    def step_sudo(self):
        """With the two lines of operations.md in /etc/sudoers.d, `oneknock rotate home --via carol@SERVER` needs no password, and
        carol may do nothing else without one."""
        self.run(f"umask 337 && echo '{_lines_for_sudo()}' >/etc/sudoers.d/oneknock && visudo -c")
        self.alice("oneknock rotate home --via carol@10.77.0.1")
        self.expect_generation(4)
        string = self.alice("oneknock enrol 2>/dev/null")[1].strip()
        for command in ("list", "show bob --dir /etc/oneknock --json", f"rotate bob --dir /etc/oneknock --for {string} -o -",
                        f"rotate laptop --dir /etc/oneknock --for {string} -o /root/other -o -"):
            said = self.machine.ask(f"runuser -l carol -c 'sudo -n oneknock-keygen {command}'")[1]
            expect_in("sudo: a password is required", said)

    # --- what they share --------------------------------------------------------------------------------------------

    def import_at_terminal(self, name, words):
        self.person_at_terminal(name, f"oneknock import {SEALED}")
        self.shown(words)
        self.answer("Are they the same?", "yes")
        expect_in("next: oneknock open home ssh", self.terminal_ends())

    def expect_generation(self, number):
        """Here and at the server; a knock with it opens."""
        with_key = self.alice("cat .config/oneknock/home.json")[1]
        expect(json.loads(with_key)["client"]["generation"] == number, "the client has another generation")
        shown = json.loads(self.run("oneknock-keygen show laptop --json"))
        expect(shown["generation"] == number, f"the server has generation {shown['generation']}")
        self.knock_and_log_in()
        self.expect_closed()


def _words(text):
    return re.search(r"words: ((?:[a-z]{4} ){6}[a-z]{4})", text)[1]


def _lines_for_sudo():
    """As they stand in operations.md, and in the manual page."""
    with open(os.path.join(ROOT, "docs", "operations.md"), encoding="utf-8") as file:
        lines = re.findall(r"(?m)^    (carol ALL=.*)$", file.read())
    with open(os.path.join(ROOT, "docs", "man", "oneknock.1.scd"), encoding="utf-8") as file:
        expect_in("\n".join(lines), file.read())
    expect(len(lines) == 2, f"two lines are not in operations.md: {lines}")
    return "\n".join(lines)
