"""./run fuzz [--altogether] [SECONDS [TARGET...]]: every target, or those named, for so many seconds of processor time,
two at a time.

They run only while nothing else wants the processor, so that they may be left running beside other work. Interrupted, it
ends them and prints what they did. What each run of a target did is added to build/fuzz/runs.json; with --altogether, what
is there counts towards the seconds, and the sums are printed. What one finds is left in build/fuzz/findings and makes the
exit status 1. The corpora that grow are in build/fuzz/corpus; `tests/fuzz/run.py keep` puts those few files of them into
tests/fuzz/corpus that together reach most.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

PROGRAMS = "build/fuzz/bin/fuzz"
GROWN = "build/fuzz/corpus"
FINDINGS = "build/fuzz/findings"
RUNS = "build/fuzz/runs.json"  # a list of what fuzz() returns
KEPT = "tests/fuzz/corpus"
AT_ONCE = 2
LONGEST_INPUT = {"capture": 4096, "channel": 8192, "netlink": 4096, "journal": 4096}
MOST_KEPT, LARGEST_KEPT = 16, 1024  # files of a target, and bytes of each
HEAD = "| target | seconds | executions | a second | edges | findings |\n| --- | --- | --- | --- | --- | --- |"

interrupted = threading.Event()
one_writes = threading.Lock()


def targets():
    return sorted(os.listdir(PROGRAMS))


def kept(target):
    folder = f"{KEPT}/{target}"
    os.makedirs(folder, exist_ok=True)
    return folder


def begin(target):
    """The folder of the corpus that grows, with the target's own seeds."""
    folder = f"{GROWN}/{target}"
    os.makedirs(folder, exist_ok=True)
    subprocess.run([f"{PROGRAMS}/{target}", f"--write-seeds={folder}"], check=True)
    return folder


