"""The drills of docs/operations.md, "Keys: rotation and three drills", followed as they are written there.

      laptop  10.77.0.2  c0 ---- s0  10.77.0.1
      desk    10.77.1.2  c0 ---- s1  10.77.1.1   server (oneknockd; service on tcp 22)
      new     10.77.2.2  c0 ---- s2  10.77.2.1

A test reads a step along: `says` passes its words by, `code` takes what stands between backquotes. What it does not
expect is a failure, and so is anything that it leaves. The commands run as they stand, in a shell, with the folders put
in their places.
"""

import base64
import os
import re
import shutil
import time

from document import Drill
from door import Daemon, Door, change_json, knock
from frames import Injector, read_pcap, with_source_port
from harness import BIN, NetworkTest, eventually, main, run, sleep_until, stretched
from traffic import CLOSED, OPEN, Service, attempt, connect, is_alive

ADDRESS = "10.77.0.1"
PACKETS = 64
GRACE = 1  # seconds; "a day" in the document
TOLERANCE = 2
LOST = rf"no replay record in the state folder: for {2 * TOLERANCE + 1} s every knock is refused .*then all is normal"


# --- who follows them -----------------------------------------------------------------------------------------------


class Machine:
    """A client's machine with a home folder of its own, where the door's key file is imported."""

    def __init__(self, test, name, number):
        self.test = test
        self.name, self.number = name, number
        self.address = f"10.77.{number}.2"
        self.namespace = test.net.namespace(name)
        test.net.link(test.server, f"s{number}", [f"10.77.{number}.1/24"], self.namespace, "c0", [f"{self.address}/24"])
        if number > 0:
            self.namespace.ip(f"route add {ADDRESS} via 10.77.{number}.1")
        self.home = test.net.path(name)
        os.mkdir(self.home)
        self.environment = {"PATH": f"{os.path.abspath(BIN)}:{os.environ['PATH']}", "HOME": self.home,
                            "XDG_CONFIG_HOME": self.home + "/.config"}
        self.key = os.path.join(self.home, ".config/oneknock/home.json")

    def run(self, command, check=True):
        """A command of the document, in the home folder."""
        return self.namespace.run("sh", "-c", 'cd && eval "$1"', "sh", command, check=check, env=self.environment)

    def bring(self, path, name=None):
        """Brings a file of the server here."""
        shutil.copy2(path, os.path.join(self.home, name or os.path.basename(path)))

    def keep_copy(self):
        """The path of a copy of the key as it is now: what may be in other hands."""
        return shutil.copy2(self.key, self.test.net.path(f"{self.name}-{len(os.listdir(self.test.net.folder))}.json"))

    def opens(self, key=None):
        """Knocks, with another key file if one is given; whether it was accepted. The port is as it should be then."""
        before = self.test.counts()
        knock(self.namespace, key or "home", env=self.environment)
        eventually(lambda: self.test.counts()["packets"] >= before["packets"] + PACKETS, "the knock to arrive")
        try:  # one whose secret the door does not know is noise: nothing is decided
            eventually(lambda: self.test.counts()["decisions"] > before["decisions"], timeout=stretched(0.25))
        except AssertionError:
            pass
        opened = self.test.counts()["accepted"] > before["accepted"]
        self.test.assertEqual(self.reaches(), OPEN if opened else CLOSED)
        if opened:
            self.test.daemon.ctl("revoke", "--all")
        return opened

    def reaches(self):
        return attempt(self.namespace, ADDRESS, 22)

    def planned(self):
        """The packets of a knock that has not been sent."""
        path = self.test.net.path(f"planned-{len(os.listdir(self.test.net.folder))}.pcap")
        knock(self.namespace, "home", "ssh", "--dry-run", "--write", path, env=self.environment)
        return [packet for _, packet in read_pcap(path)[1]]


