"""How many knocks open while somebody floods, for oneknock, knockd and fwknop.

      client 10.81.0.2      c0 ---- r0 router r1 ---- s0 10.82.0.1 server
      crowd  10.84.0.2 ...     ---- r2                             (the daemon; a service on tcp 22)

The attacker sits on the router, the worst place there is: it sees every knock, and sends whole frames in anybody's name
onto the last wire, between two interfaces this program made. One knock at a time, one pass of it, the grant taken away in
between. A knock has opened when a connection from the client is accepted within a second of the client program's start.

`python3 floods.py` prints a line per flood; `--soak MINUTES` how memory does in a long one.
"""

import argparse
import json
import os
import random
import signal
import socket
import statistics
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "netns"))

import contestants  # noqa: E402
from frames import mac_of, raw_socket  # noqa: E402
from harness import Network, eventually, program  # noqa: E402
from traffic import Service  # noqa: E402

CLIENT, SERVER, ROUTER, PORT = "10.81.0.2", "10.82.0.1", "10.82.0.254", 22
SPAN = "1024-65535"
FIXED_PORT = 40000    # of the client, where the attacker is to know it
RECORDED = 50         # knocks an attacker has recorded
PATIENCE = 1.0        # seconds for a knock to open
CROWD, BEHIND_ONE_ADDRESS = 200, 20
UDP, TCP = 17, 6

# What each flood does. `rate`: packets a second, 0 for as many as the machine can send. `port`: of the source. `to`: "any" port,
# the "span", or ports "recorded" from the client's earlier knocks. ("span only" for knockd and fwknop is the recorded ports:
# their knocks know no others.) The attacker of `very port` knows the source port before the client does: the client's system
# has only one to give. One that must see a burst's first packet to learn it comes too late here.
FLOODS = {
    "none": None,
    "random sources, any port": dict(rate=0, to="any"),
    "random sources, span only": dict(rate=0, to="span only"),
    "client's address, 1,000/s": dict(rate=1_000, source=CLIENT),
    "client's address, 10,000/s": dict(rate=10_000, source=CLIENT),
    "client's address, 50,000/s": dict(rate=50_000, source=CLIENT),
    "very port, 1,000/s": dict(rate=1_000, source=CLIENT, port=FIXED_PORT),
    "very port, 10,000/s": dict(rate=10_000, source=CLIENT, port=FIXED_PORT),
    "very port, 50,000/s": dict(rate=50_000, source=CLIENT, port=FIXED_PORT),
    "recorded ports, 10,000/s": dict(rate=10_000, source=CLIENT, to="recorded"),
    "recorded ports on the very port, 10,000/s": dict(rate=10_000, source=CLIENT, to="recorded", port=FIXED_PORT),
    "nmap, the attacker's address": dict(scan=ROUTER),
    "nmap, the client's address": dict(scan=CLIENT),
}
# The share of single knocks the design's model of the receiver lets through, for bursts of 1, 5 and 20 ms.
MODEL = {"very port, 10,000/s": (1, 1, 0.10), "very port, 50,000/s": (0.86, 0.01, 0)}


class Stage:
    """The network, with nobody guarding anything yet."""

    def __init__(self, net):
        self.net = net
        self.server, self.client, self.router = net.namespace("server"), net.namespace("client"), net.router()
        for namespace in (self.server, self.router):
            for interface in ("all", "default"):
                namespace.sysctl(f"net/ipv4/conf/{interface}/rp_filter", 0)
        net.link(self.router, "r0", ["10.81.0.1/24"], self.client, "c0", [CLIENT + "/24"])
        net.link(self.router, "r1", [ROUTER + "/24"], self.server, "s0", [SERVER + "/24"])
        self.client.ip("route add default via 10.81.0.1")
        self.server.ip(f"route add default via {ROUTER}")
        self.router.ip("route add blackhole default")  # where answers to invented addresses end
        self.server_mac = mac_of(self.server, "s0")
        net.keep(Service(self.server, PORT), Service.stop)
        self._any_port = open_file(self.client, "net/ipv4/ip_local_port_range")
        self._probe_port = 50_000

    def fix_client_port(self, fixed):
        self.client.sysctl("net/ipv4/ip_local_port_range", f"{FIXED_PORT} {FIXED_PORT}" if fixed else self._any_port)

    def accepts(self):
        """Whether a connection from the client is accepted now. Call it inside the client's namespace."""
        self._probe_port = 50_000 + (self._probe_port + 1) % 10_000
        with socket.socket() as probe:
            probe.settimeout(0.2)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves nothing behind
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", self._probe_port))
            return probe.connect_ex((SERVER, PORT)) == 0


