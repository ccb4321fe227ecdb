"""What steps ask of the machine: its units, its daemon, and whether a client next to it reaches ssh."""

import json
import shlex
import time

from steps import expect

CONFIG = "/etc/oneknock/oneknockd.json"
LAN = "/usr/local/sbin/lan"
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=5"


class Server:
    def __init__(self, machine):
        self.machine = machine
        self.run = machine.run

    def install(self, *files):
        return self.run("DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "
                        + " ".join(f"/mnt/{file}" for file in files))

    def unit(self, field, name="oneknockd.service"):
        return self.run(f"systemctl show -p {field} --value {name}").strip()

    def is_active(self, name="oneknockd.service"):
        return self.unit("ActiveState", name) == "active"

    def wait_until(self, condition, what, seconds=120):
        end = time.monotonic() + seconds
        while not condition():
            expect(time.monotonic() < end, f"in vain for {seconds} s: {what}")
            time.sleep(0.5)

    def status(self):
        return json.loads(self.run("oneknockctl status --json"))

    def tables(self):
        return self.run("nft list tables")

    def journal(self, *words):
        """Entries of this boot as objects."""
        told = self.run(f"journalctl -b -o json --no-pager {' '.join(words)}")
        return [json.loads(line) for line in told.splitlines() if line.startswith("{")]

    # --- a terminal, and whoever types there ------------------------------------------------------------------------

    def at_terminal(self, command):
        typing = f"exec script -qefc {shlex.quote(command)} /run/shown <>/run/typed >/dev/null"
        self.run("rm -f /run/typed /run/shown && mkfifo /run/typed && systemd-run --quiet --collect --unit typist sh -c "
                 + shlex.quote(typing))

    def person_at_terminal(self, name, command):
        self.at_terminal(f"ip netns exec lan runuser -l {name} --session-command {shlex.quote(command)}")

    def shown(self, pattern):
        self.machine.until(f"tr -d '\\r' </run/shown | grep -q {shlex.quote(pattern)}")

    def answer(self, question, answer):
        self.shown(question)
        self.run(f"echo {shlex.quote(answer)} >/run/typed")

    def type(self, keys):
        """In printf(1)'s words, such as \\t."""
        self.run(f"printf '{keys}' >/run/typed")

    def terminal_ends(self):
        """What was shown."""
        self.machine.until("! systemctl is-active -q typist")
        return self.run("tr -d '\\r' </run/shown")

    # --- the client in its network ----------------------------------------------------------------------------------

    def alice(self, command, check=True):
        return self.person("alice", command, check)

    def person(self, name, command, check=True):
        status, said = self.machine.ask(f"ip netns exec lan runuser -l {name} -c {shlex.quote(command)}")
        if check:
            expect(status == 0, f"{name}: {command}: exit {status}\n{said}")
        return status, said

    def can_connect(self, port=22):
        """Whether a stranger's connection, to ssh unless said otherwise, is accepted."""
        status, _ = self.machine.ask(f"timeout 10 ip netns exec lan bash -c 'exec 3<>/dev/tcp/10.77.0.1/{port}'")
        return status == 0

    def expect_closed(self):
        expect(not self.can_connect(), "ssh can be reached without a knock")

    def close(self):
        self.alice("oneknock close home ssh")
        self.wait_until(lambda: not self.can_connect(), "the port to be closed again")

    def knock_and_log_in(self):
        """As operations.md says; leaves no grant behind."""
        said = self.alice(f"oneknock open home ssh --wait && {SSH} root@10.77.0.1 echo logged in")[1]
        expect("logged in" in said, said)
        self.close()

    def expect_that_knocks_open(self):
        """And nothing else does. The port alone is looked at."""
        self.expect_closed()
        self.alice("oneknock open home ssh --wait")
        expect(self.can_connect(), "a knock does not open")
        self.close()