class Drills(NetworkTest):
    configuration = {"rotation": {"grace": f"{GRACE}s"}}

    def build(self):
        net = self.net
        self.server = net.namespace("server")
        self.door = Door(net, ADDRESS, services=("ssh=tcp/22",), **self.configuration)
        self.desktop = net.path("root")  # where the administrator works
        os.mkdir(self.desktop)
        self.laptop, self.desk, self.new = (Machine(self, *words) for words in (("laptop", 0), ("desk", 1), ("new", 2)))
        net.keep(Service(self.server, 22), Service.stop)
        self.added_at = time.time()
        for machine in (self.laptop, self.desk):
            machine.run(f"oneknock import {self.door.add(machine.name)}")
        self.start()

    def start(self, ready="^ready:"):
        self.daemon = Daemon(self.net, self.server, self.door, ready=ready)

    def administer(self, command):
        """A command of the document, on the server."""
        services = {"systemctl stop oneknockd": lambda: self.daemon.stop(), "systemctl start oneknockd": self.start}
        if command in services:
            return services[command]()
        for there, here in (("/etc/oneknock", self.door.folder), ("/var/lib/oneknock", self.door.state),
                            ("/root/", self.desktop + "/"),
                            ("oneknockctl", f"oneknockctl --socket {self.door.socket}")):
            command = command.replace(there, here)
        return run("sh", "-c", 'cd "$1" && eval "$2"', "sh", self.desktop, command, env=self.laptop.environment)

    def file(self, *parts):
        """What a command of the document has written."""
        return os.path.join(self.desktop, *parts)

    def counts(self):
        status = self.daemon.status()
        return {"packets": status["capture"]["packets"], "accepted": status["accepted"],
                "decisions": status["accepted"] + sum(status["refused"].values())}

    def change(self, command):
        """Administers, and waits until the daemon has read it."""
        before = self.daemon.process.count("^reloaded:")
        done = self.administer(command)
        self.daemon.wait_for("^reloaded:", before + 1)
        return done

    def wait_for_a_later_second(self, since):
        """A generation that begins and ends within one second is not kept, and a client that is added in the second of
        a rotation has its new secret; so the tests do neither."""
        sleep_until(int(since) + 1.05)

    def follow_list(self, command):
        """What `list` shows: rows by (name, generation), of clients and of the door."""
        rows = {}
        for table in self.administer(command).stdout.split("\n\n"):
            heads, *lines = (re.split("  +", line) for line in table.strip().split("\n"))
            rows |= {(line[0], int(line[1])): dict(zip(heads, line)) for line in lines}
        return rows

    def check_refused(self, machine, key, reason):
        before = self.daemon.refused().get(reason, 0)
        self.assertFalse(machine.opens(key))
        self.assertEqual(self.daemon.refused().get(reason, 0), before + 1, (reason, self.daemon.refused()))


