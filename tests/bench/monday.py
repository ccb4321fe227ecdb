"""Monday morning: many clients knock at a steady rate, each with an address (and with oneknock a key) of its own. How many
are let in and how soon, what a knock costs the daemon, how often it waits for the disk.

crowd.cpp makes the packets of all clients and hears from the kernel when each is let in; it is one process on the same
machine, so that above a thousand knocks a second it takes a processor of its own. Each client makes one pass.

    ONEKNOCK_BIN=build/bench/bin python3 monday.py [--only NAME] [--rates N,...] [--clients N]    as root; two minutes
"""

import argparse
import base64
import contextlib
import ipaddress
import json
import os
import subprocess

import contestants
from floods import cpu_seconds
from frames import mac_of
from harness import Network, program, run
from knocks import SERVER, Bench, summary
from stages import Trace

CLIENTS, MANY = 2_000, 100_000
FIRST = ipaddress.ip_address("10.96.0.1")
NETWORK = "10.96.0.0/12"
RATES = {"oneknock": (100, 500, 1_000, 1_500, 2_000), "knockd": (10, 50, 100), "fwknop": (10, 50, 100)}
TIME = 2.0  # seconds of knocks at a rate, as far as there are clients
SYNCS = [f"syscalls:sys_enter_{call}" for call in ("fdatasync", "fsync")]
SOURCE_PORT = 40_000


def address(number):
    return str(FIRST + number)


class Oneknock(contestants.Oneknock):
    """With `clients` files in clients.d, and key files of those that knock."""

    clients = CLIENTS

    def _start(self):
        started = super()._start()
        self._keys = [self.add(number) for number in range(self.clients)]
        self.daemon.ctl("reload")
        return started

    def add(self, number):
        """What `oneknock-keygen add` would write, in a hundredth of the time; the path of the key file."""
        name, secret = f"client-{number:06}", base64.b64encode(os.urandom(32)).decode()
        self._copy(os.path.join(self.door.folder, "clients.d", "laptop.json"), os.path.join(self.door.folder, "clients.d", name + ".json"),
                   lambda file: (file.update(name=name), file["generations"][0].update(secret=secret)))
        if number >= CLIENTS:
            return None
        key = self.path(name + ".json")
        self._copy(self.key, key, lambda file: file["client"].update(name=name, secret=secret))
        return key

    @staticmethod
    def _copy(path, to, change):
        with open(path) as file:
            content = json.load(file)
        change(content)
        with open(os.open(to, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            json.dump(content, file)

    def plan(self, number):
        return run(program("plan"), address(0), *self._keys[:number]).stdout

    def dropped(self):
        return self.daemon.status()["capture"]["dropped"]


class ManyClients(Oneknock):
    clients = MANY


class Knockd(contestants.Knockd):
    def plan(self, number):
        packets = " ".join(f"tcp/{SOURCE_PORT}/{port}" for port in self.sequence)
        return "".join(f"{address(i)} {packets}\n" for i in range(number))


class Fwknop(contestants.Fwknop):
    def plan(self, number):
        return "".join(f"{address(i)} udp/{SOURCE_PORT}/62201/{self._packet(address(i))}\n" for i in range(number))

    def _packet(self, source):
        saved = self.path("packet")
        with contextlib.suppress(FileNotFoundError):
            os.remove(saved)
        run(*self.command()[:-1], source, "--test", "--save-packet", saved)
        with open(saved, "rb") as file:
            return file.read().strip().hex()


ALL = (Oneknock, Knockd, Fwknop)


def route_crowd(bench):
    """The crowd's answers go where they came from, and nobody asks for hardware addresses."""
    bench.server.ip(f"route add {NETWORK} via 10.77.0.2 dev s0")


def knock_all(bench, plan, rate):
    """{"sending": seconds, "took": seconds, "seconds": [of each client, or None]}"""
    with bench.client:
        done = subprocess.run([program("crowd"), "--interface", "c0", "--to-mac", mac_of(bench.server, "s0"), "--to", SERVER,
                               "--namespace", f"/run/netns/{bench.server.name}", "--rate", str(rate)],
                              input=plan, stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


def comm_of(pid):
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()


def at_rate(bench, contestant, trace, rate):
    number = min(int(rate * TIME), CLIENTS)
    plan, pids = contestant.plan(number), contestant.pids()
    names = {comm_of(pid) for pid in pids}
    before, dropped = cpu_seconds(pids), contestant.dropped() if hasattr(contestant, "dropped") else None
    with trace or contextlib.nullcontext():
        told = knock_all(bench, plan, rate)
    spent = cpu_seconds(pids) - before
    of = summary(told["seconds"])
    opened = of["runs"] - of["failed"]
    found = {"rate": rate, "sent_a_second": number / told["sending"], "knocks": number, "opened": opened,
             "opened_a_second": opened / told["took"] if opened else 0, "median_ms": of.get("median_ms"), "p99_ms": of.get("p99_ms"),
             "processor_ms": 1000 * spent / max(1, opened), "dropped": None if dropped is None else contestant.dropped() - dropped,
             "syncs": sum(event["comm"].strip() in names for event in trace.events()) / max(1, opened) if trace else None}
    contestant.close()
    print(contestant.name, {name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()}, flush=True)
    return found


def tracing(net):
    """Where the kernel can."""
    try:
        return net.keep(Trace(SYNCS), Trace.remove)
    except OSError:
        return None


def measure_one(kind, rates):
    with Network() as net:
        bench = Bench(net)
        route_crowd(bench)
        trace = tracing(net)
        with bench.contestant(kind) as contestant:
            return [at_rate(bench, contestant, trace, rate) for rate in rates]


def measure():
    found = {kind.name: measure_one(kind, RATES[kind.name]) for kind in ALL}
    return {**found, "many": measure_one(ManyClients, (1_000,))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="oneknock", help="oneknock, knockd, fwknop")
    parser.add_argument("--rates", type=lambda text: [int(word) for word in text.split(",")])
    parser.add_argument("--clients", type=int, default=CLIENTS, help="of oneknock; at most 2000 of them knock")
    chosen = parser.parse_args()
    Oneknock.clients = chosen.clients
    kind = next(kind for kind in ALL if kind.name == chosen.only)
    measure_one(kind, chosen.rates or RATES[chosen.only])


if __name__ == "__main__":
    main()