def open_file(namespace, name):
    with namespace, open(f"/proc/sys/{name}") as file:
        return file.read().strip()


class Eavesdropper:
    """What the client sends, as the router sees it."""

    def __init__(self, stage):
        self._socket = raw_socket(stage.router, "r0")
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE: it is emptied once a flood
        self._socket.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
        self._socket.setblocking(False)

    def heard(self):
        """[(seconds, protocol, destination port)] since the last call, without connections to the service."""
        packets = []
        while True:
            try:
                frame, told, _, _ = self._socket.recvmsg(64, 64)
            except BlockingIOError:
                return packets
            if frame[12:14] != b"\x08\x00" or frame[23] not in (UDP, TCP):
                continue
            port, = struct.unpack_from(">H", frame, 36)
            if port != PORT:
                seconds, nanoseconds = struct.unpack("qq", told[0][2])
                packets.append((seconds + nanoseconds * 1e-9, frame[23], port))


class Flood:
    """Junk from the attacker, until stop()."""

    def __init__(self, stage, record, rate, source="random", port=0, to="span"):
        by_udp = record[0][1] == UDP
        recorded = {port for _, _, port in record}
        if to == "recorded" or to == "span only" and len(recorded) < 64:
            with open(stage.net.path("recorded"), "w") as file:
                file.write("\n".join(map(str, recorded)))
            where = "--ports-file", file.name
        else:
            where = "--destination-ports", "0-65535" if to == "any" else SPAN
        self._process = stage.net.start(
            stage.router, program("flood"), "--interface", "r1", "--to-mac", stage.server_mac, "--to", SERVER, "--source",
            source, "--source-port", port, *where, "--rate", rate, "--seconds", 3600, *([] if by_udp else ["--tcp"]))

    def stop(self):
        """What was sent, packets a second."""
        self._process.stop()
        return json.loads(self._process.log)["rate"]


class Scan:
    """nmap over the whole span, from the beginning when it is through, until stop()."""

    def __init__(self, stage, source):
        self._stage, self._stopped = stage, False
        self._command = ["nmap", "-n", "-Pn", "-sS", "-T5", "--max-retries", 1, "--min-rate", 5_000, "-p", SPAN, "-e", "r1",
                         *(["-S", source] if source != ROUTER else []), SERVER]
        self._started, self._arrived = time.monotonic(), packets_arrived(stage)
        self._scan = stage.net.start(stage.router, *self._command)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while self._scan.wait(120) == 0 and not self._stopped:
            self._scan = self._stage.net.start(self._stage.router, *self._command)

    def stop(self):
        """What arrived, packets a second."""
        rate = (packets_arrived(self._stage) - self._arrived) / (time.monotonic() - self._started)
        self._stopped = True
        self._scan.stop()
        self._thread.join(10)
        return rate


def packets_arrived(stage):
    with stage.server, open("/proc/thread-self/net/dev") as file:
        line = next(line for line in file if line.strip().startswith("s0:"))
    return int(line.split()[2])


