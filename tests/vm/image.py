"""The disk of the virtual machine: a small Debian 12 with systemd, made with mmdebstrap and kept in build/machine.

What packages it has beyond the system is asked for by name; another list makes another image. Each run writes into a
layer of its own above it (machine.py).
"""

import hashlib
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FOLDER = os.path.join(ROOT, "build", "machine")
_SIZE = "4G"  # sparse
_SYSTEM = ["systemd", "systemd-sysv", "udev", "dbus", "kmod", "iproute2", "procps", "nftables", "openssh-server",
           "openssh-client", "linux-image-amd64", "debconf-utils", "less", "ufw", "firewalld",
           "wireguard-tools", "iputils-ping", "ppp", "docker.io", "apparmor", "sudo", "autopkgtest", "dpkg-dev",
           "busybox-static", "bash-completion"]
_ASLEEP = ["docker.service", "docker.socket", "containerd.service"]  # until a step wants them
# What reaches the disk; the kernel finds everything else on it.
_EARLY_MODULES = ["virtio_pci", "virtio_blk", "ext4"]


class Image:
    """Paths of a kernel, its first files, and a disk."""

    def __init__(self, folder):
        self.disk = os.path.join(folder, "disk")
        self.kernel = os.path.join(folder, "vmlinuz")
        self.initrd = os.path.join(folder, "initrd.img")


def image(packages):
    """The Image with these packages; made if it is not there yet, in some minutes."""
    names = sorted(set(_SYSTEM + list(packages)))
    with open(os.path.join(HERE, "agent"), "rb") as agent:
        name = hashlib.sha256(" ".join(names).encode() + agent.read()).hexdigest()[:12]
    folder = os.path.join(FOLDER, name)
    if not os.path.exists(folder):
        shutil.rmtree(FOLDER, ignore_errors=True)
        os.makedirs(FOLDER)
        _make(folder + ".new", names)
        os.rename(folder + ".new", folder)
    return Image(folder)


def _make(folder, names):
    tree = os.path.join(folder, "tree")
    os.makedirs(folder)
    subprocess.run(["mmdebstrap", "--quiet", "--mode=root", "--variant=apt", "--format=directory",
                    "--aptopt=APT::Install-Recommends false", f"--include={','.join(names)}",
                    f"--essential-hook={_in_tree(_prepare_kernel)}", "bookworm", tree], check=True)
    _prepare(tree)
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy2(os.path.join(tree, name), os.path.join(folder, name))
    disk = os.path.join(folder, "disk")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, disk, _SIZE], check=True)
    shutil.rmtree(tree)


_prepare_kernel = f"""
mkdir -p etc/initramfs-tools/conf.d
echo MODULES=list >etc/initramfs-tools/conf.d/modules
printf '%s\\n' {' '.join(_EARLY_MODULES)} >etc/initramfs-tools/modules
"""


def _in_tree(script):
    return f'cd "$1" && {{ {script.strip()} ; }}'.replace("\n", "; ").replace("; }", " ; }")


def _prepare(tree):
    """The agent, a person, and no waiting for a network that is not there."""
    shutil.copy2(os.path.join(HERE, "agent"), os.path.join(tree, "usr/local/sbin/agent"))
    os.chmod(os.path.join(tree, "usr/local/sbin/agent"), 0o755)
    _write(tree, "etc/systemd/system/agent.service", _AGENT_UNIT)
    _write(tree, "etc/hostname", "server\n")
    _write(tree, "etc/hosts", "127.0.0.1 localhost\n10.77.0.1 server\n")
    _write(tree, "etc/fstab", "/dev/vda / ext4 defaults 0 1\n")
    chroot = ["chroot", tree]
    subprocess.run([*chroot, "systemctl", "enable", "--quiet", "agent.service"], check=True)
    subprocess.run([*chroot, "systemctl", "disable", "--quiet", *_ASLEEP], check=True)
    subprocess.run([*chroot, "useradd", "--create-home", "--shell", "/bin/bash", "alice"], check=True)


_AGENT_UNIT = """[Unit]
Description=does what the host says
[Service]
ExecStart=/usr/local/sbin/agent
Restart=always
KillMode=process
Environment=HOME=/root
[Install]
WantedBy=multi-user.target
"""


def _write(tree, path, content):
    with open(os.path.join(tree, path), "w", encoding="utf-8") as file:
        file.write(content)
