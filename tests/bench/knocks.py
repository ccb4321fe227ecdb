"""What a knock costs, with nothing else going on: time, packets, processes; and what the daemons cost while they wait.

Latency is the time from the start of the client program to a connection to the guarded port: until_open.cpp starts the
program and connects whenever the kernel tells of a change in the server's firewall, until the port accepts. It is the same loop
for all three, and what it costs by itself is measured too (a program that does nothing, a port that is open): the floor.

    ONEKNOCK_BIN=build/release/bin python3 tests/bench/knocks.py [RUNS]        as root; about 1.5 minutes with 100 runs
"""

import contextlib
import os
import random
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time

from contestants import ALL
from frames import mac_of
from harness import Network, eventually, program

SERVER, CLIENT, PORT, OPEN_PORT = "10.77.0.1", "10.77.0.2", 22, 80
IDLE_TIME = 5.0  # seconds
COUNTED = 10  # knocks for what is counted and not timed
_ETHERNET_HEADER = 14
_LONGEST_ATTEMPT = struct.pack("ll", 0, 500_000)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # no TIME_WAIT is left of hundreds of connections


class Bench:
    """The client's and the server's namespace on one cable, and listening services on two ports."""

    def __init__(self, net):
        self.net = net
        self.server, self.client = net.namespace("server"), net.namespace("client")
        net.link(self.server, "s0", [f"{SERVER}/24"], self.client, "c0", [f"{CLIENT}/24"])
        # No questions about hardware addresses among the packets that are counted.
        self.client.ip(f"neigh replace {SERVER} dev c0 lladdr {mac_of(self.server, 's0')} nud permanent")
        self.server.ip(f"neigh replace {CLIENT} dev s0 lladdr {mac_of(self.client, 'c0')} nud permanent")
        with self.server:
            self._listeners = [net.keep(socket.create_server(("", port), backlog=256), socket.socket.close)
                               for port in (PORT, OPEN_PORT)]
        for listener in self._listeners:
            listener.setblocking(False)

    @contextlib.contextmanager
    def contestant(self, kind):
        """Started, and stopped at the end of `with`."""
        started = kind(self.net, self.server, self.client, SERVER, PORT)
        try:
            yield started
        finally:
            started.stop()

    def connects(self, port=PORT):
        """One attempt, from where the calling thread is. Accepting is the kernel's work, and done when this is True."""
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _LONGEST_ATTEMPT)
            if attempt.connect_ex((SERVER, port)) == 0:
                return True
        return False

    def drain(self):
        """Takes the connections that were made off the queues."""
        for listener in self._listeners:
            with contextlib.suppress(BlockingIOError):
                while True:
                    listener.accept()[0].close()

    def close(self, contestant):
        """Until it is, and stays so: an earlier knock may still be on its way to open the port."""
        def closed():
            contestant.close()
            # For as long as fwknopd takes to look again, and at a random point of whatever rhythm a daemon has: to knock right
            # behind each look would always meet the longest wait.
            time.sleep(random.uniform(0.05, 0.15))
            with self.client:
                return not self.connects() or self.drain()
        eventually(closed, f"{contestant.name} to close the port")

    def counters(self):
        """Of the client's end of the cable: packets and bytes of IP received, and sent."""
        with self.client, open("/proc/thread-self/net/dev") as file:
            words = next(line for line in file if "c0:" in line).split(":")[1].split()
        received, got, sent, put = int(words[1]), int(words[0]), int(words[9]), int(words[8])
        return received, got - received * _ETHERNET_HEADER, sent, put - sent * _ETHERNET_HEADER


# --- latency ------------------------------------------------------------------------------------------------------


def spawn(command):
    """Starts a program as cheaply as it goes: no shell, no copy of this process; its process id."""
    actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, 0, 1), (os.POSIX_SPAWN_DUP2, 0, 2)]
    return os.posix_spawn(command[0], command, os.environ, file_actions=actions)


