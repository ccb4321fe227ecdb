"""How many knocks open while somebody floods, for oneknock, knockd and fwknop.

      client   10.81.0.2      c0 ---- r0 router r1 ---- s0 10.82.0.1 server
      impostor 10.81.0.2, too i0 ---- r2                             (the daemon; a service on tcp 22)
      crowd    10.84.0.2 ...     ---- r3 (a bridge)

The links have IPv6 as well (fd81::2, fd82::1), for the floods that say so.

The attacker sits on the router, the worst place there is: it sees every knock, and sends whole frames in anybody's name
onto the last wire, between two interfaces this program made. (nmap does not send in a stranger's name where it knows no
route for it, so it has a host of its own with the client's address.) One knock at a time, both passes of it, the grant
taken away in between. A knock has opened when a connection from the client is accepted within a second of the client
program's start.

`python3 floods.py` prints a line per flood; `--soak MINUTES` how memory does in a long one.
"""

import argparse
import itertools
import json
import os
import random
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
CLIENT6, SERVER6, ROUTER6 = "fd81::2", "fd82::1", "fd82::254"
FIXED_PORT = 40000    # of the client, where the attacker is to know it
RECORDED = 50         # knocks an attacker has recorded
PASS = 64             # packets of oneknock's; a plain `open` makes two
PATIENCE = 1.0        # seconds for a knock to open
CROWD, BEHIND_ONE_ADDRESS = 200, 20
CROWD_NAME = f"{CROWD} clients in one second"
UDP, TCP = 17, 6

# What each flood does. `rate`: packets a second, 0 for as many as the machine can send. `port`: of the source. `to`:
# "any" port, the "span", or ports "recorded" from the client's earlier knocks. ("span only" for knockd and fwknop is
# the recorded ports: their knocks know no others.) The attacker of `very port` knows the source port before the client
# does: the client's system has only one to give. One that must see a burst's first packet to learn it comes too late.
FLOODS = {
    "none": None,
    "random sources, any port": dict(rate=0, to="any"),
    "random sources, span only": dict(rate=0, to="span only"),
    "1,024 sources, span only": dict(rate=0, to="span only", source="10.128.0.0/22"),
    "client's address, 1,000/s": dict(rate=1_000, source=CLIENT),
    "client's address, 10,000/s": dict(rate=10_000, source=CLIENT),
    "client's address, 50,000/s": dict(rate=50_000, source=CLIENT),
    "very port, 1,000/s": dict(rate=1_000, source=CLIENT, port=FIXED_PORT),
    "very port, 10,000/s": dict(rate=10_000, source=CLIENT, port=FIXED_PORT),
    "very port, 50,000/s": dict(rate=50_000, source=CLIENT, port=FIXED_PORT),
    "recorded ports, 10,000/s": dict(rate=10_000, source=CLIENT, to="recorded"),
    "recorded ports on the very port, 10,000/s": dict(rate=10_000, source=CLIENT, to="recorded", port=FIXED_PORT),
    "IPv6, random sources, span only": dict(rate=0, to="span only", ipv6=True),
    "IPv6, 1,024 sources, span only": dict(rate=0, to="span only", source="fd80::/118", ipv6=True),
    "IPv6, client's address, 10,000/s": dict(rate=10_000, source=CLIENT6, ipv6=True),
    "IPv6, very port, 10,000/s": dict(rate=10_000, source=CLIENT6, port=FIXED_PORT, ipv6=True),
    "nmap, the attacker's address": dict(scan="router"),
    "nmap, the client's address": dict(scan="impostor"),
}
# The share of single knocks the design's model of the receiver lets through, for bursts of 1, 5 and 20 ms.
MODEL = {"very port, 10,000/s": (1, 1, 0.10), "very port, 50,000/s": (0.86, 0.01, 0)}


