"""The three systems side by side: oneknock, and knockd and fwknop as Debian packages them.

Each is set up as its own manual recommends for one job, a TCP port that is closed until its client knocks, and in the same
surroundings: the same namespaces and interface, the same port, a listening service behind it. Where a manual leaves a choice
that costs the other two time, the faster one is taken:
- Closed means the same everywhere: a TCP reset. (Both manuals drop. Whoever retries a connection would then wait a second
  for the next SYN, and measure that.)
- No pause between knockd's hits, no name to look up, no outside web server to ask for the client's address (fwknop -R).
- What knockd and fwknop start for a knock is Debian's default iptables, the command of both manuals.

    door = Knockd(net, server, client, "10.77.0.1", 22)
    door.knock(); eventually(lambda: door.is_open("10.77.0.2")); door.close(); door.stop()
"""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "netns"))

from door import Daemon, Door, elements, is_running  # noqa: E402
from harness import eventually, program, run  # noqa: E402

_NEEDED = {"knockd": "knockd", "knock": "knockd", "fwknopd": "fwknop-server", "fwknop": "fwknop-client",
           "iptables": "iptables"}


def interface_of(namespace, address):
    """The name of the interface that has this address."""
    told = namespace.run("ip", "-o", "addr", "show", "to", address).stdout
    return told.split()[1]


def address_towards(namespace, destination):
    """The address this namespace uses to talk to that one."""
    words = namespace.run("ip", "-o", "route", "get", destination).stdout.split()
    return words[words.index("src") + 1]


class Contestant:
    """A daemon in the namespace `server` that guards TCP `port` at `address`, and its client program in `client`."""

    name = package = "?"
    patience = 10.0  # seconds a client program may take

    def __init__(self, net, server, client, address, port):
        """Configures and starts the daemon; returns when it listens."""
        self.net, self.server, self.client, self.address, self.port = net, server, client, address, port
        self._addresses = {}
        os.makedirs(self.path(), exist_ok=True)
        self.process = self._start()

    def _start(self):
        raise NotImplementedError

    def command(self, namespace=None):
        """The client's command line for a knock from `namespace`."""
        raise NotImplementedError

    def is_open(self, source):
        """Whether the kernel lets `source` in."""
        raise NotImplementedError

    def close(self):
        """Takes every grant away at once."""
        raise NotImplementedError

    def knock(self, namespace=None, check=True):
        """Runs the client program in `namespace` (the client's own by default) to its end."""
        with namespace or self.client:
            done = subprocess.run(self.command(namespace), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=self.patience)
        if check and done.returncode != 0:
            raise AssertionError(f"{self.name}: the client ended with {done.returncode}: {done.stdout.decode()}")
        return done

    def commands(self):
        """How daemon and client are started, for those who want to do it themselves."""
        own = {self.net.folder: "DIR", os.path.dirname(program("oneknock")) + "/": ""}
        told = {"daemon": " ".join(self.process.argv[4:]), "client": " ".join(self.command())}
        for path, short in own.items():
            told = {who: words.replace(path, short) for who, words in told.items()}
        return told

    def version(self):
        """As the package database has it."""
        return run("dpkg-query", "-W", "-f", "${Version}", self.package).stdout

    def pids(self):
        """Of all the daemon's processes, the first one first."""
        found = [self.process.pid]
        for pid in found:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as file:
                    found += [int(child) for child in file.read().split()]
        return [pid for pid in found if is_running(pid)]

    def stop(self):
        self.process.stop(signal.SIGTERM)

    def path(self, *parts):
        return self.net.path(self.name, *parts)

    def write(self, name, text):
        """A private file in this contestant's folder; its path."""
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        return self.path(name)

    def _source_in(self, namespace):
        """The address the client has in `namespace`."""
        namespace = namespace or self.client
        if namespace not in self._addresses:
            self._addresses[namespace] = address_towards(namespace, self.address)
        return self._addresses[namespace]


class Oneknock(Contestant):
    """As `oneknock-keygen init` and `add` write it, defaults throughout (interface any, guard, reset, 64 packets)."""

    name = "oneknock"

    def _start(self):
        self.door = Door(self.net, self.address, (f"bench=tcp/{self.port}",), name="oneknock-door")
        self.key = self.door.add("laptop", allow=("bench",))
        self.daemon = Daemon(self.net, self.server, self.door)
        return self.daemon.process

    def command(self, namespace=None):
        return [program("oneknock"), "open", self.key, "bench"]

    def version(self):
        return run(program("oneknock"), "--version").stdout.split()[-1]

    def is_open(self, source):
        return any(element[0] == source for element in elements(self.server, sets=("granted4",)))

    def close(self):
        self.daemon.ctl("revoke", "--all")

    def stop(self):
        super().stop()
        # The guard outlives the daemon, by design; the next contestant needs the port for itself.
        self.server.run(program("oneknockd"), "--config", self.door.config, "--remove")


