"""A virtual machine with systemd, booting from an Image into a layer of its own, and told what to do by its agent."""

import base64
import json
import os
import select
import socket
import subprocess
import time

from image import Image

PATIENCE = 300.0  # seconds; software emulation on a machine that has much else to do


class Failed(AssertionError):
    """A command in the machine, or the machine itself."""


class Machine:
    """Running from the start; `with` it, so that it ends."""

    def __init__(self, folder, made: Image, packages):
        """`packages`: a folder that it sees as /mnt."""
        self._log = os.path.join(folder, "console")
        layer, shared = os.path.join(folder, "layer"), os.path.join(folder, "packages.img")
        self._channel, self._monitor = os.path.join(folder, "channel"), os.path.join(folder, "monitor")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", made.disk, "-F", "raw", layer], check=True)
        subprocess.run(["mke2fs", "-q", "-d", packages, shared, "64M"], check=True)
        self._number = 0
        self._buffer = b""
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "5",
             "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
             "-nodefaults", "-display", "none", "-rtc", "base=utc", "-serial", f"file:{self._log}",
             "-kernel", made.kernel, "-initrd", made.initrd,
             "-append", "root=/dev/vda rw console=ttyS0 quiet no_timer_check random.trust_cpu=on net.ifnames=0",
             "-drive", f"file={layer},if=virtio,format=qcow2,cache=unsafe",
             "-drive", f"file={shared},if=virtio,format=raw,readonly=on",
             "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={self._channel},server=on,wait=off",
             "-device", "virtserialport,chardev=agent,name=agent",
             "-qmp", f"unix:{self._monitor},server=on,wait=off"], stdin=subprocess.DEVNULL)
        self._socket = self._connect()
        self.boot = self._await_boot(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def run(self, command, check=True, timeout=PATIENCE):
        """What it printed, standard error as well. With check, a command that fails is a Failed."""
        status, said = self.ask(command, timeout)
        if check and status != 0:
            raise Failed(f"{command.strip()}: exit {status}\n{said}")
        return said

    def ask(self, command, timeout=PATIENCE):
        """Its exit status, and what it printed."""
        self._number += 1
        encoded = base64.b64encode(command.encode()).decode()
        self._socket.sendall(f"{self._number} {encoded}\n".encode())
        words = [*self._line(f"done {self._number} ", timeout).split(" "), ""]
        return int(words[2]), base64.b64decode(words[3]).decode(errors="replace")

    def until(self, command, timeout=PATIENCE):
        """Runs it until it succeeds; what it printed then."""
        end = time.monotonic() + timeout
        while True:
            status, said = self.ask(command)
            if status == 0:
                return said
            if time.monotonic() > end:
                raise Failed(f"in vain for {timeout:.0f} s: {command.strip()}\n{said}")
            time.sleep(0.5)

    def reboot(self):
        self._number += 1
        encoded = base64.b64encode(b"systemctl reboot").decode()
        self._socket.sendall(f"{self._number} {encoded}\n".encode())
        self.boot = self._await_boot(self.boot)

    def sleep(self, seconds):
        """Suspended to memory for so long, and awake again."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(self._monitor)
            events = monitor.makefile("rw", encoding="utf-8")
            self._tell(events, "qmp_capabilities")
            self.ask("(sleep 1; echo mem >/sys/power/state) >/dev/null 2>&1 &")
            self._await_event(events, "SUSPEND")
            time.sleep(seconds)
            self._tell(events, "system_wakeup")
            self._await_event(events, "WAKEUP")
        self.until("true")

    @staticmethod
    def _tell(events, command):
        events.write(json.dumps({"execute": command}) + "\n")
        events.flush()

    @staticmethod
    def _await_event(events, name):
        for line in events:
            if json.loads(line).get("event") == name:
                return
        raise Failed(f"qemu ended before {name}")

    @property
    def console(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _connect(self):
        connection = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + PATIENCE
        while connection.connect_ex(self._channel) != 0:
            if time.monotonic() > end or self._process.poll() is not None:
                raise Failed("qemu does not start")
            time.sleep(0.05)
        return connection

    def _await_boot(self, before):
        """The id of a boot that is another one than before."""
        while True:
            boot = self._line("ready ", PATIENCE).split(" ")[1]
            if boot != before:
                return boot

    def _line(self, beginning, timeout):
        end = time.monotonic() + timeout
        while True:
            while b"\n" in self._buffer:
                line, self._buffer = self._buffer.split(b"\n", 1)
                text = line.decode(errors="replace").strip()
                if text.startswith(beginning):
                    return text
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                raise Failed(f"the machine does not answer; its console:\n{self.console[-2000:]}")
            got = self._socket.recv(65536)
            if not got:
                raise Failed(f"the machine has ended; its console:\n{self.console[-2000:]}")
            self._buffer += got
