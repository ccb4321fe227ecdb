"""A hundred thousand clients, a file each: how long the daemon takes to load them, what memory it needs, and how long a
reload keeps a knock waiting.

A knock's time is the daemon's own account: from its first packet, by the kernel's clock, to the element in the kernel. One
knock follows the other; those that begin during a reload count.

    ONEKNOCK_BIN=build/bench/bin python3 tests/bench/clients.py [CLIENTS]        as root; about a minute and a half
"""

import base64
import json
import os
import signal
import statistics
import sys
import threading
import time

from contestants import Oneknock
from harness import Network
from knocks import Bench, private_memory

CLIENTS = 100_000
RELOADS = {"nothing_changed": 10, "one_changed": 10, "all_touched": 3, "all_new": 1}
KNOCKS_AT_REST = 100
SETTLED = 2.5  # seconds: files that changed less than two ago are read again by the next load


class ManyClients(Oneknock):
    """With many clients beside the one that knocks."""

    def _start(self):
        started = super()._start()
        self.daemon.stop()
        self.folder = os.path.join(self.door.folder, "clients.d")
        with open(os.path.join(self.folder, "laptop.json")) as file:
            self._pattern = json.load(file)
        self.names = [f"client-{number:06}" for number in range(CLIENTS - 1)]
        for name in self.names:
            self.write(name)
        time.sleep(SETTLED)
        return started

    def write(self, name):
        """A client's file, with a new secret: complete under another name first, as oneknock-keygen does it."""
        self._pattern["name"] = name
        self._pattern["generations"][0]["secret"] = base64.b64encode(os.urandom(32)).decode()
        path = os.path.join(self.folder, name + ".json")
        with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            json.dump(self._pattern, file)
        os.rename(path + ".new", path)

    def touch_all(self):
        for name in self.names:
            os.chmod(os.path.join(self.folder, name + ".json"), 0o600)

    def renew_all(self):
        """While the daemon's parent is stopped: it would read them in many small reloads."""
        os.kill(self.process.pid, signal.SIGSTOP)
        for name in self.names:
            self.write(name)
        os.kill(self.process.pid, signal.SIGCONT)

    def start(self):
        """Seconds from the start of the program until it is ready."""
        begun = time.monotonic()
        self.daemon.__init__(self.net, self.server, self.door)
        self.process = self.daemon.process
        return time.monotonic() - begun


def knock_ms(door):
    """How long one knock takes the daemon."""
    before = door.daemon.status()["times"]["total"]
    door.knock()
    end = time.monotonic() + 10
    while (after := door.daemon.status()["times"]["total"])["count"] == before["count"]:
        assert time.monotonic() < end, "a knock did not open"
        time.sleep(0.002)
    return (after["sum_ns"] - before["sum_ns"]) / 1e6


def locked_bytes(pids):
    """What is locked: for secrets alone."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith("VmLck")) * 1024
    return total


def processor_seconds(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def of_knocks(times):
    return {"knocks": len(times), "median_ms": statistics.median(times), "most_ms": max(times)}


def during_reloads(door, number, change):
    """Seconds of a reload, and milliseconds of the knocks that began during one. What changes the files, and the disk's work
    behind that, is over before."""
    reloads, knocks = [], []
    for turn in range(number):
        change(turn)
        os.sync()
        asked = threading.Thread(target=lambda: door.daemon.ctl("reload"))
        begun = time.monotonic()
        asked.start()
        while asked.is_alive():
            knocks.append(knock_ms(door))
        reloads.append(time.monotonic() - begun)
    return {"reload_s": statistics.median(reloads), **of_knocks(knocks)}


def measure():
    with Network() as net:
        bench = Bench(net)
        with bench.contestant(ManyClients) as door:
            figures = {"clients": CLIENTS, "load_s": door.start()}
            pids = door.pids()
            figures |= {"load_processor_s": processor_seconds(pids), "private_bytes": private_memory(pids),
                        "locked_bytes": locked_bytes(pids)}
            figures["at_rest"] = of_knocks([knock_ms(door) for _ in range(KNOCKS_AT_REST)])
            for kind, change in (("nothing_changed", lambda turn: None), ("one_changed", lambda turn: door.write(door.names[turn])),
                                 ("all_touched", lambda turn: door.touch_all()), ("all_new", lambda turn: door.renew_all())):
                figures[kind] = during_reloads(door, RELOADS[kind], change)
            figures["private_bytes_after"] = private_memory(pids)
    print(json.dumps(figures, indent=1), flush=True)
    return figures


if __name__ == "__main__":
    CLIENTS = int(sys.argv[1]) if len(sys.argv) > 1 else CLIENTS
    measure()