class _WithIptables(Contestant):
    """What the two have in common: rules in INPUT that accept a source, before one that refuses everybody else."""

    chain = "INPUT"

    def _refuse_everybody(self):
        self._iptables("-A", "INPUT", "-p", "tcp", "--dport", self.port, "-j", "REJECT", "--reject-with", "tcp-reset")

    def _iptables(self, *words, check=True):
        # In a namespace of its own nobody else holds the lock, but a daemon at work may.
        return self.server.run("iptables", "-w", *words, check=check)

    def is_open(self, source):
        rules = self._iptables("-S", self.chain, check=False).stdout.splitlines()
        return any(f"-s {source}/32 " in rule and rule.endswith("ACCEPT") for rule in rules)

    def stop(self):
        super().stop()
        self._iptables("-F")


class Knockd(_WithIptables):
    """Three SYNs and one command, as in the manual's example 1 and in Debian's /etc/knockd.conf, with two changes: -I for -A,
    as the accepting rule has to stand before the refusing one, and a log file instead of syslog. The example that closes again
    (start_command, cmd_timeout, stop_command) keeps a process asleep for each knock; this one costs knockd less."""

    name = "knockd"
    package = "knockd"
    sequence = ("7000", "8000", "9000")

    def _start(self):
        self._refuse_everybody()
        interface = interface_of(self.server, self.address)
        config = self.write("knockd.conf", f"""\
[options]
    logfile = {self.path("knockd.log")}

[bench]
    sequence    = {",".join(self.sequence)}
    seq_timeout = 5
    tcpflags    = syn
    command     = /sbin/iptables -I INPUT -s %IP% -p tcp --dport {self.port} -j ACCEPT
""")
        self.process = self.net.start(self.server, "knockd", "-i", interface, "-c", config)
        eventually(self._says_it_listens, lambda: f"knockd to listen: {self.process.log}", timeout=10)
        return self.process

    def _says_it_listens(self):
        with open(self.path("knockd.log"), "a+") as log:
            log.seek(0)
            return "listening on" in log.read()

    def command(self, namespace=None):
        return ["/usr/bin/knock", self.address, *self.sequence]

    def close(self):
        self._iptables("-F", "INPUT")
        self._refuse_everybody()


class Fwknop(_WithIptables):
    """A Rijndael and HMAC packet over UDP. The server's fwknopd.conf is Debian's own, in which every value is a default (pcap,
    a look at the capture every 100 ms); the keys are those that `fwknop --key-gen` makes; the client says which address it
    comes from (-a in place of -R, which would ask a web server first)."""

    name = "fwknop"
    package = "fwknop-server"
    chain = "FWKNOP_INPUT"  # fwknopd makes it and puts it in front

    def _start(self):
        self._refuse_everybody()
        keys = run("fwknop", "--key-gen", env={"HOME": self.path()}).stdout
        keys = dict(line.split(": ", 1) for line in keys.splitlines() if ": " in line)
        access = self.write("access.conf", f"""\
SOURCE              ANY
OPEN_PORTS          tcp/{self.port}
KEY_BASE64          {keys["KEY_BASE64"]}
HMAC_KEY_BASE64     {keys["HMAC_KEY_BASE64"]}
""")
        self._stanza = self.write("fwknoprc", f"""\
[default]
[bench]
SPA_SERVER          {self.address}
ACCESS              tcp/{self.port}
USE_HMAC            Y
KEY_BASE64          {keys["KEY_BASE64"]}
HMAC_KEY_BASE64     {keys["HMAC_KEY_BASE64"]}
""")
        interface = interface_of(self.server, self.address)
        os.makedirs(self.path("run"), mode=0o700, exist_ok=True)
        self.process = self.net.start(self.server, "fwknopd", "--foreground", "-c", "/etc/fwknop/fwknopd.conf", "-a", access,
                                      "-i", interface, "-r", self.path("run"))
        self.process.wait_for("Starting fwknopd main event loop", timeout=10)
        return self.process

    def command(self, namespace=None):
        # --no-save-args: else the client writes its command line into a file each time.
        return ["/usr/bin/fwknop", "-n", "bench", "--rc-file", self._stanza, "--no-save-args", "-a",
                self._source_in(namespace)]

    def close(self):
        self._iptables("-F", self.chain)


ALL = (Oneknock, Knockd, Fwknop)


def missing():
    """Debian packages without which the comparison cannot be made."""
    found = {package for name, package in _NEEDED.items()
             if not any(os.access(f"{folder}/{name}", os.X_OK) for folder in ("/usr/bin", "/usr/sbin"))}
    return sorted(found)