class Stage:
    """The network, with nobody guarding anything yet."""

    def __init__(self, net, ipv6=False):
        """`ipv6`: the client knocks over it."""
        self.net = net
        self.client_address, self.server_address = (CLIENT6, SERVER6) if ipv6 else (CLIENT, SERVER)
        self.server, self.client, self.impostor = map(net.namespace, ("server", "client", "impostor"))
        self.router = net.router()
        for namespace in (self.server, self.router):
            for interface in ("all", "default"):
                namespace.sysctl(f"net/ipv4/conf/{interface}/rp_filter", 0)
        net.link(self.router, "r0", ["10.81.0.1/24", "fd81::1/64"], self.client, "c0", [CLIENT + "/24", CLIENT6 + "/64"])
        net.link(self.router, "r1", [ROUTER + "/24", ROUTER6 + "/64"], self.server, "s0", [SERVER + "/24", SERVER6 + "/64"])
        net.link(self.router, "r2", ["10.83.0.1/24"], self.impostor, "i0", [CLIENT + "/32"])
        self.client.ip("route add default via 10.81.0.1", "route add default via fd81::1")
        self.impostor.ip("route add 10.83.0.1 dev i0", "route add default via 10.83.0.1")
        self.server.ip(f"route add default via {ROUTER}", f"route add default via {ROUTER6}")
        self.router.ip("route add blackhole 0.0.0.0/0", "route add blackhole ::/0")  # where answers to invented addresses end
        self.server_mac = mac_of(self.server, "s0")
        net.keep(Service(self.server, PORT), Service.stop)
        self._any_port = open_file(self.client, "net/ipv4/ip_local_port_range")
        self._probe_port = 50_000

    def fix_client_port(self, fixed):
        self.client.sysctl("net/ipv4/ip_local_port_range", f"{FIXED_PORT} {FIXED_PORT}" if fixed else self._any_port)

    def accepts(self):
        """Whether a connection from the client is accepted now. Call it inside the client's namespace."""
        self._probe_port = 50_000 + (self._probe_port + 1) % 10_000
        with socket.socket(socket.AF_INET6 if ":" in self.server_address else socket.AF_INET) as probe:
            probe.settimeout(0.2)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves nothing behind
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", self._probe_port))
            return probe.connect_ex((self.server_address, PORT)) == 0


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
            protocol_at, port_at = {b"\x08\x00": (23, 36), b"\x86\xdd": (20, 56)}.get(frame[12:14], (0, 0))
            if frame[protocol_at] not in (UDP, TCP) or not port_at:
                continue
            port, = struct.unpack_from(">H", frame, port_at)
            if port != PORT:
                seconds, nanoseconds = struct.unpack("qq", told[0][2])
                packets.append((seconds + nanoseconds * 1e-9, frame[protocol_at], port))


class Flood:
    """Junk from the attacker, until stop(). Of `protocol`; `recorded`: destination ports."""

    def __init__(self, stage, protocol, recorded, rate, source="random", port=0, to="span", ipv6=False):
        if to == "recorded" or to == "span only" and len(set(recorded)) < 64:
            with open(stage.net.path("recorded"), "w") as file:
                file.write("\n".join(map(str, set(recorded))))
            where = "--ports-file", file.name
        else:
            where = "--destination-ports", "0-65535" if to == "any" else SPAN
        self._process = stage.net.start(
            stage.router, program("flood"), "--interface", "r1", "--to-mac", stage.server_mac, "--to", SERVER6 if ipv6 else SERVER, *where,
            "--source", source, "--source-port", port, "--rate", rate, "--seconds", 3600,
            *([] if protocol == UDP else ["--tcp"]))

    def stop(self):
        """What was sent, packets a second."""
        self._process.stop()
        return json.loads(self._process.log)["rate"]


class Scan:
    """nmap over the whole span, from the beginning when it is through, until stop()."""

    _COMMAND = ("nmap", "-n", "-Pn", "-sS", "-T5", "--max-retries", "1", "--min-rate", "20000", "-p", SPAN, SERVER)

    def __init__(self, stage, host):
        self._stage, self._host, self._stopped, self.completed = stage, getattr(stage, host), False, 0
        self._started, self._arrived = time.monotonic(), packets_arrived(stage)
        self._scan = stage.net.start(self._host, *self._COMMAND)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while self._scan.wait(120) == 0 and not self._stopped:
            self.completed += 1
            self._scan = self._stage.net.start(self._host, *self._COMMAND)

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
    """Of these processes and what they started and saw end."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            total += sum(map(int, file.read().rpartition(")")[2].split()[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def private_kib(pids):
    """Memory of these processes that they share with nobody."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
    return total


def lasting(contestant):
    """The daemon's processes, without those at work for a knock that has just been made."""
    time.sleep(0.2)
    return contestant.pids()


class Meter:
    """What a contestant's daemon used between here and read()."""

    def __init__(self, contestant):
        self._contestant, self._pids = contestant, lasting(contestant)
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
    while time.monotonic() - start < PATIENCE:
        if stage.accepts():
            return time.monotonic() - start
        time.sleep(0.0005)
    return None


def knock_many(stage, contestant, most, limit, until=lambda: True):
    """(seconds or None of each knock, how often the door stood open before a knock). At least so many as are done when
    until() is true."""
    took, opened_unasked, end = [], 0, time.monotonic() + limit
    with stage.client:
        while (len(took) < most or not until()) and time.monotonic() < end:
            opened_unasked += stage.accepts()
            took.append(knock_once(stage, contestant))
            eventually(lambda: contestant.close() or not stage.accepts(), "the door to close")
    return took, opened_unasked


