"""How long the daemon takes to start, and how much memory its processes take.

    python3 -B tests/bench/start.py FOLDER [FOLDER ...]     folders with the programs; more than one are measured in turn

From the start of oneknockd to its READY=1, with one client, in a network namespace; the memory of all its processes a
moment later, from smaps_rollup: anonymous (Pss_Anon), all (Pss), private (Private_Clean and Private_Dirty).
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 40


def memory_kib(pid):
    """Its share of anonymous memory, its share of all memory, and what it shares with nobody."""
    wanted = {"Pss_Anon:": 0, "Pss:": 0, "Private_Clean:": 0, "Private_Dirty:": 0}
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for name, number, *_ in (line.split() for line in file.readlines()[1:]):
            if name in wanted:
                wanted[name] = int(number)
    return wanted["Pss_Anon:"], wanted["Pss:"], wanted["Private_Clean:"] + wanted["Private_Dirty:"]


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def make_door(programs, folder):
    def keygen(*words):
        subprocess.run([os.path.join(programs, "oneknock-keygen"), *words], check=True, stderr=subprocess.DEVNULL)

    keygen("init", "--dir", folder, "--name", "home", "--address", "127.0.0.1", "--service", "ssh=tcp/22",
           "--state", folder + "-state", "--socket", folder + "-run/control.sock")
    keygen("add", "--dir", folder, "laptop", "--allow", "ssh", "-o", folder + "-key.json")
    with open(folder + "/oneknockd.json") as file:
        text = file.read()
    with open(folder + "/oneknockd.json", "w") as file:
        file.write(text.replace('"user": "oneknock"', '"user": "nobody"'))


def measure(programs, folder, notify):
    """Milliseconds to READY=1, and KiB as of memory_kib()."""
    begin = time.monotonic()
    daemon = subprocess.Popen([os.path.join(programs, "oneknockd"), "--config", folder + "/oneknockd.json"],
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env={**os.environ, "NOTIFY_SOCKET": notify.getsockname()})
    try:
        notify.recv(64)
        took = (time.monotonic() - begin) * 1000
        time.sleep(0.05)
        return took, *map(sum, zip(*(memory_kib(pid) for pid in [daemon.pid, *children_of(daemon.pid)])))
    finally:
        daemon.terminate()
        daemon.wait(10)


def main(folders):
    if os.environ.get("ONEKNOCK_BENCH_NAMESPACE") is None:
        os.environ["ONEKNOCK_BENCH_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--", sys.executable, "-B", __file__, *folders])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as place:
        door = os.path.join(place, "door")
        make_door(folders[0], door)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(os.path.join(place, "notify"))
        notify.settimeout(20)
        seen = {folder: [] for folder in folders}
        for _ in range(ROUNDS):
            for folder in folders:
                seen[folder].append(measure(folder, door, notify))
        for folder, rounds in seen.items():
            took, anonymous, shares, private = map(statistics.median, zip(*rounds))
            print(f"{folder}: {took:.1f} ms to READY=1; KiB: {anonymous:.0f} anonymous, {shares:.0f} in all, {private:.0f} private")



if __name__ == "__main__":
    main(sys.argv[1:])
