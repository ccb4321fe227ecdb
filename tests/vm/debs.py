"""The packages as files."""

import glob
import os
import re
import subprocess
import tempfile


def delivered(packages):
    """Of those in this folder what users install: oneknock and oneknockd."""
    return sorted(path for path in glob.glob(f"{packages}/oneknock*.deb") if "dbgsym" not in path)


def dependencies(packages):
    """Names that the packages need, so that the image has them; of alternatives the first."""
    names = set()
    for path in delivered(packages):
        told = subprocess.run(["dpkg-deb", "-f", path, "Depends"], text=True, stdout=subprocess.PIPE, check=True).stdout
        names |= {re.split(r"[\s(:|]", entry.strip())[0] for entry in told.split(",") if entry.strip()}
    return names - {"oneknock", "oneknockd", "systemd-standalone-sysusers"}


def with_version(path, suffix, to):
    """The same package, its version longer by this, as the file `to`."""
    with tempfile.TemporaryDirectory(prefix="oneknock-deb-") as folder:
        tree = os.path.join(folder, "tree")
        subprocess.run(["dpkg-deb", "-R", path, tree], check=True)
        control = os.path.join(tree, "DEBIAN", "control")
        with open(control, encoding="utf-8") as file:
            text = file.read()
        with open(control, "w", encoding="utf-8") as file:
            file.write(re.sub(r"(?m)^(Version: .*)$", r"\1" + suffix, text))
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, to], check=True, stdout=subprocess.DEVNULL)
