"""./run demo: one knock from client to kernel, step by step, seen from real connection attempts.

      client       10.77.0.2 fd77::2  c0 ---- s0  10.77.0.1 fd77::1
                                                  server: ftp 21, smtp 25, http 80, pop3 110, behind oneknockd's guard
      second host  10.77.1.2 fd78::2  o0 ---- s1  10.77.1.1 fd78::1

Prints a line a step; the exit status is 0 only if every step was observed.
"""

import os
import signal
import socket
import struct
import sys
import threading
import time

from door import Daemon, Door, close, elements, key_for, knock
from harness import Network, eventually

SERVICES = {"ftp": 21, "smtp": 25, "http": 80, "pop3": 110}
GREETINGS = {21: b"220 ftp ready\r\n", 25: b"220 smtp ready\r\n", 80: b"HTTP/1.0 200 OK\r\n\r\nhello\n", 110: b"+OK pop3 ready\r\n"}
KNOCKED = "smtp"
GRANT_SECONDS = 4
SWALLOWED_SECONDS = 5  # the packets of a knock that was read are passed over for so long


class Greeter:
    """The four services: each says what its protocol says first (http: after a request), then echoes."""

    def __init__(self, namespace):
        with namespace:
            for port in GREETINGS:
                listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
                threading.Thread(target=self._accept, args=(listener, port), daemon=True).start()

    def _accept(self, listener, port):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._talk, args=(connection, port), daemon=True).start()

    @staticmethod
    def _talk(connection, port):
        try:
            if port == 80:
                connection.recv(1000)
            connection.sendall(GREETINGS[port])
            while data := connection.recv(1000):
                connection.sendall(data)
        except OSError:
            pass


