"""Key files that change while knocks come in: no knock is missed, no grant lost, nothing opens a second time.

      client 10.77.I.2  c0 ---- s0  10.77.I.1  server (oneknockd; I from 0 to 7, one for each of those who knock)

Eight clients knock steadily, first with quiet key files, then while files are added, rewritten, rotated, removed, broken
and mended. Each knock opens something that no other opens: another service (the first four clients), or the service for
another address (the rest, which may open for any). So the kernel's own messages tell what became of it. Times are of the
wall clock.
"""

import base64
import itertools
import json
import os
import re
import signal
import statistics
import threading
import time

from door import Daemon, Door, key_for, knock
from frames import Capture, Injector, ports_of, read_pcap, source_of, with_source_port
from harness import NetworkTest, Process, eventually, main, program, run, stretched

KNOCKERS = 8
PACE = 0.2  # seconds between two knocks of a client
QUIET, BUSY = 2.5, 8.5  # seconds
FILES = 500  # of clients that never knock, so that a reload takes a while
PACKETS = 64
OPEN_FOR = 60
SERVICES = 64
FIRST_PORT = 100
ELEMENT = re.compile(r"(\d+\.\d+\.\d+\.\d+) \. (\w+) \. (\d+)")


class Monitor(Process):
    """What the kernel says of the set's elements: (time, what, (address, port)), as soon as it says it. A transaction
    may add and delete an element several times; what counts is its end: "opened", "closed", or "prolonged", which was
    there before."""

    def __init__(self, namespace):
        self.events = []
        self._is_heard = threading.Event()
        with namespace:
            super().__init__(["nft", "monitor"])
        while not self._is_heard.wait(0.02):
            namespace.nft("add table inet probe; delete table inet probe")

    def _read(self):
        before, now = set(), {}  # the set; and of the elements in this transaction, which are in it at its end
        with self._popen.stdout as stream:
            for line in stream:
                line = line.decode().rstrip("\n")
                if "probe" in line:
                    self._is_heard.set()
                if " element inet oneknock granted4 " in line:
                    for address, _, port in ELEMENT.findall(line):
                        now[address, int(port)] = line.startswith("add ")
                if line.startswith("# new generation"):
                    when = time.time()
                    for element, is_in in now.items():
                        what = "closed" if not is_in else "prolonged" if element in before else "opened"
                        self.events.append((when, what, element))
                        (before.add if is_in else before.discard)(element)
                    now = {}

    def of(self, what):
        """{element: time}"""
        return {element: when for when, kind, element in list(self.events) if kind == what}


class Knocker:
    """A client that knocks until it is told to stop, in a thread of its own."""

    def __init__(self, test, number, key):
        self.number = number
        self.address = f"10.77.{number}.2"
        self.key = key
        self.sent = []  # (element, path of the packets)
        self.problem = None
        self._test = test
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._knock_on, daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        self._stopped.set()
        self._thread.join(5)
        if self.problem:
            raise self.problem

    def _knock_on(self):
        try:
            with self._test.client:
                due = time.monotonic() + self.number * PACE / KNOCKERS
                while len(self.sent) < SERVICES and not self._stopped.wait(max(0.0, due - time.monotonic())):
                    self._knock()
                    due += PACE
        except Exception as problem:  # for whoever waits for this thread
            self.problem = problem

    def _knock(self):
        nth = len(self.sent)
        same = self.number < KNOCKERS // 2
        service = f"s{nth}" if same else "s0"
        element = (self.address, FIRST_PORT + nth) if same else (f"10.88.{self.number}.{nth + 1}", FIRST_PORT)
        path = self._test.net.path(f"knock-{self.number}-{nth}.pcap")
        run(program("oneknock"), "open", self.key, service, "--for", f"{OPEN_FOR}s", "--knocks", "64", "--write", path,
            *(() if same else ("--source", element[0])))
        self.sent.append((element, path))


