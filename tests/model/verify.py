"""Verifies knock.pml with Spin: all states without a counterexample, and a counterexample for each protection left out.

    verify.py          what ctest runs; needs spin and gcc

Prints a line for each; memory is bounded.
"""

import os
import re
import subprocess
import sys
import tempfile

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "knock.pml")
MOST_MEMORY = 1024  # MB
DEEPEST = 20_000    # steps; the longest path has some hundred

ONCE, DURABLE, CLOSED = "opened[knock]<=1", "is_durable[knock]", "!(is_closed)||(element==0)"
# The macro, and what it breaks.
PROTECTIONS = {
    "GRANT_BEFORE_COMMIT": DURABLE,
    "NO_LOOK_UP": ONCE,
    "NO_FLOOR_AFTER_LOSS": ONCE,
    "NO_FLOOR_AFTER_PRUNING": ONCE,
    "ADOPT_ALL": CLOSED,
    "CLOSE_NOT_RECORDED": CLOSED,
}
CLAIMS = {
    "NEVER_OPENS": "opened[0]==0",
    "NEVER_ADOPTS": "element==0",
    "NEVER_REFUSED_AFTER_LOSS": "was_lost",
}


def run(folder, *argv):
    return subprocess.run(argv, cwd=folder, text=True, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT).stdout


def explore(macros):
    """What the verifier says of the model with these macros."""
    with tempfile.TemporaryDirectory() as folder:
        run(folder, "spin", "-a", *(f"-D{macro}" for macro in macros), MODEL)
        # The generated program is not ours to warn about. Without -E a process that waits for ever would be an error.
        run(folder, "gcc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MOST_MEMORY}", "-o", "pan", "pan.c")
        return run(folder, "./pan", f"-m{DEEPEST}", "-E")


def is_complete(said):
    """Nothing was left out: neither for lack of memory nor beyond the deepest step."""
    return not re.search(r"out of memory|max search depth too small|Search not completed", said)


def plain(text):
    return text.replace(" ", "").replace("(", "").replace(")", "")


def figures(said):
    states = int(re.search(r"(\d+) states, stored", said)[1])
    memory = float(re.search(r"([\d.]+)\s+total actual memory usage", said)[1])
    return f"{states:>9,} states {memory:>5.0f} MB"


def check(name, macros, expected):
    said = explore(macros)
    errors = int(re.search(r"errors: (\d+)", said)[1])
    broken = re.search(r"assertion violated (.*) \(at depth (\d+)\)", said)
    if expected is None:
        good = errors == 0 and is_complete(said)
        found = "holds" if good else f"BROKEN: {broken[1] if broken else said}"
    else:
        good = errors == 1 and broken and plain(expected) in plain(broken[1])
        found = f"counterexample of {broken[2]} steps: {broken[1]}" if good else "NO SUCH COUNTEREXAMPLE"
    print(f"{name:<26} {figures(said)}   {found}", flush=True)
    return bool(good)


def main():
    good = check("as designed", [], None)
    for macro, broken in {**PROTECTIONS, **CLAIMS}.items():
        good = check(macro, [macro], broken) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
