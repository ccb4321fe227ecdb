"""`./run bench [PART...]`: measures and writes docs/benchmarks.md. Parts: knocks, stages, floods, costs, clients, monday, busy; all of them take about
half an hour. Nothing else should run on the machine. The figures are kept in build/bench/results.json, so that a part can be
measured again alone."""

import json
import os
import platform
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "netns"))

import busy  # noqa: E402
import clients  # noqa: E402
import contestants  # noqa: E402
import costs  # noqa: E402
import floods  # noqa: E402
import knocks  # noqa: E402
import monday  # noqa: E402
import report  # noqa: E402
import stages  # noqa: E402

PARTS = {"knocks": knocks.measure, "stages": stages.measure, "floods": floods.measure, "costs": costs.measure, "clients": clients.measure,
         "monday": monday.measure, "busy": busy.measure}
RESULTS = os.path.join(report.ROOT, "build", "bench", "results.json")


def machine():
    with open("/proc/cpuinfo") as file:
        model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) // 2 ** 20
    return {"processor": f"{os.cpu_count()} cores of {model}", "memory": f"{memory} GiB",
            "kernel": platform.release().split("-")[0]}


def main():
    parts = sys.argv[1:] or list(PARTS)
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        sys.exit(f"bench: there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    if os.geteuid() != 0 or contestants.missing():
        sys.exit(f"bench: needs {' and '.join(contestants.missing()) or 'root'}")
    results = {}
    if os.path.exists(RESULTS):
        with open(RESULTS) as file:
            results = json.load(file)
    results["machine"] = machine()
    for part in parts:
        print(f"== {part}", flush=True)
        results[part] = PARTS[part]()
        with open(RESULTS, "w") as file:
            json.dump(results, file, indent=1)
    report.write(results)
    print("== docs/benchmarks.md and its plots are written")


if __name__ == "__main__":
    main()