def recorded_knocks(stage, contestant, ear, knocks, limit):
    """(protocol, destination ports) of some knocks, as an attacker has them who listened this hour."""
    ear.heard()
    knock_many(stage, contestant, knocks, limit)
    packets = ear.heard()
    return packets[0][1], [port for _, _, port in packets]


def measure_flood(stage, contestant, ear, record, name, knocks, limit):
    what = FLOODS[name]
    stage.fix_client_port(what is not None and what.get("port") == FIXED_PORT)
    openings, meter = Openings(stage, contestant), Meter(contestant)
    flood = what and (Scan(stage, what["scan"]) if "scan" in what else Flood(stage, *record, **what))
    time.sleep(0.5 if flood else 0)  # the junk stands before the first knock
    ear.heard()
    scanned = (lambda: flood.completed > 0) if isinstance(flood, Scan) else (lambda: True)
    took, opened_unasked = knock_many(stage, contestant, knocks, limit, scanned)
    used = meter.read()
    rate = flood.stop() if flood else 0
    if not scanned():
        print(f"(no scan was through within {limit} s)")
    stage.fix_client_port(False)
    return {"contestant": contestant.name, "flood": name, "rate": round(rate), **summary(took),
            "opened_unasked": opened_unasked, "uninvited": openings.uninvited([stage.client_address]),
            "burst_ms": burst_ms(ear.heard(), len(took)), **used,
            "model": MODEL.get(name) if contestant.name == "oneknock" else None}


def summary(took):
    opened = sorted(each * 1000 for each in took if each is not None)
    return {"knocks": len(took), "opened": len(opened), "median_ms": statistics.median(opened) if opened else None,
            "p99_ms": opened[int(len(opened) * 0.99)] if opened else None}


def burst_ms(packets, knocks):
    """The median time between the first and the last packet of a knock's first pass; None where some were not heard."""
    if not knocks or len(packets) % knocks:
        return None
    size = len(packets) // knocks
    last = min(size, PASS) - 1
    return 1000 * statistics.median(packets[i + last][0] - packets[i][0] for i in range(0, len(packets), size))


def line_of(result):
    def ms(value):
        return "-" if value is None else f"{value:.1f}"

    share = 100 * result["opened"] / max(1, result["knocks"])
    words = [f"{result['contestant']:9} {result['flood']:42} {result['rate']:>8,}/s ",
             f"{result['opened']:3} of {result['knocks']:3} ({share:5.1f} %),",
             f"median {ms(result['median_ms'])} ms, 99th {ms(result['p99_ms'])}, burst {ms(result['burst_ms'])};",
             f"cpu {100 * result['cpu']:.0f} %, {result['private_kib']} KiB"]
    if "dropped" in result:
        words.append(f"{result['dropped']} of {result['packets']} packets dropped")
    if result["model"]:
        words.append("(model, for bursts of 1, 5, 20 ms: " + ", ".join(f"{part:.0%}" for part in result["model"]) + ")")
    words += [f"{result[key]} {key.replace('_', ' ')}" for key in ("uninvited", "opened_unasked") if result[key]]
    return " ".join(words)


# --- many at once -------------------------------------------------------------------------------------------------


class Crowd:
    """Hosts that knock within the same second; some of them as one address, as behind a NAT."""

    def __init__(self, stage):
        stage.router.ip("link add r3 type bridge", "addr add 10.84.0.1/16 dev r3", "link set r3 up")
        self._places = {}  # namespaces, one for each address
        for number in range(CROWD - BEHIND_ONE_ADDRESS + 1):
            address = f"10.84.{number // 200}.{number % 200 + 2}"
            place = stage.net.namespace(f"crowd{number}")
            place.ip(f"link add c0 type veth peer name v{number} netns {stage.router.name}",
                     f"addr add {address}/16 dev c0", "link set c0 up", "route add default via 10.84.0.1")
            stage.router.ip(f"link set v{number} master r3 up")
            self._places[address] = place
        self._shared, *_ = self._places
        self.members = [*self._places, *[self._shared] * (BEHIND_ONE_ADDRESS - 1)]

    def knock(self, contestant):
        """All of them, each at a moment of its own. How many came in, and from which addresses one may."""
        for place in self._places.values():
            contestant.command(place)  # what it has to find out first it knows from now on
        before = accepted_by(contestant)
        begin = time.monotonic() + 0.5

        def member(address, moment):
            time.sleep(max(0.0, begin + moment - time.monotonic()))
            contestant.knock(self._places[address], check=False)

        threads = [threading.Thread(target=member, args=(address, random.random())) for address in self.members]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(PATIENCE)
        opened = [address for address in self._places if contestant.is_open(address)]
        if before is not None:
            return accepted_by(contestant) - before
        return sum(address in opened for address in self.members)


