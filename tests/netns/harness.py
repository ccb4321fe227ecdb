"""Networks of namespaces for the end-to-end tests: what all of them stand on.

A Network owns namespaces, processes and a folder for files, and takes all of them away again: at the end of `with`, when
the program ends, and on signals. Names carry the process id, so tests run beside each other; what a killed run left
behind is removed by the next one.

Every wait has an end: eventually(), wait_for(). They wait for a state, for as long as a busy machine may take. Where time
itself is what a test needs (a grant has to end, a message to be too old), it sleeps until that moment, and where nothing
shall happen, it gives that its time.

    with Network() as net:
        server, client = net.namespace("server"), net.namespace("client")
        net.link(server, "s0", ["10.77.0.1/24", "fd77::1/64"], client, "c0", ["10.77.0.2/24", "fd77::2/64"])
        client.run("ping", "-c1", "10.77.0.1")
        with client:                                  # this thread is in the namespace; its sockets stay there
            socket.create_connection(("10.77.0.1", 22))

Beside it: door.py (keys, daemon, knocks), traffic.py (services and connections), frames.py (captures, frames, the wire).
"""

import atexit
import collections
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import weakref

BIN = os.environ.get("ONEKNOCK_BIN", "build/bin")
SKIPPED = 77
PATIENCE = 30.0  # seconds; what is waited for comes in milliseconds, but not on a machine that has much else to do
_PREFIX = "oktest-"
_libc = ctypes.CDLL(None, use_errno=True)
_networks = weakref.WeakSet()


def program(name):
    """The path of one of ours."""
    return os.path.abspath(os.path.join(BIN, name))


