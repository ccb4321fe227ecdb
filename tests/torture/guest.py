"""What runs in the virtual machine of power_cuts.py: plays back the knocks of earlier lives, then knocks until it is killed.

A knock's packets leave the machine, over the channel, before they are sent to the daemon; so the host knows all that were
ever used. Reports are lines of JSON: {"planned": number, "packets": [...]}, {"opened": number}, {"disk": number, ...} and
{"says": text}.

    guest.py FOLDER     made by power_cuts.py: life.json, the door home/, knocks.pcap
"""

import base64
import json
import os
import sys
import time

from fault_page import DOES_NOTHING, EVERY_SYNC, FOR_EVER, FaultPage
from knocks import LOST, PACKETS, Street

from door import Daemon
from frames import read_pcap
from harness import Network, run

DISK = "/disk"
STATE = DISK + "/state"
SOCKET = "/run/oneknock-torture.sock"
_CHANNEL = "/dev/vport1p1"
_AT_ONCE = 3       # knocks that are on their way at the same time
_PATIENCE = 120.0  # seconds, under emulation


class MadeDoor:
    """What Daemon wants of a door."""

    def __init__(self, folder):
        self.config = os.path.join(folder, "home", "oneknockd.json")
        self.socket = SOCKET


class Life:
    """From one power cut to the next."""

    def __init__(self, net, folder):
        self._net = net
        self._folder = folder
        with open(os.path.join(folder, "life.json")) as file:
            self.plan = json.load(file)
        self._channel = open(_CHANNEL, "wb", buffering=0)
        self._street = Street(net, os.path.join(folder, "alice.json"))
        self._opened, self._unknown = self._read_knocks()
        self._environment = None
        if self.plan["without_sync"]:
            page = FaultPage(net.path("faults"))
            page.set("gatekeeper", EVERY_SYNC, DOES_NOTHING, times=FOR_EVER)
            self._environment = page.environment

    def report(self, **what):
        data = json.dumps(what).encode() + b"\n"
        while data:
            data = data[self._channel.write(data):]

    def _read_knocks(self):
        """{number: packets} of those that opened, and of those of which that is not known."""
        packets = [packet for _, packet in read_pcap(os.path.join(self._folder, "knocks.pcap"))[1]]
        numbers = self.plan["opened"] + self.plan["unknown"]
        knocks = {number: packets[at * PACKETS:(at + 1) * PACKETS] for at, number in enumerate(numbers)}
        return [{number: knocks[number] for number in self.plan[kind]} for kind in ("opened", "unknown")]

    # --- after a cut ----------------------------------------------------------------------------------------------

    def check(self, number):
        """Mounts the disk, and plays every knock back that opened before. The daemon goes on."""
        run("mount", "-t", "ext4", "-o", "noatime", f"/dev/vd{chr(ord('a') + number)}", DISK)
        self._daemon = Daemon(self._net, self._street.server, MadeDoor(self._folder), env=self._environment)
        reopened = self._street.play_back(self._daemon, self._opened, _PATIENCE)
        self.report(disk=number, reopened=reopened, refused=self._daemon.refused(),
                    lost=self._daemon.process.count(LOST),
                    log=[line for line in self._daemon.log.splitlines() if "warning: " in line and "refused:" not in line])

    def leave(self):
        if self._daemon.stop() != 0:
            self.report(says=f"the daemon ended badly:\n{self._daemon.log}")
        run("umount", DISK)

    # --- until the next cut ---------------------------------------------------------------------------------------

    def knock_on(self):
        """Knocks until the machine is killed."""
        for number in self._street.play_back(self._daemon, self._unknown, _PATIENCE):
            self.report(opened=number)  # they may, once
        number = self.plan["next"]
        self.report(says="knocking")
        while True:
            numbers = range(number, number + _AT_ONCE)
            knocks = [self._planned(each) for each in numbers]
            self._street.send(*knocks)
            self._await_opening(set(numbers))
            number += _AT_ONCE

    def _planned(self, number):
        packets = self._street.planned(number)
        self.report(planned=number, packets=[base64.b64encode(packet).decode() for packet in packets])
        return packets

    def _await_opening(self, closed):
        """Tries the port from each address until it is open, and reports that at once."""
        end = time.monotonic() + _PATIENCE
        while closed:
            for number in sorted(closed):
                if self._street.is_open(number):
                    self.report(opened=number)
                    closed.discard(number)
            if time.monotonic() > end or self._daemon.process.exit is not None:
                self.report(says=f"{sorted(closed)} did not open:\n{self._daemon.log[-2000:]}")
                return


def main():
    os.makedirs(DISK, exist_ok=True)
    with Network() as net:
        life = Life(net, sys.argv[1])
        for number in reversed(range(life.plan["disks"])):
            life.check(number)
            if number > 0:
                life.leave()
        life.knock_on()


if __name__ == "__main__":
    main()
