"""Power cuts while knocks open: after none of them may a knock open again.

    power_cuts.py [--cycles N] [--outcomes N] [--seed N] [--without-sync]

A virtual machine runs the daemon, its state folder on a disk with a volatile write cache (disk.py). In each cycle it knocks
until the power fails: the disk stops at a random moment (often just after an opening, a flush or a write), what opened in
the few hundred milliseconds that the machine lives on is still noted, then it is killed. The next machine gets some of the
disks that such a cut may leave; on each, the daemon starts and every knock that had opened since the beginning is played
back. All of them are fresh by the clock (the tolerance is an hour), so only the record stands between them and an open port.

With --without-sync, the daemon's flushes do nothing from the second cut on. Then replays must open or the record be called
lost; this shows that the cuts are ones.
"""

import argparse
import base64
import json
import os
import random
import shutil
import sys
import threading
import time

import machine
from disk import Disk, Survival
from fault_page import LIBRARY
from guest import SOCKET, STATE
from knocks import SERVER

from door import change_json
from frames import RAW, write_pcap
from harness import Network, eventually, program, run

_DISK_SIZE = "48M"


class Life:
    """A machine from its boot to the cut; what it reports."""

    def __init__(self, folder, disks, opened):
        self.disks = disks
        self.opened = opened  # {number: when it was told}
        self.planned = {}     # {number: packets}
        self.checked = []
        self.said = []
        environment = {"ONEKNOCK_BIN": os.path.dirname(program("oneknockd")), "FAULTS_LIBRARY": LIBRARY}
        command = machine.guest_shell(machine.HERE, environment, sys.executable, "-B", "guest.py", folder)
        self._machine = machine.Machine(folder, command, [path for _, path in disks])
        self._stream = self._machine.connect()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        try:
            for line in self._stream:
                self._take(json.loads(line))
        except (OSError, ValueError):
            pass  # the machine is gone, in the middle of a line perhaps

    def _take(self, report):
        if "planned" in report:
            self.planned[report["planned"]] = [base64.b64decode(packet) for packet in report["packets"]]
        elif "opened" in report:
            self.opened[report["opened"]] = time.monotonic()
        elif "disk" in report:
            self.checked.append(report)
        else:
            self.said.append(report["says"])

    def await_knocking(self):
        def begun():
            if self._machine.process.exit is not None or "command ended" in self._machine.process.log:
                raise AssertionError(f"the machine ended by itself:\n{self._machine.process.log}\n{self.said}")
            return "knocking" in self.said

        eventually(begun, lambda: f"the knocks to begin; {self.said}\n{self._machine.process.log}", machine.PATIENCE)

    def cut(self, chance):
        """At a random moment; a word about it."""
        disk = self.disks[0][0]
        before = len(self.opened)
        eventually(lambda: len(self.opened) > before, lambda: f"a knock to open: {self.said}", machine.PATIENCE)
        # Half of them in the midst of what is written: what is on its way to the disk then is what may be lost.
        moment = chance.choice(("any", "opened", "flushed", "written", "written", "written"))
        time.sleep(chance.uniform(0.0, 6.0))
        if moment == "opened":
            seen = len(self.opened)
            eventually(lambda: len(self.opened) > seen, "an opening", machine.PATIENCE, step=0.0002)
        elif moment == "flushed":
            seen = disk.flushes
            eventually(lambda: disk.flushes > seen, "a flush", machine.PATIENCE, step=0.0002)
            time.sleep(chance.choice((0.0, 0.002, 0.01)))
        elif moment == "written":
            disk.cut_after(chance.randint(1, 12))
            eventually(lambda: disk.is_cut, "a write", machine.PATIENCE)
        for each, _ in self.disks:
            each.cut()
        time.sleep(chance.uniform(0.0, 0.5))
        self._machine.kill()
        self._reader.join(10)
        return moment

    def end(self):
        self._machine.kill()


