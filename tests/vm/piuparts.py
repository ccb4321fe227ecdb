"""The packages in a chroot with a fresh Debian 12, by piuparts: ./run package piuparts

    piuparts.py --packages FOLDER

Installed, removed, installed again, upgraded from an earlier version, and purged: what fails, and what is left behind, is
an error. systemd is there before, since what it leaves behind is not ours.
"""

import argparse
import os
import re
import subprocess
import tempfile

from debs import delivered, with_version

TESTS = ("Installation and purging test", "Installation, upgrade and purging tests")


def earlier(packages, folder):
    """An archive with the same packages as an earlier version, in apt's words."""
    os.mkdir(folder)
    for path in delivered(packages):
        with_version(path, "~earlier", os.path.join(folder, os.path.basename(path)))
    with open(os.path.join(folder, "Packages"), "wb") as index:
        subprocess.run(["dpkg-scanpackages", "--multiversion", "."], cwd=folder, stdout=index, stderr=subprocess.DEVNULL, check=True)
    return f"deb [trusted=yes] file:{folder} ./"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--packages", required=True)
    packages = options.parse_args().packages
    log = os.path.join(packages, "piuparts.log")
    with tempfile.TemporaryDirectory(prefix="oneknock-piuparts-") as folder, open(log, "w", encoding="utf-8") as file:
        base, archive = os.path.join(folder, "base.tar.gz"), os.path.join(folder, "earlier")
        subprocess.run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=systemd,debconf-utils",
                        "bookworm", base], check=True)
        done = subprocess.run(["piuparts", "--distribution", "bookworm", "--basetgz", base, "--no-eatmydata",
                               "--extra-repo", earlier(packages, archive), "--bindmount", archive, "--tmpdir", folder,
                               "--install-remove-install", *delivered(packages)], stdout=file, check=False)
    with open(log, encoding="utf-8") as file:
        said = file.read()
    # What it cannot try it leaves out, and passes.
    passed = done.returncode == 0 and all(f"PASS: {test}" in said for test in TESTS)
    print("".join(re.findall(r"(?m)^\S+ ERROR: .*\n(?:  .*\n)*", said)), end="")
    print("piuparts: " + ("nothing failed, and nothing is left behind" if passed else "failed") + f"; all it said is in {log}")
    raise SystemExit(0 if passed else 1)


if __name__ == "__main__":
    main()
