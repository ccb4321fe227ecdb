"""Knocks of which each has a client's address of its own, so that an open port tells which knock opened it.

      client 10.77.128.1, ...2, ...  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)

A knock is planned (`oneknock open --dry-run --write`), so its packets are known before any of them is sent.
"""

import errno
import itertools
import os
import select
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "netns"))

from door import knock
from frames import Injector, read_pcap, with_source_port
from harness import PATIENCE, eventually
from traffic import Service

SERVER, PORT = "10.77.0.1", 22
PACKETS = 64
LOST = r"^warning: .*replay record.* every knock .*is refused"  # what the daemon says when it knows nothing of earlier knocks
_TOGETHER = 8  # knocks played back before their decisions are awaited


def address_of(number):
    return f"10.77.{128 + number // 250}.{1 + number % 250}"


class Street:
    """Where the door is, and the way to it."""

    def __init__(self, net, key):
        self._net = net
        self.key = key  # the client's
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", [f"{SERVER}/16"], self.client, "c0", ["10.77.0.2/16"])
        self.client.ip("route add local 10.77.128.0/17 dev lo")  # all of them are the client's
        net.keep(Service(self.server, PORT), Service.stop)
        self._played = itertools.count()
        self._injector = net.keep(Injector(self.client, "c0", self.server, "s0"), lambda injector: injector.__exit__())

    def planned(self, number, key=None):
        """The packets of a new knock."""
        path = self._net.path("planned.pcap")
        knock(self.client, key or self.key, "ssh", "--dry-run", "--write", path, "--source", address_of(number), "--for", "10m")
        packets = [packet for _, packet in read_pcap(path)[1]]
        os.unlink(path)
        return packets

    def send(self, *knocks):
        """All of them at once: a packet of each in turn."""
        for packets in zip(*knocks):
            self._injector.send(packets)

    def is_open(self, number):
        """Whether the service can be reached from the knock's address."""
        with self.client, socket.socket() as probe:
            probe.bind((address_of(number), 0))
            probe.setblocking(False)
            if probe.connect_ex((SERVER, PORT)) == errno.EINPROGRESS:
                select.select([], [probe], [], PATIENCE)
            return probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0

    def play_back(self, daemon, knocks, patience=PATIENCE):
        """Sends the knocks, {number: packets}, and awaits a decision about each; the numbers of those that opened."""
        daemon.ctl("revoke", "--all")
        before, accepted = decisions(daemon), daemon.accepted()
        numbers = sorted(knocks)
        for at in range(0, len(numbers), _TOGETHER):
            for number in numbers[at:at + _TOGETHER]:
                # From another port each time: the listener swallows what it has just read from this one.
                port = 1024 + next(self._played) % 64_000
                self.send([with_source_port(packet, port) for packet in knocks[number]])
            wanted = before + min(at + _TOGETHER, len(numbers))
            eventually(lambda: decisions(daemon) >= wanted, lambda: f"{wanted} decisions; {daemon.status()}\n{daemon.log}",
                       patience, step=0.02)
        addresses = {address for address, *_ in daemon.elements()}
        opened = [number for number in numbers if address_of(number) in addresses]
        if len(opened) != daemon.accepted() - accepted:
            raise AssertionError(f"{daemon.accepted() - accepted} accepted, but in the kernel are {addresses}\n{daemon.log}")
        return opened


def decisions(daemon):
    """How many knocks have been decided about."""
    status = daemon.status()
    return status["accepted"] + sum(count for reason, count in status["refused"].items() if reason != "unknown-key")