def last(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def findings(target):
    return {name for name in os.listdir(FINDINGS) if name.startswith(f"{target}-") and "-slow-unit-" not in name}


def processor_seconds(pid):
    """Of a process and of what it has waited for; 0 once it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            times = file.read().rpartition(")")[2].split()[11:15]
    except FileNotFoundError:
        return 0
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def give_way(pid):
    """SCHED_IDLE gives way to the processes of its own session alone, where the kernel groups them by that (sched(7), "The
    autogroup feature"); this is for the others."""
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
            file.write("19")
    except OSError:  # a kernel without it, or the process is gone
        pass


def stop_after(process, seconds):
    """What it used. That is how libFuzzer ends with its counts, and well."""
    used = 0
    while process.poll() is None:
        used = max(used, processor_seconds(process.pid))
        if used >= seconds or interrupted.is_set():
            process.send_signal(signal.SIGUSR1)
            process.wait()
        time.sleep(1)
    return used


def fuzz(target, seconds):
    folder, before = begin(target), findings(target)
    with open(f"build/fuzz/{target}.log", "w+", encoding="utf-8", errors="replace") as log:
        with subprocess.Popen(
                ["chrt", "--idle", "0", f"{PROGRAMS}/{target}", "-print_final_stats=1", "-timeout=300",
                 "-close_fd_mask=3", f"-max_len={LONGEST_INPUT.get(target, 2048)}",
                 f"-artifact_prefix={FINDINGS}/{target}-", folder, kept(target)],
                stdout=subprocess.DEVNULL, stderr=log, start_new_session=True) as process:
            give_way(process.pid)
            used = stop_after(process, seconds)
        log.seek(0)
        said = log.read()
    found = len(findings(target) - before)
    done = {"target": target, "seconds": used, "executions": last(r"number_of_executed_units: +(\d+)", said),
            "edges": last(r"cov: (\d+)", said), "of": last(r"\((\d+) inline 8-bit counters\)", said), "findings": found}
    if found == 0 and process.returncode != 0:
        print(f"run fuzz: {target} ended with {process.returncode}; what it said is in build/fuzz/{target}.log", flush=True)
        done["findings"] = 1
    return done


def row(done):
    rate = done["executions"] / max(done["seconds"], 1)
    return (f"| {done['target']} | {done['seconds']:,.0f} | {done['executions']:,} | {rate:,.0f} | "
            f"{done['edges']:,} of {done['of']:,} | {done['findings']} |")


def runs():
    if not os.path.exists(RUNS):
        return []
    with open(RUNS, encoding="utf-8") as file:
        return json.load(file)


def remember(done):
    with one_writes:
        known = runs() + [done]
        with open(f"{RUNS}.new", "w", encoding="utf-8") as file:
            json.dump(known, file, indent=1)
        os.replace(f"{RUNS}.new", RUNS)


def altogether(target):
    done = {"target": target, "seconds": 0, "executions": 0, "edges": 0, "of": 0, "findings": 0}
    for run_of_it in filter(lambda known: known["target"] == target, runs()):
        for what in ("seconds", "executions", "findings"):
            done[what] += run_of_it[what]
        done["edges"], done["of"] = run_of_it["edges"], run_of_it["of"]
    return done


def run(seconds, chosen, what_was_counts):
    os.makedirs(FINDINGS, exist_ok=True)
    print(HEAD, flush=True)

    def one(target):
        left = seconds - (altogether(target)["seconds"] if what_was_counts else 0)
        if left <= 0 or interrupted.is_set():
            return True
        done = fuzz(target, left)
        print(row(done), flush=True)
        remember(done)
        return done["findings"] == 0

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        good = all(list(pool.map(one, chosen)))
    if what_was_counts:
        print("altogether:", HEAD, *map(row, map(altogether, chosen)), sep="\n", flush=True)
    if not good:
        print(f"findings are in {FINDINGS}; to see one again: {PROGRAMS}/TARGET FILE", flush=True)
    return good


def reached(control):
    """{file: what it reaches}, from the control file of a merge."""
    with open(control, encoding="utf-8") as file:
        lines = file.read().splitlines()
    names = lines[2:2 + int(lines[0])]
    found = {}
    for line in lines[2 + len(names):]:
        kind, index, *features = line.split()
        if kind == "FT":
            found[names[int(index)]] = set(features)
    return found


def best(files):
    """The files that reach most together."""
    chosen, seen = [], set()
    while files and len(chosen) < MOST_KEPT:
        name = max(sorted(files), key=lambda name: (len(files[name] - seen), -os.path.getsize(name)))
        new = files.pop(name) - seen
        if not new:
            break
        chosen.append(name)
        seen |= new
    return chosen


def keep(chosen):
    for target in chosen:
        merged, control = f"build/fuzz/merged/{target}", f"build/fuzz/merged/{target}.control"
        shutil.rmtree(merged, ignore_errors=True)
        os.makedirs(merged)
        if os.path.exists(control):
            os.remove(control)
        subprocess.run([f"{PROGRAMS}/{target}", "-merge=1", f"-merge_control_file={control}", "-use_counters=0",
                        f"-max_len={LARGEST_KEPT}", "-close_fd_mask=3", merged, kept(target), begin(target)],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        files = {name: features for name, features in reached(control).items()
                 if os.path.getsize(name) <= LARGEST_KEPT}
        chosen_files = {}  # name: content; a finding keeps its name
        for path in best(files) + [file.path for file in os.scandir(kept(target)) if file.name.startswith("finding-")]:
            with open(path, "rb") as file:
                content = file.read()
            name = os.path.basename(path)
            chosen_files[name if name.startswith("finding-") else hashlib.sha1(content).hexdigest()[:16]] = content
        shutil.rmtree(kept(target))
        for name, content in chosen_files.items():
            with open(f"{kept(target)}/{name}", "wb") as file:
                file.write(content)
        print(target, len(chosen_files), flush=True)


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["keep"]:
        return keep(arguments[1:] or targets())
    what_was_counts = "--altogether" in arguments
    arguments = [word for word in arguments if word != "--altogether"]
    seconds = int(arguments[0]) if arguments else 60
    unknown = set(arguments[1:]) - set(targets())
    if unknown:
        sys.exit(f"run fuzz: no such target: {' '.join(sorted(unknown))}; there are: {' '.join(targets())}")
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: interrupted.set())
    return sys.exit(0 if run(seconds, arguments[1:] or targets(), what_was_counts) else 1)


if __name__ == "__main__":
    main()
