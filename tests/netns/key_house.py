"""A house of three clients, laptop, desk and phone, whose key files are what the tests are about.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; services on tcp 22 and 80)
"""

import json
import os
import time

from door import Daemon, Door, knock
from harness import NetworkTest, eventually, program, run
from traffic import CLOSED, OPEN, Service, attempt

ADDRESS = "10.77.0.1"
DATA = 65



def replace_text(path, change):
    """In one step, as keygen and editors do; the mode stays 0600."""
    with open(path) as file:
        text = change(file.read())
    new = os.path.join(os.path.dirname(path), ".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    os.rename(new, path)


def edit(path, **fields):
    replace_text(path, lambda text: json.dumps({**json.loads(text), **fields}))


class KeyHouse(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", [f"{ADDRESS}/24"], self.client, "c0", ["10.77.0.2/24"])
        for port in (22, 80):
            net.keep(Service(self.server, port), Service.stop)
        self.door = Door(net, ADDRESS)
        self.clients = os.path.join(self.door.folder, "clients.d")
        self.keys = {name: self.door.add(name, allow=("ssh", "web")) for name in ("laptop", "desk", "phone")}

    def start(self):
        self.daemon = Daemon(self.net, self.server, self.door)

    def restart(self):
        self.assertEqual(self.daemon.stop(), 0)
        self.start()

    def path(self, name):
        return os.path.join(self.clients, name + ".json")

    def opens(self, name, service="ssh"):
        """Whether a knock of this client opens the service; closes it again."""
        before = self.daemon.status()
        knock(self.client, self.keys[name], service, "--for", "60s")
        judged = lambda status: status["accepted"] + sum(status["refused"].values())
        eventually(lambda: judged(self.daemon.status()) > judged(before), f"the knock of {name} to be judged")
        accepted = self.daemon.accepted() > before["accepted"]
        port = 22 if service == "ssh" else 80
        self.assertEqual(attempt(self.client, ADDRESS, port), OPEN if accepted else CLOSED)
        self.daemon.ctl("revoke", "--all")
        eventually(lambda: not self.daemon.elements(), "the port to be closed again")
        return accepted

    def wrong(self):
        """The files that are wrong: what status says of them."""
        return self.daemon.status()["key_files"]

    def await_out(self, name):
        """Within the time that is promised."""
        began = time.monotonic()
        eventually(lambda: not self.daemon.elements(), f"what {name} has opened to be closed")
        self.assertFalse(self.opens(name))
        return time.monotonic() - began

    def keygen(self, *words, check=True):
        return run(program("oneknock-keygen"), words[0], "--dir", self.door.folder, *words[1:], check=check)