# --- what the daemons cost ----------------------------------------------------------------------------------------


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            total += sum(map(int, file.read().rpartition(")")[2].split()[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


def private_kib(pids):
    """Memory of these processes that they share with nobody."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
    return total


class Meter:
    """What a contestant's daemon used between here and read()."""

    def __init__(self, contestant):
        self._contestant, self._pids = contestant, contestant.pids()
        self._cpu, self._time, self._capture = cpu_seconds(self._pids), time.monotonic(), self._counters()

    def _counters(self):
        if not isinstance(self._contestant, contestants.Oneknock):
            return {}  # the others do not count
        status = self._contestant.daemon.status()
        return {**status["capture"], **status["assembly"]}

    def read(self):
        counted = {name: value - self._capture[name] for name, value in self._counters().items()}
        return {"cpu": (cpu_seconds(self._pids) - self._cpu) / (time.monotonic() - self._time),
                "private_kib": private_kib(self._pids), **counted}


class Openings:
    """Every element that comes into oneknock's sets, from the kernel's own notes."""

    def __init__(self, stage, contestant):
        self._process = None
        if isinstance(contestant, contestants.Oneknock):
            self._process = stage.net.start(stage.server, "nft", "monitor", "new", "elements")

    def uninvited(self, asked_for):
        """How many were for another source, protocol or port than asked for."""
        if self._process is None:
            return None
        self._process.stop()
        added = [line for line in self._process.log.splitlines() if line.startswith("add element")]
        return sum(not any(f"{{ {source} . tcp . {PORT} " in line for source in asked_for) for line in added)


# --- one flood ----------------------------------------------------------------------------------------------------


def knock_once(stage, contestant):
    """Seconds from the start of the client to an accepted connection; None without one in time."""
    start = time.monotonic()
    contestant.knock(check=False)
    while (now := time.monotonic()) - start < PATIENCE:
        if stage.accepts():
            return time.monotonic() - start
        time.sleep(0.0005)
    return None


def knock_many(stage, contestant, most, limit):
    """(seconds or None of each knock, how often the door stood open before a knock)."""
    took, stood_open, end = [], 0, time.monotonic() + limit
    with stage.client:
        while len(took) < most and time.monotonic() < end:
            stood_open += stage.accepts()
            took.append(knock_once(stage, contestant))
            eventually(lambda: contestant.close() or not stage.accepts(), "the door to close")
    return took, stood_open


def measure_flood(stage, contestant, ear, record, name, knocks, limit):
    what = FLOODS[name]
    stage.fix_client_port(what is not None and what.get("port") == FIXED_PORT)
    openings, meter = Openings(stage, contestant), Meter(contestant)
    flood = what and (Scan(stage, what["scan"]) if "scan" in what else Flood(stage, record, **what))
    time.sleep(0.5 if flood else 0)  # the junk stands before the first knock
    ear.heard()
    took, stood_open = knock_many(stage, contestant, knocks, limit)
    used = meter.read()
    rate = flood.stop() if flood else 0
    stage.fix_client_port(False)
    return {"contestant": contestant.name, "flood": name, "rate": round(rate), **summary(took), "stood_open": stood_open,
            "uninvited": openings.uninvited([CLIENT]), "burst_ms": burst_ms(ear.heard(), len(took)), **used,
            "model": MODEL.get(name) if contestant.name == "oneknock" else None}


def summary(took):
    opened = sorted(each * 1000 for each in took if each is not None)
    return {"knocks": len(took), "opened": len(opened), "median_ms": statistics.median(opened) if opened else None,
            "p99_ms": opened[int(len(opened) * 0.99)] if opened else None}


def burst_ms(packets, knocks):
    """The median time between the first and the last packet of a knock; None where some were not heard."""
    if not knocks or len(packets) % knocks:
        return None
    size = len(packets) // knocks
    return 1000 * statistics.median(packets[i + size - 1][0] - packets[i][0] for i in range(0, len(packets), size))


def line_of(result):
    def ms(value):
        return "-" if value is None else f"{value:.1f} ms"

    dropped = f", {result['dropped']} of {result['packets']} packets dropped" if "dropped" in result else ""
    odd = [f"{result[key]} {key.replace('_', ' ')}" for key in ("uninvited", "stood_open") if result.get(key)]
    return (f"{result['contestant']:9} {result['flood']:42} {result['rate']:>8,}/s  {result['opened']:3} of {result['knocks']:3} "
            f"({100 * result['opened'] / max(1, result['knocks']):5.1f} %)  {ms(result['median_ms'])} {ms(result['p99_ms'])}; burst "
            f"{ms(result['burst_ms'])}; cpu {100 * result['cpu']:.0f} %, {result['private_kib']} KiB{dropped} {' '.join(odd)}")


# --- the parts ----------------------------------------------------------------------------------------------------


def measure_one(kind, knocks, limit, names):
    """All floods against one of contestants.ALL."""
    results = []
    with Network() as net:
        stage = Stage(net)
        contestant = kind(net, stage.server, stage.client, SERVER, PORT)
        ear = Eavesdropper(stage)
        knock_many(stage, contestant, RECORDED, limit)
        record = ear.heard()
        for name in names:
            if "very port" in name and kind is not contestants.Oneknock:
                continue  # the others do not look at source ports
            results.append(measure_flood(stage, contestant, ear, record, name, knocks, limit))
            print(line_of(results[-1]), flush=True)
        contestant.stop()
    return results


def measure(knocks=500, others=50, kinds=contestants.ALL, names=tuple(FLOODS)):
    """`others`: knocks for knockd and fwknop, which are slow; bounded in time as well."""
    results = []
    for kind in kinds:
        is_ours = kind is contestants.Oneknock
        results += measure_one(kind, knocks if is_ours else others, 30 if is_ours else 8, names)
    return {"floods": results}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--knocks", type=int, default=500)
    parser.add_argument("--others", type=int, default=50)
    parser.add_argument("--only", help="one contestant")
    parser.add_argument("--flood", action="append", help="only floods whose name begins so")
    chosen = parser.parse_args()
    kinds = [kind for kind in contestants.ALL if chosen.only in (None, kind.name)]
    names = [name for name in FLOODS if not chosen.flood or any(name.startswith(each) for each in chosen.flood)]
    print(json.dumps(measure(chosen.knocks, chosen.others, kinds, names)))


if __name__ == "__main__":
    main()
