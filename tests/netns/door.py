"""A door's keys and configuration, its daemon, and knocks, through the programs themselves."""

import json
import os
import signal

from harness import PATIENCE, NetworkTest, eventually, program, run
from traffic import Service

READY = r"^ready:"


class Door:
    """The folder that `oneknock-keygen init` makes, with state folder and socket inside the network's folder."""

    def __init__(self, net, address, services=("ssh=tcp/22", "web=tcp/80"), name="home", span="1024-65535", **configuration):
        """`configuration`: fields of oneknockd.json."""
        self.folder = net.path(name)
        self.state = net.path(name + "-state")
        self.socket = net.path(name + ".sock")
        self.config = os.path.join(self.folder, "oneknockd.json")
        self._keys = net.path(name + "-keys")
        os.mkdir(self._keys)
        run(program("oneknock-keygen"), "init", "--dir", self.folder, "--name", name, "--address", address, "--state",
            self.state, "--socket", self.socket, "--span", span, *(word for service in services for word in ("--service", service)))
        if configuration:
            self.configure(**configuration)

    def configure(self, **fields):
        """Replaces fields of oneknockd.json."""
        change_json(self.config, lambda content: content.update(fields))

    def add(self, client, *options, allow=("ssh",)):
        """Adds a client; the path of its key file."""
        key = os.path.join(self._keys, client + ".json")
        run(program("oneknock-keygen"), "add", "--dir", self.folder, client, "-o", key, *options,
            *(word for service in allow for word in ("--allow", service)))
        return key

    def revoke(self, client, check=True):
        run(program("oneknock-keygen"), "revoke", "--dir", self.folder, client, check=check)

    def unrevoke(self, client, check=True):
        run(program("oneknock-keygen"), "unrevoke", "--dir", self.folder, client, check=check)


def change_json(path, change):
    """Rewrites a JSON file; its mode stays as it is."""
    with open(path) as file:
        content = json.load(file)
    change(content)
    with open(path, "w") as file:
        json.dump(content, file)


def key_for(key, address, to):
    """A copy of a key file at the path `to`, for another address of its door."""
    with open(key) as file:
        content = json.load(file)
    content["door"]["address"] = address
    with open(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)
    return to


class Daemon:
    """oneknockd in a namespace, started and ready."""

    def __init__(self, net, namespace, door, *options, env=None, ready=READY, within=()):
        """`within`: the words of a program that becomes the daemon."""
        self.namespace = namespace
        self.door = door
        self.process = net.start(namespace, *within, program("oneknockd"), "--config", door.config, *options, env=env)
        self.process.wait_for(ready)

    @property
    def log(self):
        return self.process.log

    def wait_for(self, pattern, times=1, timeout=PATIENCE):
        return self.process.wait_for(pattern, times, timeout)

    def ctl(self, *words, check=True):
        return run(program("oneknockctl"), "--socket", self.door.socket, *words, check=check)

    def status(self):
        return json.loads(self.ctl("status", "--json").stdout)

    def accepted(self):
        return self.status()["accepted"]

    def refused(self):
        """The counts that are not zero, by reason; without junk, which tests of their own count."""
        return {reason: count for reason, count in self.status()["refused"].items() if count and reason != "unknown-key"}

    def junk(self):
        return self.status()["refused"]["unknown-key"]

    def grants(self):
        return json.loads(self.ctl("grants", "--json").stdout)["grants"]

    def elements(self):
        """The grants as the kernel has them: (address, protocol, port, seconds that remain)."""
        return elements(self.namespace)

    def rooms(self):
        """Process ids by the names firewall, listener and gatekeeper."""
        return rooms(self.process.pid)

    def stop(self):
        """As the service manager does; the exit code."""
        return self.process.stop(signal.SIGTERM)

    def kill(self):
        """Ends all three processes at once, as a power cut would."""
        pids = self.rooms().values()
        # Stopped first: one that saw another's end would end in order, its files closed.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass  # it went with the first one
        self.process.wait()
        eventually(lambda: not any(map(is_running, pids)), "the rooms to be gone")


class PlainHouse(NetworkTest):
    """A client, a server with a service on tcp 22, and a running daemon with a key for "alice"."""

    def build(self):
        net = self.net
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", ["10.77.0.1/24"], self.client, "c0", ["10.77.0.2/24"])
        net.keep(Service(self.server, 22), Service.stop)
        self.door = Door(net, "10.77.0.1")
        self.key = self.door.add("alice")
        self.daemon = Daemon(net, self.server, self.door)


class BothFamilies(NetworkTest):
    """A client and a server with an IPv4 and an IPv6 address each, services on tcp 22 and 80, and a running daemon that
    has no client yet.

      client  10.77.0.2, fd77::2   c0 ---- s0   10.77.0.1, fd77::1  server
    """

    def build(self):
        net = self.net
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", ["10.77.0.1/24", "fd77::1/64"], self.client, "c0", ["10.77.0.2/24", "fd77::2/64"])
        net.keep(Service(self.server, 22, 80), Service.stop)
        self.door = Door(net, "10.77.0.1")
        self.daemon = Daemon(net, self.server, self.door)


def rooms(parent):
    """Process ids by the names firewall, listener and gatekeeper, of the daemon with this process id."""
    found = {"firewall": parent}
    with open(f"/proc/{parent}/task/{parent}/children") as file:
        for pid in file.read().split():
            with open(f"/proc/{pid}/comm") as name:
                found[name.read().strip().removeprefix("okd-")] = int(pid)
    return found


def status_of(pid):
    """The fields of /proc/PID/status."""
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def is_running(pid):
    """Whether there is such a process, and not only its body."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def elements(namespace, sets=("granted4", "granted6"), table=("inet", "oneknock")):
    found = []
    for name in sets:
        told = namespace.run("nft", "-j", "list", "set", *table, name, check=False)
        if told.returncode != 0:
            continue
        for item in json.loads(told.stdout)["nftables"]:
            for element in item.get("set", {}).get("elem", []):
                address, protocol, port = element["elem"]["val"]["concat"]
                protocol = {"6": "tcp", "17": "udp"}.get(str(protocol), protocol)  # without /etc/protocols nft prints numbers
                found.append((address, protocol, port, element["elem"]["expires"]))
    return found


def knock(namespace, key, service="ssh", *options, operation="open", check=True, env=None):
    """`oneknock open KEY SERVICE OPTIONS...`; what it printed and its exit code."""
    return namespace.run(program("oneknock"), operation, key, service, *options, check=check, env=env)


def close(namespace, key, service="ssh", *options, **more):
    return knock(namespace, key, service, *options, operation="close", **more)
