"""What `./run lint` and `./run format` do.

    lint.py format          lays the C++ out as .clang-format says
    lint.py fast            layout, width of lines, manual pages, Python, shell: seconds
    lint.py tidy [FOLDER..] clang-tidy over the sources, or those of the folders: minutes

clang-tidy would read the standard library again for each file; so the files of a folder are read as one, and one by one
only where that does not compile: two of them may use one name, and clang 14 has faults with the ranges of libstdc++ 12.
"""

import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

COLUMNS = 120
COMMANDS = "build/lint/compile_commands.json"
TEXTS = (".cpp", ".hpp", ".c", ".txt", "run")


def files_of(*endings):
    """All there are; hidden folders, what was built and what npm fetched are not ours."""
    found = []
    for folder, below, names in os.walk("."):
        below[:] = [name for name in below if not name.startswith(".") and name != "node_modules"
                    and not (folder == "." and name == "build")]
        found += [os.path.relpath(os.path.join(folder, name)) for name in names if name.endswith(endings)]
    return sorted(found)


def passes(*argv):
    return subprocess.run(argv).returncode == 0


def lines_are_short():
    """But for tables and addresses, which cannot be broken."""
    long = []
    for name in files_of(*TEXTS):
        with open(name, encoding="utf-8") as file:
            long += [f"{name}:{number}: {len(line) - 1} columns, more than {COLUMNS}"
                     for number, line in enumerate(file, 1)
                     if len(line) > COLUMNS + 1 and not re.match(r"\s*\|", line) and "://" not in line]
    print("\n".join(long), end="\n" if long else "")
    return not long


# scdoc begins a paragraph before every list and heading's text.
OF_SCDOC = re.compile(r"WARNING: skipping paragraph macro: PP (empty|after S[HS])$")


def manual_pages_are_clean():
    """As mandoc sees what scdoc makes of them."""
    said = []
    for name in files_of(".scd"):
        with open(name, encoding="utf-8") as source:
            page = subprocess.run(["scdoc"], stdin=source, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        found = subprocess.run(["mandoc", "-Tlint", "-Wwarning"], input=page.stdout, text=True, stdout=subprocess.PIPE)
        said += [f"{name}: {line}" for line in page.stderr.splitlines()]
        said += [f"{name}: {line}" for line in found.stdout.splitlines() if not OF_SCDOC.search(line)]
    print("\n".join(said), end="\n" if said else "")
    return not said


def sources(folders):
    """{folder: {file: its compiler's arguments}}"""
    grouped = {}
    with open(COMMANDS, encoding="utf-8") as file:
        commands = json.load(file)
    for command in commands:
        name = os.path.relpath(command["file"])
        is_wanted = not name.startswith("tests/") and any(name.startswith(folder) for folder in folders)
        if name.endswith(".cpp") and is_wanted:
            argv = shlex.split(command["command"])
            at = argv.index("-o")
            grouped.setdefault(os.path.dirname(name), {})[name] = argv[1:at]
    return grouped


def clang_tidy(name, argv):
    done = subprocess.run(["clang-tidy", "--quiet", "--config-file=.clang-tidy", name, "--", *argv], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.returncode, done.stdout


def tidy_folder(folder, files):
    """What there is to say of a folder."""
    together = f"build/lint/{folder.replace('/', '_')}.cpp"
    with open(together, "w", encoding="utf-8") as file:
        file.writelines(f'#include "{name}"\n' for name in sorted(files))
    code, said = clang_tidy(together, next(iter(files.values())))
    if code == 0 or "[clang-diagnostic-error" not in said:
        return said if code else ""
    return "".join(said for code, said in (clang_tidy(name, argv) for name, argv in files.items()) if code)


def tidy(folders):
    grouped = sources(folders)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = [said for said in pool.map(tidy_folder, grouped, grouped.values()) if said]
    print("".join(found), end="")
    return not found


def main():
    task, *folders = sys.argv[1:]
    code = files_of(".cpp", ".hpp", ".c")
    if task == "format":
        good = passes("clang-format", "-i", *code)
    elif task == "fast":
        good = all([passes("clang-format", "--dry-run", "-Werror", *code), lines_are_short(),
                    manual_pages_are_clean(), passes("pyflakes3", *files_of(".py")), passes("shellcheck", "run", ".ci/run")])
    else:
        good = tidy(folders or [""])
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
