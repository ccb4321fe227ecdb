"""What steps ask of the machine: its units, its daemon, and whether a client next to it reaches ssh."""

import json
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

    # --- the client in its network ----------------------------------------------------------------------------------

    def alice(self, command, check=True):
        status, said = self.machine.ask(f"{LAN} {_quoted(command)}")
        if check:
            expect(status == 0, f"alice: {command}: exit {status}\n{said}")
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


def _quoted(command):
    return "'" + command.replace("'", "'\\''") + "'"