class Habit(Drills):
    def test_as_a_habit(self):
        with Drill("As a habit") as drill, drill.step() as step:
            self.wait_for_a_later_second(self.added_at)
            old = self.laptop.keep_copy()
            step.says(", once a year or when somebody changes machines:")
            self.change(step.code("oneknock-keygen rotate"))  # "the daemon notices by itself"
            self.laptop.bring(self.file("laptop-2.json"))
            told = self.laptop.run(step.code("oneknock import")).stdout
            self.assertIn("replaced by the newer key", told)
            step.says("Both keys open until the overlap (7 days) is over.")
            self.assertTrue(self.laptop.opens(old))
            self.assertTrue(self.laptop.opens())
            self.assertTrue(self.laptop.opens(old))
            used = time.time()
            step.says("A day after the new key was first used the older one ends (")
            self.assertEqual(step.code("rotation.grace").split("."), list(self.configuration) + ["grace"])
            step.says("in oneknockd.json).")
            sleep_until(used + GRACE + 1.1)
            self.check_refused(self.laptop, old, "key-expired")
            self.assertTrue(self.laptop.opens())
            rows = self.follow_list(step.code("oneknock-keygen list"))
            step.says("shows who has moved.")
            self.assertEqual((rows["laptop", 1]["STATUS"], rows["laptop", 2]["STATUS"]), ("ended", "valid"))
            seven_days = 7 * 86400 - 60, 7 * 86400 + 60
            self.assertTrue(seven_days[0] < self.overlap("laptop") < seven_days[1], self.overlap("laptop"))

    def overlap(self, client):
        """Seconds from now until the end that the file gives the client's first generation."""
        with open(f"{self.door.folder}/clients.d/{client}.json") as file:
            end = re.search('"not_after": *"([^"]+)"', file.read())[1]
        return time.mktime(time.strptime(end, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time()


class LostLaptop(Drills):
    def test_a_lost_laptop(self):
        with Drill("A lost laptop.") as drill:
            with drill.step() as step:
                step.says("Its key may be in other hands.")
                before = int(time.time())
                knock(self.laptop.namespace, "home", "ssh", "--wait", env=self.laptop.environment)
                used = time.time()
                session = self.net.keep(connect(self.laptop.namespace, ADDRESS, 22), lambda session: session.close())
            with drill.step() as step:
                command = step.code("oneknock-keygen revoke")
                self.administer(command)
                revoked = time.monotonic()
                step.says(". Within a second the key opens nothing, and what it opened is closed;")
                step.says("the daemon's log says")
                self.daemon.wait_for(f"^{step.code('reloaded')}: 2 clients", timeout=stretched(1))
                left = revoked + stretched(1) - time.monotonic()
                eventually(lambda: self.daemon.elements() == [], "the grant to be closed", left)
                self.assertEqual(self.laptop.reaches(), CLOSED)
                self.check_refused(self.laptop, None, "key-revoked")
                step.says(". Its sessions with UDP services end; TCP connections that exist go on: end them at the service.")
                self.assertTrue(is_alive(session))
                self.assertTrue(self.desk.opens())
            with drill.step() as step:
                row = self.follow_list(step.code("oneknock-keygen list"))["laptop", 1]
                step.says(": its last use.")
                shown = time.mktime(time.strptime(row["LAST USED"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
                self.assertTrue(before <= shown <= used, (before, shown, used))
                self.assertEqual(row["STATUS"], "revoked")
                knock(self.desk.namespace, "home", "ssh", "--wait", env=self.desk.environment)
                told = self.administer(step.code("oneknockctl grants")).stdout
                step.says(": nothing of it is open.")
                self.assertIn("desk", told)
                self.assertNotIn("laptop", told)
            with drill.step() as step:
                self.change(step.code("oneknock-keygen add"))
                step.says("for the new machine, and")
                self.new.bring(self.file("laptop-new.json"))
                self.new.run(step.code("oneknock import"))
                step.says("there.")
                self.assertTrue(self.new.opens())
                self.check_refused(self.laptop, None, "key-revoked")
            with drill.step() as step:
                step.says("The thief can still see which ports mean what and disturb knocks it can see.")
                step.says("If that matters, go on with the next drill.")


class LeakedDoorSecret(Drills):
    def test_a_leaked_door_secret(self):
        with Drill("A leaked door secret") as drill:
            with drill.step() as step:
                self.follow_what_leaked(step)
            with drill.step() as step:
                self.follow_rotation(step)
            with drill.step() as step:
                self.follow_import(step)
            with drill.step() as step:
                self.follow_the_end_of_the_old_secret(step)
            with drill.step() as step:
                self.follow_a_leak_of_the_clients(step)

    def follow_what_leaked(self, step):
        step.says("(")
        self.assertTrue(os.path.exists(os.path.join(self.door.folder, step.code("door.json"))))
        step.says(", or a malicious client). Nobody can knock with it, but")
        made_up = self.laptop.keep_copy()
        change_json(made_up, lambda content: content["client"].update(secret=base64.b64encode(os.urandom(32)).decode()))
        junk = self.daemon.junk()
        self.assertFalse(self.laptop.opens(made_up))
        self.assertGreater(self.daemon.junk(), junk)
        step.says("whoever has it can tell which of the packets it sees are knocks, and whose.")

    def follow_rotation(self, step):
        self.door.add("lost")
        self.door.revoke("lost")
        self.wait_for_a_later_second(time.time())
        self.old = [machine.keep_copy() for machine in (self.laptop, self.desk)]
        self.change(step.code("oneknock-keygen rotate"))
        step.says("writes a key file for every client that is neither revoked nor expired.")
        self.assertEqual(sorted(os.listdir(self.file("new-keys"))), ["desk.json", "laptop.json"])
        step.says("The daemon reads both secrets from now on.")
        self.laptop.bring(self.file("new-keys/laptop.json"), "new.json")
        eventually(lambda: self.laptop.opens(self.laptop.home + "/new.json"), "the new secret to be known")
        self.assertTrue(self.laptop.opens())

    def follow_import(self, step):
        step.says("Bring each file to its client,")
        self.laptop.bring(self.file("new-keys/laptop.json"))
        self.assertIn("replaced by the newer key", self.laptop.run(step.code("oneknock import")).stdout)
        step.says("there.")
        self.assertTrue(self.laptop.opens())
        self.assertTrue(self.desk.opens())
        rows = self.follow_list(step.code("oneknock-keygen list"))
        step.says("shows who has used the new secret.")
        self.assertEqual([rows[name, 1]["DOOR GENERATION"] for name in ("laptop", "desk")], ["2", "1"])
        self.assertEqual([rows["home", number]["STATUS"] for number in (1, 2)], ["ending", "valid"])

    def follow_the_end_of_the_old_secret(self, step):
        time.sleep(GRACE + 1.1)  # but one has not moved
        self.assertTrue(self.desk.opens())
        self.desk.bring(self.file("new-keys/desk.json"))
        self.desk.run("oneknock import desk.json")
        self.assertTrue(self.desk.opens())
        moved = time.time()
        step.says("The older secret ends a day after the last client has moved, or with the overlap.")
        self.assertTrue(self.desk.opens(self.old[1]), "within the day")
        sleep_until(moved + GRACE + 1.1)
        both = self.laptop, self.desk
        self.assertEqual([machine.opens(old) for machine, old in zip(both, self.old)], [False, False])
        self.assertEqual([machine.opens() for machine in both], [True, True])

        step.says("To end it at once, also after step 1:")
        self.change(step.code("oneknock-keygen rotate"))
        step.says(". All clients are then locked out until they have the file from there.")  # LeakedDoorSecretAtOnce
        for machine in both:
            machine.bring(self.file("newer-keys", machine.name + ".json"))
            machine.run(f"oneknock import {machine.name}.json")
            self.assertTrue(machine.opens())

    def follow_a_leak_of_the_clients(self, step):
        step.says("If")
        self.assertTrue(os.path.isdir(os.path.join(self.door.folder, step.code("clients.d"))))
        step.says("leaked too, every client's key has. Do this for each, or make a new door:")
        old = self.laptop.keep_copy()
        self.change(step.code("oneknock-keygen rotate"))
        self.wait_for_a_later_second(time.time())
        step.says(". The file has the door's new secret as well.")
        self.check_refused(self.laptop, old, "key-expired")
        self.laptop.bring(self.file("laptop-2.json"))
        self.laptop.run("oneknock import laptop-2.json")
        self.assertTrue(self.laptop.opens())
        self.assertTrue(self.desk.opens())


class LeakedDoorSecretAtOnce(Drills):
    """Step 3, "to end it at once, also after step 1": when two secrets are in force."""

    def test_all_clients_are_locked_out_at_once(self):
        drill = Drill("A leaked door secret")
        one, three = [drill.step() for _ in range(4)][1::2]
        self.wait_for_a_later_second(self.added_at)
        self.change(one.code("oneknock-keygen rotate"))
        self.laptop.bring(self.file("new-keys/laptop.json"))
        self.laptop.run("oneknock import laptop.json")
        self.wait_for_a_later_second(time.time())
        three.skip_to("To end it at once, also after step 1:")
        self.change(three.code("oneknock-keygen rotate"))
        self.wait_for_a_later_second(time.time())
        self.assertEqual([machine.opens() for machine in (self.laptop, self.desk)], [False, False])


class RestoredBackup(Drills):
    """The configuration's folder as it was before a client was revoked, another one's key rotated and perhaps the
    door's secret; with the state folder, if it is the whole machine that was restored."""

    configuration = {"rotation": {"grace": f"{GRACE}s"}, "tolerance": f"{TOLERANCE}s"}

    def send(self, machine, packets):
        """From another port than before, so that the listener does not take them for what it had."""
        self._port = getattr(self, "_port", 40000) + 1
        with Injector(machine.namespace, "c0", self.server, f"s{machine.number}") as injector:
            injector.send([with_source_port(packet, self._port) for packet in packets])

    def make_history(self):
        self.new.run(f"oneknock import {self.door.add('new')}")
        self.daemon.wait_for("^reloaded: 3 clients")
        self.wait_for_a_later_second(time.time())
        if self.machine_too:
            self.make_a_key_that_ended_early()
        self.assertEqual([machine.opens() for machine in (self.laptop, self.desk, self.new)], [True, True, True])
        self.daemon.stop()
        for folder in self.restored:
            run("cp", "-a", folder, folder + "-backup")
        self.start()

        self.change("oneknock-keygen revoke --dir /etc/oneknock laptop")
        self.old_desk = self.desk.keep_copy()
        self.change("oneknock-keygen rotate --dir /etc/oneknock desk -o desk-2.json")
        self.desk.run(f"oneknock import {self.file('desk-2.json')}")
        if self.door_too:
            self.change("oneknock-keygen rotate --dir /etc/oneknock --door -o /root/earlier-keys")
            for machine in (self.desk, self.new):
                machine.run(f"oneknock import {self.file('earlier-keys', machine.name + '.json')}")
        self.lost_desk = self.desk.keep_copy()
        self.seen = []
        for machine in (self.desk, self.new):
            packets = machine.planned()
            before = self.daemon.accepted()
            self.send(machine, packets)
            eventually(lambda: self.daemon.accepted() == before + 1, "the knock to be accepted")
            self.seen.append((machine, packets))
        self.daemon.ctl("revoke", "--all")

    def make_a_key_that_ended_early(self):
        self.ended_early = self.new.keep_copy()
        self.change("oneknock-keygen rotate --dir /etc/oneknock new -o new-2.json")
        self.new.run(f"oneknock import {self.file('new-2.json')}")
        self.assertTrue(self.new.opens())
        time.sleep(GRACE + 1.1)
        self.check_refused(self.new, self.ended_early, "key-expired")

    def put_back(self):
        for folder in self.restored:
            shutil.rmtree(folder)
            run("cp", "-a", folder + "-backup", folder)

    def check_that_what_was_seen_opens_nothing(self):
        for machine, packets in self.seen:
            before = self.counts()
            self.send(machine, packets)
            eventually(lambda: self.counts()["packets"] >= before["packets"] + PACKETS, "the packets to arrive")
            time.sleep(0.2)
            self.assert_becomes((before["accepted"], []), lambda: (self.daemon.accepted(), self.daemon.elements()))
            self.assertEqual(machine.reaches(), CLOSED)

    def follow(self):
        with Drill("A restored backup.") as drill:
            with drill.step() as step:
                step.says("Keys from a backup are as they were then: a client that was revoked or rotated since is")
                step.says("back in its old state, and so is the door's secret.")
            with drill.step() as step:
                self.follow_before_the_start(step)
            with drill.step() as step:
                self.follow_the_start(step)
            with drill.step() as step:
                self.follow_the_door(step)
            with drill.step() as step:
                self.follow_the_clients(step)
            with drill.step() as step:
                self.follow_the_new_files(step)

    def follow_before_the_start(self, step):
        step.says("Before the start (")
        self.administer(step.code("systemctl stop"))
        self.put_back()
        step.says("),")
        self.list = step.code("oneknock-keygen list")
        rows = self.follow_list(self.list)
        step.says("shows the clients as the backup has them. Revoke again whoever was revoked since:")
        self.assertEqual(rows["laptop", 1]["STATUS"], "valid")
        self.assertEqual([key in rows for key in (("desk", 2), ("home", 2))], [False, False])
        self.administer(step.code("oneknock-keygen revoke"))
        step.says(".")

    def follow_the_start(self, step):
        step.says("If the whole machine was restored, delete the record:")
        delete = step.code("rm ")
        step.says(". It does not know the knocks since then. Start the daemon:")
        start = step.code("systemctl start oneknockd")
        step.says(". Without its record the door stays closed for two tolerances; then all is normal.")
        step.says("The audit goes with the record:")
        step.code("list")
        step.says("forgets all uses, and an older key that had ended early opens again until its overlap is over.")
        step.says("Step 4 ends it.")
        if self.machine_too:
            self.administer(delete)
            self.assertFalse([name for name in os.listdir(self.door.state) if name.startswith("oneknock.db")])
            started = time.time()
            self.administer(start)
            self.daemon.wait_for("^warning: there is " + LOST)
            self.check_refused(self.new, None, "record-lost")
            self.check_that_what_was_seen_opens_nothing()
            self.assertEqual({row["LAST USED"] for row in self.follow_list(self.list).values()}, {"never"})
            sleep_until(started + 2 * TOLERANCE + 2.1)
            self.assertTrue(self.new.opens())
            self.assertTrue(self.new.opens(self.ended_early))
        else:
            self.administer(start)
            self.assertNotIn("replay record", self.daemon.log)
        self.check_refused(self.laptop, None, "key-revoked")
        self.check_that_what_was_seen_opens_nothing()

    def follow_the_door(self, step):
        step.says("If the door's secret was rotated since the backup, no client is heard. Rotate it again:")
        rotate = step.code("oneknock-keygen rotate")
        step.says(".")
        if self.door_too:
            self.assertEqual([machine.opens() for machine in (self.desk, self.new)], [False, False])
            self.change(rotate)

    def follow_the_clients(self, step):
        step.says("A client whose key was rotated since the backup holds a generation the server does not know.")
        step.says("Rotate it again:")
        self.assertFalse(self.desk.opens())
        rotate = step.code("oneknock-keygen rotate")
        step.says(".")
        self.change(rotate)
        if self.machine_too:
            self.change(rotate.replace("desk", "new"))
        self.wait_for_a_later_second(time.time())

    def follow_the_new_files(self, step):
        step.says("Hand out the new files. Their generations may have the same numbers as those they replace,")
        step.says("so a client must give up its old file:")
        replace = step.code("rm ")
        step.says(".")
        self.desk.bring(self.file("desk-3.json"))
        self.assertEqual(self.desk.run(replace.split("&&")[1], check=False).returncode, 73)
        self.desk.run(replace)
        self.new.bring(self.file(*(["new-3.json"] if self.machine_too else ["new-keys", "new.json"])))
        self.new.run(replace.replace("desk-3", "new-3" if self.machine_too else "new"))
        self.assertEqual([machine.opens() for machine in (self.desk, self.new)], [True, True])
        for machine, key in ((self.desk, self.old_desk), (self.desk, self.lost_desk), (self.laptop, None)):
            self.assertFalse(machine.opens(key), key)
        if self.machine_too:
            self.assertFalse(self.new.opens(self.ended_early))
        self.check_that_what_was_seen_opens_nothing()

    def test_a_restored_folder_of_keys(self):
        self.door_too, self.machine_too = True, False
        self.restored = [self.door.folder]
        self.make_history()
        self.follow()

    def test_a_restored_machine(self):
        self.door_too, self.machine_too = False, True
        self.restored = [self.door.folder, self.door.state]
        self.make_history()
        self.daemon.kill()
        self.server.run("nft", "delete", "table", "inet", "oneknock")
        self.follow()


if __name__ == "__main__":
    main()
