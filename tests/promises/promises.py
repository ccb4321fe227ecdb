"""Takes each protection out of the source, one at a time, and shows that its test fails without it.

    promises.py [--list | --anchors] [WORD...]    WORD: only protections with it in their row, name or file

It works on a copy of the source tree in build/promises. --anchors only checks that every protection is where the list says.
The exit status is 1 if a protection is missed by its test, or is not where the list says.
"""

import os
import shutil
import subprocess
import sys
import time

from protections import PROTECTIONS, Kernel, Namespaces, Unit

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
WORK = os.path.join(TOP, "build", "promises")
SOURCE, BUILD = os.path.join(WORK, "source"), os.path.join(WORK, "release")
PROGRAMS = ["oneknock", "oneknockd", "oneknockd-listener", "oneknockd-gatekeeper", "oneknockd-read", "oneknockctl",
            "oneknock-keygen", "shifted_clock"]
TEST_LIMIT = 600  # seconds


def content_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, content):
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)


def misplaced(protection, top):
    """What is wrong with the place of a protection; nothing if it is there once."""
    path = os.path.join(top, protection.file)
    if not os.path.exists(path):
        return f"{protection.file} is not there"
    count = content_of(path).count(protection.old)
    return None if count == 1 else f"{protection.file} has it {count} times"


def check_anchors(protections):
    wrong = [(one, why) for one in protections if (why := misplaced(one, TOP))]
    for one, why in wrong:
        print(f"{one.what}: {why}; mend tests/promises/protections.py")
    print(f"{len(protections) - len(wrong)} of {len(protections)} protections are where the list says")
    return not wrong


def copy_source():
    """Only what differs is written, so that little is built again."""
    os.makedirs(SOURCE, exist_ok=True)
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, check=True, capture_output=True,
                           text=True).stdout.split("\n")
    for name in filter(None, names):
        source, target = os.path.join(TOP, name), os.path.join(SOURCE, name)
        if not os.path.isfile(source):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target) or open(source, "rb").read() != open(target, "rb").read():
            shutil.copy(source, target)


def configure():
    launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    subprocess.run(["cmake", "-S", SOURCE, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=ON",
                    "-DONEKNOCK_WERROR=OFF", *launcher], check=True, stdout=subprocess.DEVNULL)


def targets_of(test):
    match test:
        case Unit(area, _):
            return [f"unit_{area}"] + (["oneknock-keygen"] if area == "keys" else [])
        case Kernel(_):
            return ["firewall_tests"]
        case Namespaces(_, _):
            return PROGRAMS


class DoesNotBuild(Exception):
    pass


def build(targets):
    done = subprocess.run(["ninja", "-C", BUILD, "--quiet", *targets], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DoesNotBuild(done.stdout[-3000:] + done.stderr[-1000:])


def command_of(test):
    """The command, and where it runs."""
    programs = os.path.join(BUILD, "bin")
    match test:
        case Unit(area, cases):
            return [os.path.join(programs, "unit", area), *([cases] if cases else [])], BUILD
        case Kernel(cases):
            return [os.path.join(programs, "firewall_tests"), cases], BUILD
        case Namespaces(topic, words):
            choice = [part for word in words.split() for part in ("-k", word)]
            return [sys.executable, "-B", f"{topic}.py", *choice], os.path.join(SOURCE, "tests", "netns")


def result_of(test):
    """Whether it passes, and what it said last."""
    command, folder = command_of(test)
    libraries = [os.path.join(root, name) for root, _, names in os.walk(BUILD) for name in names
                 if name.startswith("libshifted_clock")]
    environment = os.environ | {"ONEKNOCK_BIN": os.path.join(BUILD, "bin"), "SHIFTED_CLOCK_LIBRARY": (libraries or [""])[0]}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=TEST_LIMIT, check=False)
        ran_none = "Ran 0 tests" in done.stdout or "No test cases matched" in done.stdout
        return done.returncode == 0 and not ran_none, done.stdout[-2000:]
    except subprocess.TimeoutExpired:
        return False, f"not through in {TEST_LIMIT} s"


def text_of(test):
    match test:
        case Unit(area, cases):
            return f"unit/{area} {cases}".strip()
        case Kernel(cases):
            return f"firewall {cases}"
        case Namespaces(topic, words):
            return f"netns/{topic} {words}".strip()


def verdict_without(protection):
    """What becomes of its test without it. Only "missed" is as it should be."""
    path = os.path.join(SOURCE, protection.file)
    whole = content_of(path)
    try:
        write(path, whole.replace(protection.old, protection.new))
        build(targets_of(protection.test))
        return "NOT MISSED" if result_of(protection.test)[0] else "missed"
    except DoesNotBuild as problem:
        print(problem)
        return "NOT BUILT"
    finally:
        write(path, whole)


def main(words):
    wanted = [word for word in words if word[:2] != "--"]
    chosen = [one for one in PROTECTIONS
              if not wanted or any(word in f"{one.row} {one.what} {one.file}" for word in wanted)]
    if "--list" in words:
        for one in chosen:
            print(f"{one.row:10} {one.what} ({text_of(one.test)})")
        return True
    in_place = check_anchors(chosen)
    if not in_place or "--anchors" in words:
        return in_place
    copy_source()
    configure()
    tests = list(dict.fromkeys(one.test for one in chosen))
    build(sorted({target for test in tests for target in targets_of(test)}))
    broken = False
    for test in tests:
        passed, said = result_of(test)
        if not passed:
            print(f"fails with everything in its place: {text_of(test)}\n{said}")
            broken = True
    begun, unnoticed = time.monotonic(), 0
    for one in chosen:
        verdict = verdict_without(one)
        unnoticed += verdict != "missed"
        print(f"{verdict:10} {one.row:10} {one.what} ({text_of(one.test)})", flush=True)
    print(f"{len(chosen) - unnoticed} of {len(chosen)} protections are missed by their tests, "
          f"in {time.monotonic() - begun:.0f} s")
    return not broken and not unnoticed


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
