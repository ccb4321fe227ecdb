"""Where the time of a knock goes, from the start of the client to the connection: the moments of one knock after the other, as
the kernel's own trace has them. Tracing costs a little, so this is measured apart from the latency, which has no trace.

    ONEKNOCK_BIN=build/bench/bin python3 tests/bench/stages.py        as root; about ten seconds
"""

import json
import os
import random
import re
import statistics
import time

from contestants import Oneknock
from harness import Network, program
from knocks import Bench, Clock

KNOCKS = 50
ENOUGH = 36  # packets of 64, with IPv4
_TRACING = "/sys/kernel/tracing"
_EVENTS = ["sched:sched_process_fork", "sched:sched_process_exec", "net:netif_receive_skb"] + [
    f"syscalls:sys_{end}_{call}" for end in ("enter", "exit") for call in ("sendmmsg", "sendto", "fdatasync", "connect")]
_LINE = re.compile(r"\s*(?P<comm>.+)-\d+\s+\[\d+\] \S+\s+(?P<seconds>[\d.]+): (?P<event>\w+)(?P<rest>.*)")

# What comes to its end with an event of a process: (what, the process, the event, what stands behind it, which one).
STAGES = (("the client's process starts", "oneknock", "sched_process_exec", "", 1),
          ("the client makes its knock", "oneknock", "sys_sendmmsg", "fd:", 1),
          ("enough packets arrive", "oneknock", "netif_receive_skb", "dev=s0 .*len=28", ENOUGH),
          ("the listener decodes", "okd-listener", "sys_sendto", "fd:", 1),
          ("the gatekeeper wakes and verifies", "okd-gatekeeper", "sys_fdatasync", "fd:", 1),
          ("the record is on the disk", "okd-gatekeeper", "sys_fdatasync", "->", 1),
          ("the parent wakes and the kernel opens the port", "oneknockd", "sys_sendto", "->", 1),
          ("the connection is accepted", "until_open", "sys_connect", "-> 0x0", 1))


class Trace:
    """An instance of the kernel's tracing of our own."""

    def __init__(self, events=_EVENTS):
        if not os.path.isdir(_TRACING + "/instances"):
            os.system(f"mount -t tracefs tracefs {_TRACING} 2>/dev/null")
        self._folder = f"{_TRACING}/instances/oneknock-{os.getpid()}"
        os.mkdir(self._folder)  # fails where there is no tracing
        try:
            self._set("trace_clock", "mono")
            self._set("set_event", "\n".join(events))
        except OSError:  # an event that this kernel does not have
            self.remove()
            raise

    def _set(self, name, value):
        with open(f"{self._folder}/{name}", "w") as file:
            file.write(value)

    def __enter__(self):
        self._set("trace", "")
        self._set("tracing_on", "1")
        return self

    def __exit__(self, *_):
        self._set("tracing_on", "0")

    def events(self):
        with open(self._folder + "/trace") as file:
            found = [_LINE.match(line) for line in file]
        return [line for line in found if line]

    def remove(self):
        self._set("tracing_on", "0")
        self._set("set_event", "")
        os.rmdir(self._folder)


def stages_of(events):
    """Milliseconds of each stage, and of all of them; None if the trace lacks one."""
    def matches(line, process, event, rest):
        return line["comm"].strip() == process and line["event"] == event and re.search(rest, line["rest"])

    at = next((i for i, line in enumerate(events) if matches(line, "until_open", "sched_process_fork", "")), None)
    moments = [] if at is None else [float(events[at]["seconds"])]
    for _, process, event, rest, which in STAGES:
        for _ in range(which):
            at = next((i for i in range(at + 1, len(events)) if matches(events[i], process, event, rest)), None) if at is not None else None
        if at is None:
            return None
        moments.append(float(events[at]["seconds"]))
    return [1000 * (after - before) for before, after in zip(moments, moments[1:])] + [1000 * (moments[-1] - moments[0])]


def start_up(bench, contestant):
    """What start_up.cpp counts, of the client; nothing on processors that it does not know."""
    path = program("start_up")
    if not os.path.exists(path):
        return {}
    found = json.loads(bench.client.run(path, *contestant.command(), timeout=600).stdout)
    print(found, flush=True)
    return found


def measure():
    """{"stages": {stage: median ms}, "start_up": ...}; no stages where the kernel cannot trace."""
    found = []
    with Network() as net:
        bench = Bench(net)
        with bench.contestant(Oneknock) as contestant:
            try:
                trace = net.keep(Trace(), Trace.remove)
            except OSError as problem:
                print(f"stages: not measured, this kernel does not trace ({problem})", flush=True)
                return {"stages": {}, "start_up": start_up(bench, contestant)}
            with bench.client:
                clock = Clock(bench.server, contestant.command())
            for _ in range(KNOCKS):
                time.sleep(random.uniform(0.05, 0.15))
                with trace:
                    clock.time()
                found.append(stages_of(trace.events()))
                bench.close(contestant)
            clock.stop()
            counted = start_up(bench, contestant)
    whole = [each for each in found if each]
    assert len(whole) > KNOCKS * 0.8, f"only {len(whole)} of {KNOCKS} traces show a whole knock"
    names = [stage[0] for stage in STAGES] + ["from start to connection"]
    figures = {name: statistics.median(each[i] for each in whole) for i, name in enumerate(names)}
    for name, value in figures.items():
        print(f"{name}: {value:.3f} ms", flush=True)
    return {"stages": figures, "start_up": counted}


if __name__ == "__main__":
    measure()
