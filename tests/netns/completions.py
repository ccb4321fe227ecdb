"""What bash and zsh offer, asked of the shells themselves; and that every help fits a terminal. Without a network.

The completions are those that the build has made beside the programs.
"""

import os
import pty
import re
import select
import shutil
import signal
import time
import unittest

from door import Door
from harness import BIN, PATIENCE, Network, main, program, run

BIN_FOLDER = os.path.abspath(BIN)
MADE = os.path.join(os.path.dirname(BIN_FOLDER), "docs", "completions")
PROGRAMS = ("oneknock", "oneknock-keygen", "oneknockctl", "oneknockd")
COLUMNS = 80

BASH = r"""
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
spec=$(complete -p "$(basename "$1")") && function=${spec##*-F } && ${function%% *}
printf '%s\n' "${COMPREPLY[@]}"
"""

LINES = (("oneknock connect of", "oneknock connect office"), ("oneknock open home v", "oneknock open home vpn"),
         ("oneknockd --che", "oneknockd --check-config"))


def typed(argv, preparation, line, wanted, env):
    """Whether a shell on a terminal, prepared by a line, makes `wanted` of `line` and a tab; what it wrote otherwise."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, {**os.environ, **env, "TERM": "xterm", "PS1": "", "COLUMNS": "200"})
    text = ""

    def wait_for(what):
        nonlocal text
        end = time.monotonic() + PATIENCE
        while what not in text and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                text += re.sub(r"\x1b[\[(][0-9;?]*[A-Za-z]|[\x07\x08]", "", os.read(terminal, 65536).decode(errors="replace"))
        return what in text

    try:
        os.write(terminal, f"{preparation}; echo RE''ADY\n".encode())
        if not wait_for("READY"):
            return text
        text = ""
        os.write(terminal, line.encode() + b"\t")
        return wait_for(wanted) or text
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


class Completions(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.net = Network()
        self.addCleanup(self.net.remove)
        self.door = Door(self.net, "10.77.0.1", services=["ssh=tcp/22", "vpn=udp/1194"])
        self.key = self.door.add("alice", allow=("ssh", "vpn"))
        self.door.add("bob")
        self.env = {"XDG_CONFIG_HOME": self.net.path("config"), "PATH": BIN_FOLDER + ":" + os.environ["PATH"]}
        for name in ("home", "office"):
            run(program("oneknock"), "import", "--as", name, self.key if name == "home" else self.door.add("carol"), env=self.env)

    def in_bash(self, *words):
        name = os.path.basename(words[0])
        told = run("bash", "--norc", "-c", BASH, "bash", os.path.join(MADE, "bash", name), *words, env=self.env).stdout
        return told.split()

    def test_bash_offers_commands_doors_services_and_options_of_oneknock(self):
        for words, offered in ((("op",), ["open"]), (("open", ""), ["home", "office"]), (("open", "of"), ["office"]),
                               (("open", "home", ""), ["ssh", "vpn"]), (("open", "office", ""), ["ssh"]),
                               (("run", "home", "v"), ["vpn"]), (("run", "home", "vpn", "--", ""), []),
                               (("open", "--via", ""), ["udp", "tcp"]), (("open", "--via", "=", "u"), ["udp"]),
                               (("open", "home", "--dry"), ["--dry-run"]), (("set", "home", "vi"), ["via="]),
                               (("connect", "home", "--fd"), ["--fdpass"]), (("ssh-config", "home", "--in"), ["--install"]),
                               (("import", ""), [])):
            self.assertEqual(self.in_bash("oneknock", *words), offered, words)
        commands = self.in_bash("oneknock", "")
        listed = re.findall(r"^  ([a-z-]+)  ", run(program("oneknock"), "--help").stdout.split("Subcommands:")[1], re.M)
        self.assertEqual(commands, listed)
        self.assertNotIn("--complete", self.in_bash("oneknock", "--"))

    def test_bash_offers_clients_and_services_of_the_server(self):
        folder, config = ("--dir", self.door.folder), ("--config", self.door.config)
        for words, offered in ((("oneknock-keygen", "show", *folder, ""), ["alice", "bob", "carol"]),
                               (("oneknock-keygen", "revoke", "--dir", "=", self.door.folder, "b"), ["bob"]),
                               (("oneknock-keygen", "allow", *folder, "bob", ""), ["ssh", "vpn"]),
                               (("oneknock-keygen", "allow", *folder, "bob", "ssh", "v"), ["vpn"]),
                               (("oneknock-keygen", "add", *folder, "dave", "--allow", ""), ["ssh", "vpn"]),
                               (("oneknock-keygen", "add", "--source", "o"), ["observed"]),
                               (("oneknock-keygen", "service", ""), ["add", "remove", "list"]),
                               (("oneknockctl", "audit", *config, "--client", "a"), ["alice"]),
                               (("oneknockctl", "audit", *config, "--service", ""), ["ssh", "vpn"]),
                               (("oneknockctl", "audit", "--decision", "a"), ["accepted"]),
                               (("oneknockctl", "status", "--format", "p"), ["prometheus"]),
                               (("oneknockd", "--che"), ["--check-config"])):
            self.assertEqual(self.in_bash(*words), offered, words)

    def test_bash_completes_a_line_that_is_typed(self):
        load = "; ".join(f". {MADE}/bash/{name}" for name in PROGRAMS)
        for line, completed in LINES:
            self.assertEqual(typed(["bash", "--norc", "-i"], load, line, completed, self.env), True, line)

    def test_zsh_completes_a_line_that_is_typed(self):
        if not shutil.which("zsh"):
            self.skipTest("zsh is not installed")
        load = f"fpath=({MADE}/zsh $fpath); autoload -Uz compinit; compinit -u -d {self.net.path('dump')}"
        for line, completed in LINES:
            self.assertEqual(typed(["zsh", "-f", "-i"], load, line, completed, self.env), True, line)

    def test_every_help_fits_a_terminal(self):
        seen = 0
        for name in PROGRAMS:
            left = [()]
            while left:
                words = left.pop()
                text = run(program(name), *words, "--help").stdout
                seen += 1
                for line in text.splitlines():
                    self.assertLessEqual(len(line), COLUMNS, (name, *words))
                listed = text.split("Subcommands:")[1] if "Subcommands:" in text else ""
                left += [(*words, command) for command in re.findall(r"^  ([a-z-]+)  ", listed.split("Examples:")[0], re.M)]
        self.assertGreaterEqual(seen, 4 + 13 + 14 + 6)


if __name__ == "__main__":
    main()
