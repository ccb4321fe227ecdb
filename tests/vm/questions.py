"""What the programs answer when something is asked: doctor, explain, audit, status --watch, and the Tab key."""

import json

from server import Server
from steps import expect, expect_in


class Asked(Server):
    """Asked and explained"""

    def step_doctor(self):
        """`oneknock doctor home` on the client and `oneknockd --check-config` on the server find each step in order."""
        self.expect_closed()
        found = json.loads(self.alice("oneknock doctor home --json")[1])["checks"]
        failed = [check for check in found if check["verdict"] == "failed"]
        expect(found[-1]["check"] == "knock" and not failed, found)
        self.close()
        said = self.run("oneknockd --check-config --json")
        expect(not [check for check in json.loads(said)["checks"] if check["verdict"] == "failed"], said)

    def step_doctor_of_what_is_broken(self):
        """With the daemon stopped, `oneknock doctor home` says that the knock is the step that fails, and what may be wrong."""
        self.run("systemctl stop oneknockd")
        status, said = self.alice("oneknock doctor home --wait=2s", check=False)
        self.run("systemctl start oneknockd")
        expect(status == 75, f"exit {status}\n{said}")
        expect_in("did not open within 2s", said)

    def step_explain(self):
        """`oneknock open home ssh --dry-run | oneknock explain home` takes the knock apart."""
        said = self.alice("oneknock open home ssh --for 5m --dry-run | oneknock explain home")[1]
        for part in ("open", "tcp/22", "10.77.0.2", "300 s"):
            expect_in(part, said)

    def step_audit(self):
        """`oneknockctl audit` tells who opened what, from where, and finds it again by client, service and decision."""
        self.alice("oneknock open home ssh --wait")
        self.close()
        listed = self.run("oneknockctl audit --client laptop --service ssh --decision accepted --since 1d --json").splitlines()
        last = [json.loads(line) for line in listed][-2:]
        expect([(line["operation"], line["source"]) for line in last] == [("open", "10.77.0.2"), ("close", "10.77.0.2")], last)
        expect_in("accepted", self.run("oneknockctl audit --since 1d"))
        expect(self.run("oneknockctl audit --client nobody --json").strip() == "", "nobody has opened something")

    def step_watch(self):
        """`oneknockctl status --watch`, at a terminal, is redrawn in place until Ctrl-C."""
        self.at_terminal("oneknockctl status --watch")
        self.shown("home, up")
        first = self.run("grep -c home, /run/shown").strip()
        self.machine.until(f"test $(grep -c home, /run/shown) -gt {first}")
        self.type("\\003")
        expect_in("\033[H", self.terminal_ends())

    def step_completions(self):
        """In bash, the Tab key completes the command, the door and the service."""
        self.person_at_terminal("alice", "bash -i")
        self.shown("alice@server")
        for typed, shown in (("oneknock op\\t", "oneknock open "), ("h\\t", "home "), ("s\\t", "ssh ")):
            self.type(typed)
            self.shown(shown)
        self.shown("oneknock open home ssh ")
        self.type("\\025exit\\n")  # Ctrl-U: nothing of that line
        self.terminal_ends()