class Reload(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client = map(net.namespace, ("server", "client"))
        addresses = [[f"10.77.{number}.{end}/24" for number in range(KNOCKERS)] for end in (1, 2)]
        net.link(self.server, "s0", addresses[0], self.client, "c0", addresses[1])
        self.door = Door(net, "10.77.0.1", services=[f"s{n}=tcp/{FIRST_PORT + n}" for n in range(SERVICES)])
        self.folder = os.path.join(self.door.folder, "clients.d")
        self.services = [f"s{n}" for n in range(SERVICES)]
        self.knockers = [Knocker(self, number, self.make_key(number)) for number in range(KNOCKERS)]
        self.victims = {name: self.door.add(name, "--source", "any", allow=("s0",))
                        for name in ("victim-0", "victim-1")}  # their grants end
        for number in range(FILES):
            self.write(f"filler-{number}")
        self.daemon = Daemon(net, self.server, self.door)
        self.monitor = net.keep(Monitor(self.server), Monitor.stop)
        self.injector = net.keep(Injector(self.client, "c0", self.server, "s0"), lambda injector: injector.__exit__())

    def make_key(self, number):
        key = self.door.add(f"knocker-{number}", "--source", "same" if number < KNOCKERS // 2 else "any",
                            allow=self.services)
        return key_for(key, f"10.77.{number}.1", key.replace(".json", "-here.json"))

    def path(self, name):
        return os.path.join(self.folder, name + ".json")

    def write(self, name, change=lambda text: text):
        """A client's file: that of another client with a name and a secret of its own, and whatever else is changed."""
        with open(self.path("victim-0")) as file:
            content = json.load(file)
        content["name"] = name
        content["generations"][0]["secret"] = base64.b64encode(os.urandom(32)).decode()
        self.replace(name, change(json.dumps(content, indent=2)))

    def replace(self, name, text):
        new = os.path.join(self.folder, ".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        os.rename(new, self.path(name))

    def keygen(self, *words):
        run(program("oneknock-keygen"), words[0], "--dir", self.door.folder, *words[1:])

    # --- what happens to the key files ----------------------------------------------------------------------------

    def reloads(self):
        return self.daemon.process.count("^reloaded:")

    def await_reload(self, change, *words):
        before = self.reloads()
        change(*words)
        self.daemon.wait_for("^reloaded:", before + 1)
        self.polls.append(self.poll())

    def poll(self):
        """(time, {element: seconds that remain})"""
        return time.time(), {(address, port): left for address, _, port, left in self.daemon.elements()}

    def ask(self):
        began = time.monotonic()
        self.daemon.ctl("reload")
        self.durations.append(time.monotonic() - began)

    def rewrite(self, name):
        """The same text once more."""
        with open(self.path(name)) as file:
            self.replace(name, file.read())

    def break_and_mend(self, name):
        """A file that is wrong is told of, and its client keeps the keys it had, until it is right again."""
        if not os.path.exists(self.path(name)):
            self.write(name)
        with open(self.path(name)) as file:
            right = file.read()
        wrong = re.sub('"source": *"[^"]*"', '"source": "everywhere"', right)
        line = wrong[:wrong.index('"everywhere"')].count("\n") + 1
        says = rf"\S*{re.escape('clients.d/' + name)}\.json:{line}: .*field \"source\".*; {re.escape(name)} "
        told = self.daemon.process.count("^error: " + says)
        self.replace(name, wrong)
        self.daemon.wait_for("^error: " + says, told + 1)
        asked = self.daemon.ctl("reload", check=False)
        self.assertEqual((asked.returncode, bool(re.search(says, asked.stderr))), (65, True), asked.stderr)
        self.broken += 1
        self.await_reload(self.replace, name, right)

    def rotate_a_knocker(self, number):
        """It goes on with its old key for a while, and then with the new one."""
        path = self.net.path(f"rotated-{number}.json")
        self.await_reload(self.keygen, "rotate", f"knocker-{number}", "-o", path)
        time.sleep(2 * PACE)
        self.knockers[number].key = key_for(path, f"10.77.{number}.1", self.net.path(f"rotated-{number}-here.json"))

    def changes(self):
        """One after the other, without end."""
        yield from (lambda: self.rotate_a_knocker(1), lambda: self.rotate_a_knocker(5))
        for turn in itertools.count():
            knocker = f"knocker-{turn % KNOCKERS}"
            key = self.net.path(f"another-{turn}.json")
            yield lambda: self.await_reload(self.ask)
            yield lambda: self.break_and_mend(f"broken-{turn}")
            yield lambda: self.await_reload(os.kill, self.daemon.process.pid, signal.SIGHUP)
            yield lambda: self.await_reload(self.keygen, "add", f"another-{turn}", "--allow", "s0", "-o", key)
            yield lambda: self.await_reload(self.rewrite, knocker)
            yield lambda: self.await_reload(self.keygen, "rotate", f"filler-{turn}", "-o", f"{key}-filler")
            yield lambda: self.break_and_mend(knocker)
            yield lambda: self.await_reload(os.remove, self.path(f"filler-{FILES - 1 - turn}"))

    def change_for(self, seconds):
        """For so long, and often enough, which a busy machine takes longer for."""
        end, before = time.monotonic() + seconds, self.reloads()
        for change in self.changes():
            if time.monotonic() > end and self.reloads() >= before + 24 and self.broken >= 4:
                break
            change()
            self.replay_one()
        self.await_reload(self.keygen, "revoke", "victim-0")
        self.await_reload(os.remove, self.path("victim-1"))

    # --- replays --------------------------------------------------------------------------------------------------

    def send_again(self, path):
        self.replayed += 1
        self.injector.send([with_source_port(packet, 1024 + self.replayed) for _, packet in read_pcap(path)[1]])

    def replay_one(self):
        """A knock that was accepted a while ago; one time in two while the keys are read again."""
        knocker = self.knockers[self.replayed % KNOCKERS]
        _, path = knocker.sent[len(knocker.sent) // 2]
        before = self.reloads()
        if self.replayed % 2 == 0:
            return self.send_again(path)
        os.kill(self.daemon.process.pid, signal.SIGHUP)
        self.send_again(path)
        self.daemon.wait_for("^reloaded:", before + 1)

    def await_replays(self):
        eventually(lambda: self.daemon.refused().get("replayed") == self.replayed,
                   lambda: f"{self.replayed} replays; {self.daemon.refused()}")

    # --- the test -------------------------------------------------------------------------------------------------

    def test_no_knock_is_missed_no_grant_lost_and_no_replay_opens_while_keys_are_reloaded(self):
        self.polls, self.durations, self.broken, self.replayed = [], [], 0, 0
        capture = Capture(self.net, self.server, "s0", "udp and not src portrange 1024-9999")  # no replays
        victims = {name: (f"10.99.0.{n}", FIRST_PORT) for n, name in enumerate(self.victims)}
        for name, (address, _) in victims.items():
            knock(self.client, self.victims[name], "s0", "--knocks", "64", "--source", address, "--for", f"{OPEN_FOR}s")
        for knocker in self.knockers:
            knocker.start()
        time.sleep(QUIET)
        busy_from, before = time.time(), self.reloads()
        self.change_for(BUSY)
        busy_until, reloads = time.time(), self.reloads() - before
        for knocker in self.knockers:
            knocker.stop()

        sent = [knock for knocker in self.knockers for knock in knocker.sent]
        self.check_that_all_were_accepted(len(sent) + len(victims))
        self.check_grants({element for element, _ in sent}, set(victims.values()))
        self.check_that_none_opens_again([path for _, path in sent])
        self.check_counts(len(sent) + len(victims))
        delays = self.delays(capture, busy_from, busy_until)
        self.report(len(sent), reloads, delays)
        self.assertLess(max(delays["quiet"] + delays["busy"]), stretched(1))

    def check_that_all_were_accepted(self, count):
        eventually(lambda: self.daemon.accepted() >= count,
                   lambda: f"{count} knocks; {self.daemon.accepted()} were accepted")
        self.await_replays()
        self.assert_becomes((count, {"replayed": self.replayed}), lambda: (self.daemon.accepted(), self.daemon.refused()))
        self.assertEqual(self.daemon.process.count("^accepted: "), count)

    def check_grants(self, opened, closed):
        """`closed` are those of clients that were revoked or removed; all others are there until their time is over."""
        added = self.monitor.of("opened")
        self.assertEqual(set(added), opened | closed)
        self.assertEqual(len(self.monitor.events), len(opened) + 2 * len(closed), "each opened once and none prolonged")
        self.assertEqual(set(self.monitor.of("closed")), closed)
        self.polls.append(self.poll())
        exactness = stretched(1.5)
        for when, found in self.polls:
            for element in opened:
                if added[element] < when - 0.1:
                    self.assertIn(element, found, f"{when - added[element]} s after it was opened")
                    self.assertAlmostEqual(found[element], OPEN_FOR - (when - added[element]), delta=exactness)
        self.assertEqual(closed & set(found), set())

    def check_that_none_opens_again(self, paths):
        """All of them, also with nothing open that could hide it, and with a reload in between."""
        self.daemon.ctl("revoke", "--all")
        eventually(lambda: len(self.monitor.of("closed")) == len(self.monitor.of("opened")), "all to be closed")
        events = len(self.monitor.events)
        for number, path in enumerate(paths):
            self.send_again(path)
            time.sleep(0.002)
            if number % 100 == 50:
                self.daemon.ctl("reload")
        self.await_replays()
        self.assertEqual((self.daemon.elements(), self.daemon.grants()), ([], []))
        self.assertEqual({what for _, what, _ in self.monitor.events[events:]}, set())

    def check_counts(self, knocks):
        capture = self.daemon.status()["capture"]
        packets = PACKETS * (knocks + self.replayed)
        self.assertEqual((capture["packets"], capture["dropped"]), (packets, 0))
        self.assertGreaterEqual(capture["symbols"], packets)

    def delays(self, capture, busy_from, busy_until):
        """Seconds from the last packet of a knock, as it comes in, to its element; 0 where that was there before."""
        seen = {}
        for when, frame in capture.packets(PACKETS * sum(len(knocker.sent) for knocker in self.knockers)):
            seen[source_of(frame[14:]), ports_of(frame[14:])] = when
        added = self.monitor.of("opened")
        found = {"quiet": [], "busy": []}
        for knocker in self.knockers:
            for element, path in knocker.sent:
                ended = max(seen[source_of(packet), ports_of(packet)] for _, packet in read_pcap(path)[1])
                if ended < busy_until:
                    found["quiet" if ended < busy_from else "busy"].append(max(0.0, added[element] - ended))
        return found

    def report(self, knocks, reloads, delays):
        print(f"{knocks} knocks, {reloads} reloads of some {FILES} files ({self.broken} times broken); one that was asked for "
              f"took {ms(statistics.median(self.durations))}, at most {ms(max(self.durations))}", flush=True)
        for name, of in delays.items():
            print(f"{name}: from a knock's last packet to its element {ms(statistics.median(of))}, at most {ms(max(of))} "
                  f"({len(of)} knocks)", flush=True)


def ms(seconds):
    return f"{1000 * seconds:.1f} ms"


if __name__ == "__main__":
    main()
