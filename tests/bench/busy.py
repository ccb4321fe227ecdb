"""Knocks at a busy server: as many programs as are given compute without a pause, on all processors.

A knock's time is the daemon's own account, as in clients.py. The client is a program on the same machine, which the load slows
down as well; so it knocks once like any other program, and once before all others (SCHED_RR), as if it were on a machine of its
own. With "scheduling" as it is by default, and "normal".

    ONEKNOCK_BIN=build/bench/bin python3 tests/bench/busy.py [LOAD]        as root; a minute
"""

import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import time

from clients import knock_ms
from contestants import Oneknock
from harness import Network
from knocks import Bench

LOAD = 12  # programs
KNOCKS = 200
AHEAD = ["chrt", "--rr", "1"]


@contextlib.contextmanager
def load(programs):
    running = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(programs)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


class Scheduled(Oneknock):
    """With "scheduling" in oneknockd.json, and a client that goes ahead or not."""

    client_ahead = False

    def schedule(self, scheduling):
        self.daemon.stop()
        self.door.configure(scheduling=scheduling)
        self.daemon.__init__(self.net, self.server, self.door)
        self.process = self.daemon.process

    def command(self, namespace=None):
        return (AHEAD if self.client_ahead else []) + super().command(namespace)


def of_times(times):
    return {"knocks": len(times), "median_ms": statistics.median(times), "p90_ms": statistics.quantiles(times, n=10)[-1], "most_ms": max(times)}


def measure_one(door):
    times = []
    for _ in range(KNOCKS):
        time.sleep(random.uniform(0, 0.02))  # at any point of the load's time slices
        times.append(knock_ms(door))
    return of_times(times)


def measure():
    rows = []
    with Network() as net, Bench(net).contestant(Scheduled) as door:
        for scheduling in ("realtime", "normal"):
            door.schedule(scheduling)
            for programs, door.client_ahead in ((0, False), (LOAD, True), (LOAD, False)):
                with load(programs):
                    rows.append({"scheduling": scheduling, "load": programs, "client_ahead": door.client_ahead, **measure_one(door)})
                print(json.dumps(rows[-1]), flush=True)
    return {"rows": rows, "processors": os.cpu_count()}


if __name__ == "__main__":
    LOAD = int(sys.argv[1]) if len(sys.argv) > 1 else LOAD
    measure()
