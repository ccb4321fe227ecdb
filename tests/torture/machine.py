"""Virtual machines with Debian's own kernel, in which a command runs on this machine's files.

The machine has this host's root folder, read-only, beneath one in its memory, so that a command may write where it likes
and changes nothing here. It runs without hardware support (qemu's TCG) and boots within half a minute. Ends are killed
machines: nothing in it is told.

    Machine(folder, "cd /somewhere && ./program", disks=[path of an NBD socket, ...])

The kernel is Debian's linux-image-amd64, fetched with apt and unpacked into build/vm, never installed. (The one for clouds
has lost 9p, through which the files come.)
"""

import glob
import os
import shlex
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "netns"))

from harness import Process, eventually, run

HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(os.path.dirname(HERE))
_KERNEL = os.path.join(_ROOT, "build", "vm")
_PACKAGE = "linux-image-amd64"
_LEFT_OUT = ("sound", "drivers/gpu", "drivers/media", "drivers/net/ethernet", "drivers/net/wireless", "drivers/scsi")
_EARLY = ("virtio_pci", "virtio_blk", "virtio_console", "9p", "9pnet_virtio", "overlay", "ext4")
CHANNEL = "torture"  # the name of the virtio port
ENDED = r"^command ended with (\d+)\r?$"
PATIENCE = 300.0  # seconds; software emulation on a machine that has much else to do


class Machine:
    """Booting when this is made. Its console's lines are those of `process` (wait_for, log)."""

    def __init__(self, folder, command, disks=(), memory=1024):
        initrd = os.path.join(folder, "initrd")
        _write_initrd(initrd, command)
        self._channel = os.path.join(folder, "channel")
        _unlink(self._channel)
        self.process = Process(["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", memory, "-nodefaults",
                                "-display", "none", "-no-reboot", "-serial", "stdio", "-rtc", "base=utc",
                                "-kernel", _only(f"{_KERNEL}/boot/vmlinuz-*"), "-initrd", initrd,
                                "-append", "console=ttyS0 quiet panic=-1 no_timer_check random.trust_cpu=on",
                                "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
                                "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
                                "-device", "virtio-serial-pci",
                                "-chardev", f"socket,id=channel,path={self._channel},server=on,wait=off",
                                "-device", f"virtserialport,chardev=channel,name={CHANNEL}",
                                *(word for number, path in enumerate(disks) for word in _disk(number, path))])

    def connect(self):
        """A stream of what the command writes into its end of the channel."""
        connection = socket.socket(socket.AF_UNIX)
        eventually(lambda: self.process.exit is not None or connection.connect_ex(self._channel) == 0, "the machine")
        return connection.makefile("rwb", buffering=0)

    def kill(self):
        """The power fails."""
        self.process.stop(9)


def prepare():
    """Fetches and unpacks the kernel, if it is not there."""
    if glob.glob(f"{_KERNEL}/lib/modules/*/modules.dep"):
        return
    shutil.rmtree(_KERNEL, ignore_errors=True)
    os.makedirs(_KERNEL)
    depends = run("apt-cache", "depends", _PACKAGE).stdout
    package = next(line.split()[1] for line in depends.splitlines() if line.strip().startswith("Depends: linux-image-"))
    subprocess.run(["apt-get", "-qq", "download", package], cwd=_KERNEL, check=True, stderr=subprocess.DEVNULL)
    archive = _only(f"{_KERNEL}/*.deb")
    run("sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" $3', "sh", archive, _KERNEL,
        " ".join(f"--exclude=*/kernel/{part}" for part in _LEFT_OUT))
    os.unlink(archive)
    run("busybox", "depmod", "-b", _KERNEL, _version())


def guest_shell(folder, environment, *argv):
    """A command for a Machine: `argv` in the folder, with the environment."""
    words = ["env", "-C", folder, f"PATH={os.environ['PATH']}", "HOME=/root", "TMPDIR=/run", "PYTHONDONTWRITEBYTECODE=1"]
    words += [f"{name}={value}" for name, value in environment.items()] + [str(word) for word in argv]
    return shlex.join(words)


def _version():
    return os.path.basename(_only(f"{_KERNEL}/lib/modules/*"))


def _disk(number, path):
    return ("-blockdev", f"driver=nbd,node-name=disk{number},server.type=unix,server.path={path},cache.direct=off",
            "-device", f"virtio-blk-pci,drive=disk{number},write-cache=on,serial=disk{number}")


def _write_initrd(path, command):
    tree = path + ".d"
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(tree + "/bin")
    shutil.copy2(shutil.which("busybox"), tree + "/bin/busybox")
    shutil.copy2(os.path.join(HERE, "machine_init.sh"), tree + "/init")
    os.chmod(tree + "/init", 0o755)
    with open(tree + "/modules", "w") as file:
        file.write("\n".join(_copy_modules(tree)) + "\n")
    for name, content in (("kernel", _KERNEL), ("command", command)):
        with open(f"{tree}/{name}", "w") as file:
            file.write(content + "\n")
    with open(path, "wb") as archive:
        listed = subprocess.run(["find", "."], cwd=tree, stdout=subprocess.PIPE, check=True)
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=tree, input=listed.stdout, stdout=archive, check=True)
    shutil.rmtree(tree)


def _copy_modules(tree):
    """Those without which the host's files cannot be reached; their names in the order of loading."""
    base = f"{_KERNEL}/lib/modules/{_version()}"
    with open(f"{base}/modules.dep") as file:
        needs = dict(line.rstrip("\n").split(":", 1) for line in file)
    order = []
    for name in _EARLY:
        path = next((path for path in needs if os.path.basename(path) == name + ".ko"), None)
        for needed in [*reversed(needs[path].split()), path] if path else []:  # built in, if there is none
            if needed not in order:
                order.append(needed)
    for number, needed in enumerate(order):
        shutil.copy2(f"{base}/{needed}", f"{tree}/{number}.ko")
    return [f"{number}.ko" for number in range(len(order))]


def _only(pattern):
    found, = glob.glob(pattern)
    return found


def _unlink(path):
    if os.path.lexists(path):
        os.unlink(path)