class Demo:
    def __init__(self, net):
        self.failed = 0
        self.steps = 0
        self.server, self.client, self.second = map(net.namespace, ("server", "client", "second"))
        net.link(self.server, "s0", ["10.77.0.1/24", "fd77::1/64"], self.client, "c0", ["10.77.0.2/24", "fd77::2/64"])
        net.link(self.server, "s1", ["10.77.1.1/24", "fd78::1/64"], self.second, "o0", ["10.77.1.2/24", "fd78::2/64"])
        self.second.ip("route add 10.77.0.0/24 via 10.77.1.1", "route add fd77::/64 via fd78::1")
        Greeter(self.server)
        self.check("before: all four services answer both hosts, as anywhere",
                   all(self.answers(host, "10.77.0.1", port) for host in (self.client, self.second) for port in GREETINGS))
        self.door = Door(net, "10.77.0.1", services=[f"{name}=tcp/{port}" for name, port in SERVICES.items()])
        self.key = {4: self.door.add("alice", allow=list(SERVICES))}
        self.key[6] = key_for(self.key[4], "fd77::1", net.path("alice6.json"))
        self.daemon = Daemon(net, self.server, self.door)

    def check(self, what, observed, detail=""):
        self.steps += 1
        self.failed += not observed
        print(f"{self.steps:3}. {'ok  ' if observed else 'FAIL'} {what}{'  (' + detail + ')' if detail else ''}", flush=True)

    @staticmethod
    def connect(host, address, port):
        with host:
            made = socket.create_connection((address, port), 1)
        if port == 80:
            made.sendall(b"GET / HTTP/1.0\r\n\r\n")
        if made.recv(len(GREETINGS[port])) != GREETINGS[port]:
            raise OSError("another greeting")
        return made

    def answers(self, host, address, port):
        try:
            self.connect(host, address, port).close()
            return True
        except OSError:
            return False

    def reachable(self, host, address):
        return {name for name, port in SERVICES.items() if self.answers(host, address, port)}

    def run(self):
        print("IPv4")
        self.closed_to_both("10.77.0.1")
        frames, connection = self.one_knock_opens_one_service()
        self.it_closes_by_itself(connection)
        self.the_same_packets_again(frames)
        self.close_closes_early(4, "10.77.0.1")
        print("IPv6")
        self.closed_to_both("fd77::1")
        self.close_closes_early(6, "fd77::1")
        self.check("the daemon ends, and what was closed stays closed", self.daemon.stop() == 0 and
                   not self.reachable(self.client, "10.77.0.1"))

    def closed_to_both(self, address):
        self.check("the guard is up: ftp, smtp, http and pop3 are closed to the client and to the second host",
                   not self.reachable(self.client, address) and not self.reachable(self.second, address))

    def one_knock_opens_one_service(self):
        with self.server:
            sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
            sniffer.bind(("s0", 0))
        start = time.monotonic()
        done = knock(self.client, self.key[4], KNOCKED, "--wait", "--for", f"{GRANT_SECONDS}s", check=False)
        took = (time.monotonic() - start) * 1000
        self.check(f"one knock: {done.stdout.strip()}", done.returncode == 0,
                   f"{took:.0f} ms with the start of the process and its end, seen from outside")
        self.check(f"exactly {KNOCKED} is open, for exactly the client",
                   self.reachable(self.client, "10.77.0.1") == {KNOCKED} and not self.reachable(self.second, "10.77.0.1"))
        grant = elements(self.server)
        self.check("in the kernel: " + ", ".join(f"{a} . {p} . {port} expires in {s} s" for a, p, port, s in grant),
                   [g[:3] for g in grant] == [("10.77.0.2", "tcp", SERVICES[KNOCKED])])
        frames = self.sniffed(sniffer)
        self.check(f"an observer has seen {len(frames)} short datagrams to as many ports", len(frames) == 64)
        return frames, self.connect(self.client, "10.77.0.1", SERVICES[KNOCKED])

    @staticmethod
    def sniffed(sniffer):
        """The knock's frames: UDP from the client, without payload."""
        frames = []
        sniffer.setblocking(False)
        try:
            while True:
                frame, (_, _, kind, _, _) = sniffer.recvfrom(2000)
                if kind == 0 and frame[23] == 17 and struct.unpack(">H", frame[38:40])[0] == 8:
                    frames.append(frame)
        except BlockingIOError:
            return frames

    def it_closes_by_itself(self, connection):
        start = time.monotonic()
        eventually(lambda: not self.answers(self.client, "10.77.0.1", SERVICES[KNOCKED]), "the grant to end", GRANT_SECONDS + 2, 0.1)
        self.check(f"after its {GRANT_SECONDS} s the port has closed by itself", not elements(self.server),
                   f"{time.monotonic() - start:.1f} s after the last step")
        connection.sendall(b"still here?")
        self.check("the connection made meanwhile lives on", connection.recv(100) == b"still here?")
        connection.close()

    def the_same_packets_again(self, frames):
        time.sleep(max(0, SWALLOWED_SECONDS + 0.3 - GRANT_SECONDS))
        with self.client:
            out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            out.bind(("c0", 0))
            for frame in frames:
                out.send(frame)
        line = self.daemon.wait_for("refused: replayed")
        self.check(f"the captured packets sent again, from the same address: {line}",
                   not self.reachable(self.client, "10.77.0.1") and self.daemon.refused() == {"replayed": 1})

    def close_closes_early(self, version, address):
        done = knock(self.client, self.key[version], "http", "--wait", check=False)
        self.check(f"a knock for http: {done.stdout.strip()}; nothing else, and not for the second host", done.returncode == 0 and
                   self.reachable(self.client, address) == {"http"} and not self.reachable(self.second, address))
        done = close(self.client, self.key[version], "http", "--wait", check=False)
        self.check(f"`close` closes early: {done.stdout.strip()}", done.returncode == 0 and not self.reachable(self.client, address))


def main():
    if os.geteuid() != 0:
        sys.exit("the demo makes network namespaces and needs root")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, lambda *_: sys.exit("the demo was interrupted"))
    signal.alarm(60)
    with Network() as net:
        try:
            demo = Demo(net)
            demo.run()
        except (AssertionError, OSError) as problem:
            print(f"FAIL {problem}")
            return 1
    print(f"{demo.steps - demo.failed} of {demo.steps} steps observed")
    return 1 if demo.failed else 0


if __name__ == "__main__":
    sys.exit(main())