def eventually(condition, what="the condition", timeout=PATIENCE, step=0.01):
    """The first true value of condition(); an AssertionError after `timeout` seconds without one. `what` is a text or a
    function that gives one."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain for {what() if callable(what) else what}")
        time.sleep(step)


def sleep_until(moment):
    """Until time.time() is there."""
    time.sleep(max(0.0, moment - time.time()))


def stretched(seconds):
    """A bound that users are promised, times as much longer as this machine takes at the moment to start a program."""
    begin = time.monotonic()
    for _ in range(5):
        run("true")
    return seconds * max(1.0, (time.monotonic() - begin) / 0.025)  # 2 to 5 ms each where nothing else runs


def run(*argv, check=True, timeout=2 * PATIENCE, input=None, env=None):
    """Runs a command to its end. With check, one that fails is an AssertionError that shows what it said."""
    done = subprocess.run([str(word) for word in argv], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout, input=input, env=None if env is None else {**os.environ, **env})
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Process:
    """A program that runs on; the lines of its standard error and output are collected."""

    def __init__(self, argv, env=None):
        # It shall not outlive this process, however that ends.
        self.argv = ["setpriv", "--pdeathsig", "KILL", "--"] + [str(word) for word in argv]
        self._popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       env=None if env is None else {**os.environ, **env})
        self._lines = collections.deque(maxlen=20_000)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self._popen.stdout as stream:
            for line in stream:
                self._lines.append(line.decode(errors="replace").rstrip("\n"))

    @property
    def pid(self):
        return self._popen.pid

    @property
    def exit(self):
        """The exit code, or None while it runs."""
        return self._popen.poll()

    @property
    def log(self):
        return "\n".join(list(self._lines))

    def count(self, pattern):
        """How many lines match."""
        return sum(1 for line in list(self._lines) if re.search(pattern, line))

    def wait_for(self, pattern, times=1, timeout=PATIENCE):
        """Waits until so many lines match, and gives the last of them."""
        def found():
            lines = [line for line in list(self._lines) if re.search(pattern, line)]
            return lines if len(lines) >= times else None

        end = time.monotonic() + timeout
        while not (lines := found()):
            if self.exit is not None:
                self._reader.join(1)
                if lines := found():
                    break
            if self.exit is not None or time.monotonic() > end:
                state = "runs on" if self.exit is None else f"ended with {self.exit}"
                raise AssertionError(f"{self.argv[4]} ({state}) did not say /{pattern}/ {times} times:\n{self.log}")
            time.sleep(0.005)
        return lines[-1]

    def wait(self, timeout=PATIENCE):
        """Waits for its end; the exit code."""
        code = self._popen.wait(timeout)
        self._reader.join(timeout)
        return code

    def stop(self, with_signal=signal.SIGTERM, timeout=PATIENCE):
        """Ends it if it still runs; the exit code."""
        if self.exit is None:
            self._popen.send_signal(with_signal)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return self.wait()


class Namespace:
    """A network namespace. `with` it: this thread is inside."""

    def __init__(self, label):
        self.label = label
        self.name = f"{_PREFIX}{os.getpid()}-{Namespace._number()}-{label}"
        run("ip", "netns", "add", self.name)
        self._fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        self._home = []
        with self:
            # Addresses are usable at once, and nothing talks unasked.
            for interface in ("all", "default"):
                self.sysctl(f"net/ipv6/conf/{interface}/accept_dad", 0)
                self.sysctl(f"net/ipv6/conf/{interface}/accept_ra", 0)
        self.ip("link set lo up")

    _count = 0

    @classmethod
    def _number(cls):
        cls._count += 1
        return cls._count

    def __enter__(self):
        self._home.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        _enter(self._fd)
        return self

    def __exit__(self, *_):
        home = self._home.pop()
        _enter(home)
        os.close(home)

    def run(self, *argv, **options):
        with self:
            return run(*argv, **options)

    def start(self, *argv, **options):
        """A Process; whoever starts one through Network.start need not stop it."""
        with self:
            return Process(argv, **options)

    def ip(self, *lines):
        """Runs `ip` with each of the lines. (Not `ip -n`: that remounts /, which a chroot does not allow.)"""
        self.run("ip", "-batch", "-", input="\n".join(lines) + "\n")

    def nft(self, text):
        self.run("nft", "-f", "-", input=text)

    def sysctl(self, name, value):
        with self, open(f"/proc/sys/{name}", "w") as file:
            file.write(str(value))

    def remove(self):
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            run("ip", "netns", "del", self.name, check=False)


def _enter(fd):
    if _libc.setns(fd, 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")


class Network:
    """Namespaces, processes and files that go together, and go away together."""

    def __init__(self):
        _remove_leftovers()
        self.folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
        self._namespaces = []
        self._endings = []
        _networks.add(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def namespace(self, label):
        self._namespaces.append(Namespace(label))
        return self._namespaces[-1]

    def link(self, a, a_name, a_addresses, b, b_name, b_addresses):
        """A veth pair; gives back when both ends are up."""
        a.ip(f"link add {a_name} type veth peer name {b_name} netns {b.name}")
        for namespace, name, addresses in ((a, a_name, a_addresses), (b, b_name, b_addresses)):
            namespace.ip(*(f"addr add {address} dev {name}{' nodad' if ':' in address else ''}" for address in addresses),
                         f"link set {name} up")
        eventually(lambda: _is_ready(a, a_name) and _is_ready(b, b_name), f"{a_name} and {b_name} to be up")

    def router(self, label="router"):
        """A namespace that forwards."""
        router = self.namespace(label)
        router.sysctl("net/ipv4/ip_forward", 1)
        router.sysctl("net/ipv6/conf/all/forwarding", 1)
        return router

    def start(self, namespace, *argv, **options):
        """Starts a program that ends with the network at the latest."""
        return self.keep(namespace.start(*argv, **options), lambda process: process.stop(signal.SIGKILL))

    def keep(self, thing, end):
        """Calls end(thing) when the network goes; the last one first."""
        self._endings.append((thing, end))
        return thing

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def remove(self):
        while self._endings:
            thing, end = self._endings.pop()
            try:
                end(thing)
            except Exception as problem:  # the rest has to go as well
                print(f"while taking the network away: {problem}", file=sys.stderr)
        while self._namespaces:
            self._namespaces.pop().remove()
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_ready(namespace, interface):
    told = namespace.run("ip", "-o", "addr", "show", "dev", interface).stdout
    link = namespace.run("ip", "-o", "link", "show", "dev", interface).stdout
    return "tentative" not in told and "LOWER_UP" in link


def _remove_leftovers():
    """Of runs that were killed: their process is gone, their namespaces and folders are not."""
    for folder, remove in (("/run/netns", lambda name: run("ip", "netns", "del", name, check=False)),
                           (tempfile.gettempdir(), lambda name: shutil.rmtree(f"{tempfile.gettempdir()}/{name}", True))):
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            if name.startswith(_PREFIX) and not os.path.exists(f"/proc/{name.split('-')[1]}"):
                remove(name)


@atexit.register
def _remove_all():
    for network in list(_networks):
        network.remove()


class NetworkTest(unittest.TestCase):
    """A test with a network of its own, `self.net`. Fill it in build()."""

    maxDiff = None

    def setUp(self):
        self.net = Network()
        self.addCleanup(self.net.remove)
        self.build()

    def build(self):
        raise NotImplementedError

    def assert_becomes(self, expected, look):
        """That look() gives what is expected, at once or in a while: a port is open before its knock is counted."""
        end = time.monotonic() + PATIENCE
        while look() != expected and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(look(), expected)


def main(limit=600):
    """Runs the tests of the calling file: skipped without root, given up after `limit` seconds."""
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM)

    def end(number, _):
        for each in signals:  # once is enough: what follows takes the network away
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(f"ended by {signal.Signals(number).name}")  # the one unittest does not take for a failure

    for number in signals:
        signal.signal(number, end)
    missing = [name for name in ("ip", "nft", "tcpdump", "setpriv") if not shutil.which(name)]
    if os.geteuid() != 0 or missing:
        print(f"skipped: network namespaces need {' and '.join(missing) or 'root'}")
        sys.exit(SKIPPED)
    signal.alarm(limit)
    unittest.main(verbosity=2)
