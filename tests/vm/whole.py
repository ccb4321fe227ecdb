"""The packages in a virtual machine with systemd: ./run vm

    whole.py --packages FOLDER [--write docs/machine.md] [--without GROUP...]

Each line that is printed was shown in the machine. The table of the last whole run is kept in docs/machine.md.
"""

import argparse
import datetime
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time

from image import HERE, image
from beside import BesideFirewalls, OtherLinks
from debs import delivered, dependencies, with_version
from departure import Upgraded
from keys import HandedOut
from life import Installed, UnderSystemd
from machine import Machine
from questions import Asked
from steps import run_group

GROUPS = (Installed, UnderSystemd, HandedOut, Asked, BesideFirewalls, OtherLinks, Upgraded)  # on one machine, one after the other


def shared_folder(packages, folder):
    shared = os.path.join(folder, "shared")
    os.mkdir(shared)
    for path in delivered(packages):
        shutil.copy2(path, shared)
    daemon, = glob.glob(f"{packages}/oneknockd_*.deb")
    with_version(daemon, "+next", os.path.join(shared, "next.deb"))
    shutil.copy2(os.path.join(HERE, "lan"), shared)
    source, = glob.glob(f"{packages}/*.dsc")
    subprocess.run(["dpkg-source", "--no-check", "-x", source, os.path.join(shared, "source")], check=True,
                   stdout=subprocess.DEVNULL)
    return shared


def table(results, seconds):
    lines = ["# In a machine with systemd", "",
             "Written by `./run vm`: the packages of `./run package` in a virtual machine (qemu, Debian 12 with systemd and",
             "its own kernel), installed and used as [operations.md](operations.md) says. Each line was shown there.", "",
             f"The last run: {datetime.date.today()}, {seconds / 60:.0f} minutes under software emulation.", ""]
    title = ""
    for result in results:
        if result.title != title:
            title = result.title
            lines += [f"## {title}", "", "| | seconds |", "| --- | --- |"]
        lines.append(f"| {'**failed**: ' if result.problem else ''}{result.sentence} | {result.seconds:.0f} |")
        if result is results[-1] or results[results.index(result) + 1].title != title:
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def run(groups, made, packages):
    """A group that fails does not keep the others from being tried, but for the first, without which there is no daemon."""
    results = []
    with tempfile.TemporaryDirectory(prefix=f"oktest-{os.getpid()}-") as folder:
        with Machine(folder, made, shared_folder(packages, folder)) as machine:
            for kind in groups:
                results += run_group(kind, machine)
                if kind is Installed and results[-1].problem:
                    break
    return results


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--packages", required=True)
    options.add_argument("--write")
    options.add_argument("--without", nargs="*", default=())
    chosen = options.parse_args()
    begin = time.monotonic()
    print("the image:", flush=True)
    made = image(dependencies(chosen.packages))
    results = run([kind for kind in GROUPS if kind.__name__ not in chosen.without], made, chosen.packages)
    if chosen.write and not chosen.without:
        with open(chosen.write, "w", encoding="utf-8") as file:
            file.write(table(results, time.monotonic() - begin))
    failed = sum(1 for result in results if result.problem)
    print(f"\n{len(results) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not results else 0)


if __name__ == "__main__":
    main()