class Clock:
    """until_open.cpp for one program; in the namespace where the thread is."""

    def __init__(self, server, command, port=PORT):
        self._process = subprocess.Popen([program("until_open"), f"/run/netns/{server.name}", SERVER, str(port), *command],
                                         text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def time(self):
        """Seconds from the start of the program to a connection, None without one in time."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline()) / 1e9 or None

    def stop(self):
        self._process.communicate()


def time_to_end(command):
    start = time.perf_counter()
    os.waitpid(spawn(command), 0)
    return time.perf_counter() - start


def summary(samples):
    """Of seconds, in milliseconds; a knock that failed is in `failed` and nowhere else."""
    got = sorted(sample * 1000 for sample in samples if sample is not None)
    if not got:
        return {"runs": len(samples), "failed": len(samples)}

    def rank(share):  # the nearest rank: a value that was measured
        return got[min(len(got), max(1, -int(-share * len(got) // 1))) - 1]

    return {"runs": len(samples), "failed": len(samples) - len(got), "median_ms": rank(0.5), "p99_ms": rank(0.99),
            "least_ms": got[0], "most_ms": got[-1], "samples_ms": got}


def latency(bench, contestant, runs):
    with bench.client:
        clock = Clock(bench.server, contestant.command())
    samples = []
    for _ in range(runs):
        bench.close(contestant)
        samples.append(clock.time())
        bench.drain()
    clock.stop()
    bench.close(contestant)
    return summary(samples)


def floor(bench, runs):
    """What the measuring costs by itself."""
    with bench.client:
        clock = Clock(bench.server, ["/bin/true"], OPEN_PORT)
    samples = []
    for _ in range(runs):
        samples.append(clock.time())
        bench.drain()
        time.sleep(0.1)  # as between knocks
    clock.stop()
    return {"start_and_connect": summary(samples), "start_to_end": summary([time_to_end(["/bin/true"]) for _ in range(runs)])}


# --- packets and processes ----------------------------------------------------------------------------------------


def open_once(contestant):
    contestant.knock()
    eventually(lambda: contestant.is_open(CLIENT), f"{contestant.name} to open")


def packets(bench, contestant):
    """Of a knock, on the client's cable, with nothing else on it: what it sends, and what the server answers."""
    counts = []
    for _ in range(COUNTED):
        bench.close(contestant)
        before = bench.counters()
        open_once(contestant)
        counts.append([after - earlier for after, earlier in zip(bench.counters(), before)])
    answers, answer_bytes, sent, sent_bytes = zip(*counts)
    # The most answers: ports that nobody uses answer with ICMP, of which the kernel sends a few and then one a second.
    return {"sent": statistics.median(sent), "sent_bytes": statistics.median(sent_bytes), "answers": max(answers),
            "answer_bytes": max(answer_bytes)}


@contextlib.contextmanager
def traced(bench, pids, *options):
    """The system calls of processes and their children; the file that is complete after `with`."""
    path = bench.net.path("strace")
    strace = bench.net.start(bench.server, "strace", "-f", "-qq", "-o", path, *options, *(f"-p{pid}" for pid in pids))
    eventually(lambda: all(_is_traced(pid) for pid in pids), lambda: f"strace to attach: {strace.log}")
    yield path
    strace.stop(signal.SIGINT)


def _is_traced(pid):
    with open(f"/proc/{pid}/status") as file:
        return "TracerPid:\t0\n" not in file.read()


_STARTED = re.compile(r"(?:clone3?|v?fork)(?:\(| resumed).* = [1-9]")
_EXECUTED = re.compile(r"execve(?:\(| resumed).* = 0")


def processes(bench, contestant):
    """What the daemon starts for a knock, on average."""
    bench.close(contestant)  # lets what the last knock started come to its end
    with traced(bench, contestant.pids(), "-e", "trace=clone,clone3,fork,vfork,execve") as path:
        for _ in range(COUNTED):
            bench.close(contestant)
            open_once(contestant)
        bench.close(contestant)  # and a while, for the last one's
    with open(path) as file:
        lines = file.readlines()
    return {what: sum(1 for line in lines if pattern.search(line)) / COUNTED
            for what, pattern in (("started", _STARTED), ("executed", _EXECUTED))}


# --- idle ---------------------------------------------------------------------------------------------------------


def idle(bench, contestant):
    """What waiting costs: CPU time first, then, in a time of its own as tracing takes CPU itself, the system calls."""
    pids = contestant.pids()
    before = sum(map(cpu_time, pids))
    time.sleep(IDLE_TIME)
    spent = sum(map(cpu_time, pids)) - before
    with traced(bench, pids, "-c") as path:
        time.sleep(IDLE_TIME)
    return {"processes": len(pids), "cpu_ms_per_s": spent * 1000 / IDLE_TIME, "system_calls_per_s": calls_in(path) / IDLE_TIME}


def cpu_time(pid):
    """Seconds; /proc/PID/stat counts in ticks of 10 ms, which is more than some of them take in all."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e9


def calls_in(path):
    """The total of strace -c, which leaves the file empty if there was none."""
    with open(path) as file:
        total = [line.split() for line in file if line.rstrip().endswith(" total")]
    return int(total[0][3]) if total else 0


def private_memory(pids):
    """Bytes that the processes share with nobody."""
    found = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            found += sum(int(line.split()[1]) for line in file if line.startswith(("Private_Clean", "Private_Dirty")))
    return found * 1024


# --- all of it ----------------------------------------------------------------------------------------------------


def of_one(bench, contestant, runs):
    figures = {"commands": contestant.commands(), "version": contestant.version()}
    say(contestant.name, figures["version"])
    for topic, found in (
            # Before the first knock: fwknopd has work with its grants for 30 s after each.
            ("idle", lambda: idle(bench, contestant)),
            # Before hundreds of knocks: see packets().
            ("packets", lambda: packets(bench, contestant)),
            ("latency", lambda: latency(bench, contestant, runs)),
            ("processes", lambda: processes(bench, contestant)),
            # Behind them: what a daemon keeps that has been at work.
            ("memory", lambda: {"private_bytes": private_memory(contestant.pids())})):
        figures[topic] = found()
        tell(f"{contestant.name} {topic}", figures[topic])
    return figures


def measure(runs=100):
    """{"floor": ..., "oneknock": ..., "knockd": ..., "fwknop": ..., "times_faster": {"knockd": ..., "fwknop": ...}}"""
    with Network() as net:
        bench = Bench(net)
        figures = {"floor": floor(bench, runs)}
        for what, found in figures["floor"].items():
            tell(f"floor {what}", found)
        for kind in ALL:
            with bench.contestant(kind) as contestant:
                figures[kind.name] = of_one(bench, contestant, runs)
    ours = figures["oneknock"]["latency"]
    figures["times_faster"] = {kind.name: figures[kind.name]["latency"].get("median_ms", 0) / ours["median_ms"]
                               for kind in ALL[1:] if "median_ms" in ours}
    tell("oneknock is faster", figures["times_faster"], "times")
    return figures


def say(*words):
    print(*words, flush=True)


def tell(topic, figures, unit=""):
    """One line for each."""
    for name, figure in figures.items():
        if not isinstance(figure, list):
            say(f"{topic}: {name} {round(figure, 3)} {unit}".rstrip())


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:2]))