class PowerCuts:
    def __init__(self, net, options):
        self.net = net
        self.options = options
        self.chance = random.Random(options.seed)
        self.opened, self.packets = {}, {}
        self.cuts = self.checked = self.replays = self.reopened = self.lost = 0
        self.next = 0
        self.contents = self._new_disks()

    def _new_disks(self):
        """A door, a client's key, and a file system with the door's state folder."""
        seed = self.net.path("seed")
        for path in (seed, self.net.path("home")):
            shutil.rmtree(path, ignore_errors=True)
        for path in (self.net.path("alice.json"), self.net.path("image")):
            if os.path.exists(path):
                os.unlink(path)
        self.opened.clear()
        self.packets.clear()
        os.mkdir(seed)
        run(program("oneknock-keygen"), "init", "--dir", self.net.path("home"), "--name", "home", "--address", SERVER,
            "--state", seed + "/state", "--socket", SOCKET, "--service", "ssh=tcp/22")
        run(program("oneknock-keygen"), "add", "--dir", self.net.path("home"), "alice", "-o", self.net.path("alice.json"),
            "--allow", "ssh", "--max-duration", "1h")
        change_json(self.net.path("home", "oneknockd.json"),
                    lambda content: content.update(state=STATE, tolerance="1h"))
        image = self.net.path("image")
        run("mkfs.ext4", "-q", "-F", "-d", seed, image, _DISK_SIZE)
        with open(image, "rb") as file:
            return [file.read()]

    def run(self):
        begin = time.monotonic()
        for _ in range(self.options.cycles):
            self._live(self._cut)
            self.cuts += 1
        self._live(lambda life: None)  # what the last cut left
        print(f"power cuts: {self.cuts} in {time.monotonic() - begin:.0f} s, {self.checked} disks that they may leave; "
              f"{len(self.opened)} knocks opened, {self.replays} played back, {self.reopened} opened again; "
              f"the record was called lost {self.lost} times", flush=True)
        return self.reopened, self.lost

    def _live(self, then):
        """Boots on the disks, looks at what the machine found there, and calls then(life)."""
        self._write_plan()
        disks = []
        for number, content in enumerate(self.contents):
            path = self.net.path(f"disk{number}")
            disks.append((self.net.keep(Disk(path, content), Disk.end), path))
        life = self.net.keep(Life(self.net.folder, disks, self.opened), Life.end)
        life.await_knocking()
        is_shut = self._judge(life)
        if not is_shut:
            then(life)
        life.end()
        for disk, _ in disks:
            disk.end()
        self.packets.update(life.planned)
        self.next = max(self.packets, default=self.next - 1) + 1
        if is_shut:  # for an hour nothing opens; with another door it goes on at once
            self.contents = self._new_disks()

    def _write_plan(self):
        unknown = sorted(set(self.packets) - set(self.opened))
        opened = sorted(self.opened)
        with open(self.net.path("life.json"), "w") as file:
            json.dump({"disks": len(self.contents), "opened": opened, "unknown": unknown,
                       "next": self.next, "without_sync": self.options.without_sync and bool(opened)}, file)
        write_pcap(self.net.path("knocks.pcap"), RAW,
                   [(0, packet) for number in opened + unknown for packet in self.packets[number]])
        self.played = len(opened)

    def _judge(self, life):
        """Whether the disk on which it goes on is shut, since its record was called lost."""
        for report in life.checked:
            self.checked += bool(self.played)
            self.replays += self.played
            self.reopened += len(report["reopened"])
            self.lost += report["lost"] > 0
            if report["reopened"] or report["lost"]:
                print(f"  disk {report['disk']}: opened again: {report['reopened']}, refused {report['refused']}, "
                      f"log: {report['log']}", flush=True)
        return any(report["lost"] for report in life.checked if report["disk"] == 0)

    def _cut(self, life):
        known = len(self.opened)
        moment = life.cut(self.chance)
        disk = life.disks[0][0]
        survivals = self.chance.sample(list(Survival), self.options.outcomes)
        self.contents = [disk.outcome(survival, self.chance) for survival in survivals]
        print(f"cut {self.cuts + 1}: {moment}; {len(self.opened) - known} knocks opened, {disk.flushes} flushes; of "
              f"{disk.unflushed} sectors not flushed survive: {', '.join(each.value for each in survivals)}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=2)
    parser.add_argument("--outcomes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--without-sync", action="store_true")
    options = parser.parse_args()
    machine.prepare()
    print(f"power cuts: {options.cycles} cycles, {options.outcomes} outcomes of each, seed {options.seed}", flush=True)
    with Network() as net:
        reopened, lost = PowerCuts(net, options).run()
    sys.exit(1 if reopened or lost else 0)


if __name__ == "__main__":
    main()
