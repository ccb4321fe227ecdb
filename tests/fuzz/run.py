"""./run fuzz [SECONDS [TARGET...]]: every target, or those named, for so many seconds of processor time, two at a time.

They run only while nothing else wants the processor, so that they may be left running beside other work. What one finds is left in build/fuzz/findings and makes the exit status 1. The corpora that grow are in build/fuzz/corpus;
`tests/fuzz/run.py keep` puts those few files of them into tests/fuzz/corpus that together reach most.
"""

import concurrent.futures
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

PROGRAMS = "build/fuzz/bin/fuzz"
GROWN = "build/fuzz/corpus"
FINDINGS = "build/fuzz/findings"
KEPT = "tests/fuzz/corpus"
AT_ONCE = 2
LONGEST_INPUT = {"capture": 4096, "channel": 8192, "netlink": 4096, "journal": 4096}
MOST_KEPT, LARGEST_KEPT = 16, 1024  # files of a target, and bytes of each


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


def stop_after(process, seconds):
    """What it used. libFuzzer counts what it did when it is interrupted."""
    used = 0
    while process.poll() is None:
        used = max(used, processor_seconds(process.pid))
        if used >= seconds:
            process.send_signal(signal.SIGINT)
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
                stdout=subprocess.DEVNULL, stderr=log) as process:
            used = stop_after(process, seconds)
        log.seek(0)
        said = log.read()
    runs = last(r"number_of_executed_units: +(\d+)", said)
    edges, of = last(r"cov: (\d+)", said), last(r"\((\d+) inline 8-bit counters\)", said)
    found = len(findings(target) - before)
    print(f"| {target} | {used:,.0f} | {runs:,} | {runs / max(used, 1):,.0f} | {edges:,} of {of:,} | {found} |",
          flush=True)
    return found == 0 and process.returncode == 0


def run(seconds, chosen):
    os.makedirs(FINDINGS, exist_ok=True)
    print("| target | seconds | executions | a second | edges | findings |\n| --- | --- | --- | --- | --- | --- |",
          flush=True)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        good = list(pool.map(lambda target: fuzz(target, seconds), chosen))
    if not all(good):
        print(f"findings are in {FINDINGS}; to see one again: {PROGRAMS}/TARGET FILE", flush=True)
    return all(good)


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
        contents = []
        for name in best(files) + [file.path for file in os.scandir(kept(target)) if file.name.startswith("finding-")]:
            with open(name, "rb") as file:
                contents.append(file.read())
        shutil.rmtree(kept(target))
        for content in contents:
            with open(f"{kept(target)}/{hashlib.sha1(content).hexdigest()[:16]}", "wb") as file:
                file.write(content)
        print(target, len(contents), flush=True)


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["keep"]:
        return keep(arguments[1:] or targets())
    seconds = int(arguments[0]) if arguments else 60
    unknown = set(arguments[1:]) - set(targets())
    if unknown:
        sys.exit(f"run fuzz: no such target: {' '.join(sorted(unknown))}; there are: {' '.join(targets())}")
    return sys.exit(0 if run(seconds, arguments[1:] or targets()) else 1)


if __name__ == "__main__":
    main()
