"""Runs tests of this folder's neighbours in a virtual machine with Debian's own kernel: ./run vm TOPIC...

A TOPIC is one of tests/netns, or `firewall`. The programs are those of ONEKNOCK_BIN; the machine has veth, VLAN, VRF,
WireGuard, dummy interfaces and netem, which the kernel at hand need not have.
"""

import os
import re
import sys
import tempfile
import time

import machine
from harness import BIN, program

_LIMIT = 3600.0  # seconds; a topic takes some ten times as long as outside


def command_for(topic):
    netns = os.path.join(machine.HERE, "..", "netns")
    environment = {"ONEKNOCK_BIN": os.path.abspath(BIN)}
    clock = os.environ.get("SHIFTED_CLOCK_LIBRARY")
    if clock:
        environment["SHIFTED_CLOCK_LIBRARY"] = os.path.abspath(clock)
    if topic == "firewall":
        return machine.guest_shell(netns, environment, program("firewall_tests"))
    if not os.path.exists(os.path.join(netns, topic + ".py")):
        sys.exit(f"vm: there is no topic '{topic}'; topics are firewall and the files of tests/netns")
    return machine.guest_shell(netns, environment, sys.executable, "-u", "-B", topic + ".py")


def run_in_machine(command):
    """Shows the console; the command's exit status."""
    with tempfile.TemporaryDirectory(prefix=f"oktest-{os.getpid()}-vm-") as folder:
        made = machine.Machine(folder, command)
        try:
            shown, end = 0, time.monotonic() + _LIMIT
            while made.process.exit is None and time.monotonic() < end:
                time.sleep(0.2)
                lines = made.process.log.splitlines()
                print("\n".join(lines[shown:]), end="\n" if lines[shown:] else "", flush=True)
                shown = len(lines)
            return int(re.match(machine.ENDED, made.process.wait_for(machine.ENDED))[1])
        finally:
            made.kill()


def main():
    commands = [command_for(topic) for topic in sys.argv[1:]]
    machine.prepare()
    sys.exit(max(map(run_in_machine, commands), default=64))


if __name__ == "__main__":
    main()