def accepted_by(contestant):
    """How many knocks it accepted so far; None if it does not count."""
    return contestant.daemon.accepted() if isinstance(contestant, contestants.Oneknock) else None


def measure_crowd(stage, contestant, rounds):
    crowd = Crowd(stage)
    openings, meter = Openings(stage, contestant), Meter(contestant)
    opened = 0
    for _ in range(rounds):
        opened += crowd.knock(contestant)
        contestant.close()
    result = {"contestant": contestant.name, "flood": CROWD_NAME, "rate": 0, **summary([]), "knocks": CROWD * rounds,
              "opened": opened, "opened_unasked": 0, "burst_ms": None, **meter.read()}
    return {**result, "uninvited": openings.uninvited(crowd.members), "model": None}


# --- a long flood -------------------------------------------------------------------------------------------------


def measure_soak(minutes):
    """Memory of oneknock's daemon at the end of each minute of a flood that fills its tables: as many packets as go,
    from as many addresses as it has windows for, and the client's own forged from any source port beside it. Then
    knocks have to open."""
    results = []
    with Network() as net:
        stage = Stage(net)
        contestant = contestants.Oneknock(net, stage.server, stage.client, SERVER, PORT)
        results.append({"seconds": 0, "private_kib": private_kib(contestant.pids())})
        floods = [Flood(stage, UDP, [], 0, "10.128.0.0/19"), Flood(stage, UDP, [], 10_000, CLIENT)]
        start, meter = time.monotonic(), Meter(contestant)
        for seconds in range(60, 60 * minutes + 1, 60):
            time.sleep(max(0.0, start + seconds - time.monotonic()))
            results.append({"seconds": seconds, **meter.read()})
            now = results[-1]
            print(f"oneknock  flooded for {seconds} s: {now['private_kib']} KiB (before: {results[0]['private_kib']}), "
                  f"cpu {100 * now['cpu']:.0f} %, {now['dropped']} of {now['packets']} packets dropped", flush=True)
        now.update(summary(knock_many(stage, contestant, 50, 20)[0]), rate=sum(flood.stop() for flood in floods))
        print(f"oneknock  at {now['rate']:,}/s; {now['opened']} of {now['knocks']} knocks then open")
    return results


# --- the parts ----------------------------------------------------------------------------------------------------


def is_over_ipv6(name):
    return bool((FLOODS.get(name) or {}).get("ipv6"))


def measure_one(kind, name, knocks, limit):
    """One flood against one of contestants.ALL. Each meets a daemon of its own: what the last one left behind in knockd
    and fwknopd would slow the next."""
    is_ours = kind is contestants.Oneknock
    ipv6 = is_over_ipv6(name)
    with Network() as net:
        stage = Stage(net, ipv6)
        contestant = kind(net, stage.server, stage.client, stage.server_address, PORT)
        if name == CROWD_NAME:
            result = measure_crowd(stage, contestant, 3 if is_ours else 1)
        else:
            ear = Eavesdropper(stage)
            record = recorded_knocks(stage, contestant, ear, RECORDED if is_ours else 2, limit)
            result = measure_flood(stage, contestant, ear, record, name, knocks, limit)
    print(line_of(result), flush=True)
    return result


def measure(knocks=100, others=30, soak=2, kinds=contestants.ALL, names=(*FLOODS, CROWD_NAME)):
    """`others`: knocks for knockd and fwknop, which are slow; bounded in time as well. `soak`: minutes, or 0."""
    results = []
    for kind, name in itertools.product(kinds, names):
        if kind is contestants.Oneknock:
            results.append(measure_one(kind, name, knocks, 45))
        elif "very port" not in name and not is_over_ipv6(name):  # the others look at neither
            results.append(measure_one(kind, name, others, 6))
    return {"floods": results, "soak": measure_soak(soak) if soak else []}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--knocks", type=int, default=100, help="for oneknock, per flood")
    parser.add_argument("--others", type=int, default=30, help="for knockd and fwknop; 6 seconds of it at most")
    parser.add_argument("--soak", type=int, default=2, metavar="MINUTES", help="of the long flood; 0: none")
    parser.add_argument("--only", help="one contestant")
    parser.add_argument("--flood", action="append", help="only those whose name begins so; -: none")
    parser.add_argument("--json", help="write the results to this file")
    chosen = parser.parse_args()
    kinds = [kind for kind in contestants.ALL if chosen.only in (None, kind.name)]
    names = [name for name in (*FLOODS, CROWD_NAME) if not chosen.flood or name.startswith(tuple(chosen.flood))]
    results = measure(chosen.knocks, chosen.others, chosen.soak, kinds, names)
    if chosen.json:
        with open(chosen.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
