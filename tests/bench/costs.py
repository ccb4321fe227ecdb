"""What a packet and a knock cost inside the daemon: the programs of costs/ in process, and the daemon's own account of its
parts over a hundred knocks.

    ONEKNOCK_BIN=build/bench/bin python3 tests/bench/costs.py        as root; about two minutes
"""

import json
import statistics
import time

from contestants import Oneknock
from harness import Network, program, run
from knocks import Bench

KNOCKS = 100
REPETITIONS = 7


def of_program(name, *options):
    """{benchmark: [each repetition]}; each has "seconds" and the benchmark's own counters."""
    told = json.loads(run(program(name), "--benchmark_format=json", *options, timeout=600).stdout)
    found = {}
    for each in told["benchmarks"]:
        if each["run_type"] != "iteration":
            continue
        if "error_message" in each:
            raise AssertionError(f"{name}: {each['name']}: {each['error_message']}")
        scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}[each["time_unit"]]
        name_and_size = "/".join(part for part in each["name"].split("/") if part.isalnum() or "_" in part and ":" not in part)
        found.setdefault(name_and_size.removesuffix("/manual_time"), []).append({**each, "seconds": each["real_time"] * scale})
    return found


def per_packet():
    """Repetitions in random order, so that what else the machine does meets all of them alike."""
    found = of_program("per_packet", f"--benchmark_repetitions={REPETITIONS}", "--benchmark_enable_random_interleaving=true")
    median = {name: statistics.median(each["seconds"] for each in runs) for name, runs in found.items()}
    least = {name: min(each["seconds"] for each in runs) for name, runs in found.items()}
    empty, one, many = "empty_pcap_loop", "whole_listener/1", "whole_listener/100000"
    return {"median_s": median, "least_s": least,
            "ratio": median[one] / median[empty], "least_ratio": least[one] / least[empty],
            "clients_ratio": median[many] / median[one], "least_clients_ratio": least[many] / least[one],
            "allocations_per_packet": max(each["allocations_per_packet"] for each in found[one] + found[many])}


def per_knock():
    """{part: {size: seconds}}; parts that do not grow have the size 0."""
    found = {}
    for name, runs in of_program("per_knock").items():
        part, _, size = name.partition("/")
        found.setdefault(part, {})[size or "0"] = runs[0]["seconds"]
        if "longest_ms" in runs[0]:
            found["hour_change_longest"] = {size: runs[0]["longest_ms"] / 1000}
    return found


def in_the_daemon():
    """Medians of the daemon's own times, in milliseconds: each knock is the difference of two sums."""
    samples = {}
    with Network() as net:
        bench = Bench(net)
        with bench.contestant(Oneknock) as contestant:
            for _ in range(KNOCKS):
                before = contestant.daemon.status()["times"]
                contestant.knock()
                time.sleep(0.05)  # looking for the element would compete with making it
                after = contestant.daemon.status()["times"]
                assert after["total"]["count"] == before["total"]["count"] + 1, "a knock did not open"
                for part, sums in after.items():
                    samples.setdefault(part, []).append((sums["sum_ns"] - before[part]["sum_ns"]) / 1e6)
                contestant.close()
                time.sleep(0.05)
    return {part: {"median_ms": statistics.median(each), "most_ms": max(each)} for part, each in samples.items()}


def measure():
    figures = {"per_packet": per_packet(), "per_knock": per_knock(), "in_the_daemon": in_the_daemon()}
    print(json.dumps(figures, indent=1), flush=True)
    return figures


if __name__ == "__main__":
    measure()
