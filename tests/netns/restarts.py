"""What is left of a knock when the daemon stops, is killed, or loses its record: no second opening, and the ports as they were.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; services on tcp 22 and 80)
      other  10.77.1.2  o0 ---- s1  10.77.1.1
"""

import glob
import itertools
import os
import random
import re
import shutil
import time

from door import Daemon, Door, elements, knock
from frames import Capture, Injector, read_pcap, with_source_port
from harness import NetworkTest, eventually, main, program, run, sleep_until, stretched
from traffic import CLOSED, OPEN, Service, attempt, connect, is_alive

LOST = r"for 5 s every knock is refused \(record-lost\), so that none can be played back; then all is normal"
RECORD = ("oneknock.db-replay", "oneknock.db-mark")


class Restarts(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client, self.other = map(net.namespace, ("server", "client", "other"))
        net.link(self.server, "s0", ["10.77.0.1/24"], self.client, "c0", ["10.77.0.2/24"])
        net.link(self.server, "s1", ["10.77.1.1/24"], self.other, "o0", ["10.77.1.2/24"])
        self.other.ip("route add 10.77.0.0/24 via 10.77.1.1")
        net.keep(Service(self.server, 22, 80), Service.stop)
        self.door = Door(net, "10.77.0.1")
        self.key = self.door.add("alice", allow=("ssh", "web"))

    def start(self):
        self.daemon = Daemon(self.net, self.server, self.door)
        return self.daemon

    def ssh(self, namespace):
        return attempt(namespace, "10.77.0.1", 22)

    def injector(self):
        return self.net.keep(Injector(self.client, "c0", self.server, "s0"), lambda injector: injector.__exit__())

    def planned(self, *options):
        """The packets of a knock that has not been sent."""
        path = self.net.path(f"planned-{len(os.listdir(self.net.folder))}.pcap")
        knock(self.client, self.key, "ssh", "--dry-run", "--write", path, *options)
        return [packet for _, packet in read_pcap(path)[1]]

    # --- replays --------------------------------------------------------------------------------------------------

    def test_no_knock_that_was_ever_accepted_opens_again_after_the_daemon_was_killed(self):
        keys = [self.key] + [self.door.add(name) for name in ("bob", "carol")]
        daemon = self.start()
        capture = Capture(self.net, self.client, "c0", "(udp or tcp[tcpflags] == tcp-syn) and dst host 10.77.0.1")
        for number, key in enumerate(keys * 2):
            knock(self.client, key, "ssh", "--knocks", "64", "--via", ("udp", "tcp")[number % 2])
        daemon.wait_for("^accepted:", times=6)
        daemon.kill()
        recorded = capture.ip_packets(6 * 64)
        self.start().ctl("revoke", "--all")
        self.injector().send(recorded)
        eventually(lambda: self.daemon.refused() == {"replayed": 6}, lambda: f"6 replays; {self.daemon.refused()}")
        self.assert_becomes((0, [], CLOSED), lambda: (self.daemon.accepted(), self.daemon.grants(), self.ssh(self.client)))

    def test_a_knock_opens_at_most_once_however_close_to_it_the_daemon_is_killed(self):
        chance = random.Random(7)
        injector = self.injector()
        outcomes = []
        for _ in range(6):
            packets = self.planned()
            first = self.start()
            injector.send(packets)
            time.sleep(chance.uniform(0, 0.008))
            first.kill()
            second = self.start()
            second.ctl("revoke", "--all")
            injector.send([with_source_port(packet, 40000) for packet in packets])
            eventually(lambda: second.accepted() + sum(second.refused().values()) == 1, "a decision about the replay")
            outcomes.append((first.process.count("^accepted:"), second.accepted()))
            second.kill()
        self.assertEqual([outcome for outcome in outcomes if sum(outcome) > 1], [], outcomes)

    # --- grants ---------------------------------------------------------------------------------------------------

    def check_adoption(self, end):
        """`end` ends the daemon that opened."""
        self.start()
        knock(self.client, self.key, "ssh", "--wait", "--for", "40s")
        (*opened, before), = self.daemon.elements()
        with connect(self.client, "10.77.0.1", 22) as connection:
            end(self.daemon)
            self.assertEqual((self.ssh(self.client), self.ssh(self.other)), (OPEN, CLOSED), "while no daemon runs")
            self.assertEqual(attempt(self.client, "10.77.0.1", 80), CLOSED, "while no daemon runs")
            self.start().wait_for("^adopted 1 grant of an earlier run$")
            (*adopted, after), = self.daemon.elements()
            self.assertEqual(adopted, opened)
            self.assertTrue(before - 15 <= after <= before, (before, after))
            grant, = self.daemon.grants()
            self.assertTrue(before - 15 <= grant["remaining_s"] <= before + 1, grant)
            self.assertEqual(grant["client"], "alice")
            self.assertEqual((self.ssh(self.client), self.ssh(self.other)), (OPEN, CLOSED))
            self.daemon.ctl("revoke", "alice")
            self.assertEqual(self.ssh(self.client), CLOSED)
            self.assertTrue(is_alive(connection))

    def test_grants_outlive_a_stop_and_are_adopted_with_their_remaining_times(self):
        self.check_adoption(lambda daemon: self.assertEqual(daemon.stop(), 0))

    def test_grants_outlive_a_kill_and_are_adopted_with_their_remaining_times(self):
        self.check_adoption(Daemon.kill)

    def test_nothing_in_the_firewall_changes_when_the_daemon_is_killed_and_grants_end_without_it(self):
        def table():
            return re.sub(r"expires \S+", "", self.server.run("nft", "list", "table", "inet", "oneknock").stdout)

        self.start()
        knock(self.client, self.key, "ssh", "--wait", "--for", "2s")
        before = table()
        self.daemon.kill()
        self.assertEqual(table(), before)
        self.assertEqual((self.ssh(self.client), self.ssh(self.other)), (OPEN, CLOSED))
        eventually(lambda: not elements(self.server), "the grant to end", step=0.1)
        self.assertEqual((self.ssh(self.client), self.ssh(self.other)), (CLOSED, CLOSED))

    def test_what_a_client_opened_that_was_revoked_while_no_daemon_ran_is_closed_at_the_start(self):
        self.start()
        knock(self.client, self.key, "ssh", "--wait")
        self.daemon.stop()
        self.door.revoke("alice")
        self.assertEqual(self.ssh(self.client), OPEN)
        self.start()
        eventually(lambda: self.ssh(self.client) == CLOSED, "the grant to be closed", timeout=stretched(1))
        self.assertEqual(self.daemon.grants(), [])

    def test_a_client_knocks_again_right_after_a_restart(self):
        for _ in range(3):
            self.start()
            self.assertNotIn("replay record", self.daemon.log)
            knock(self.client, self.key, "ssh", "--wait")
            self.daemon.ctl("revoke", "--all")
            self.daemon.stop()
        self.assertEqual(self.ssh(self.client), CLOSED)

    # --- the record -----------------------------------------------------------------------------------------------

    def check_a_lost_record(self, spoil, says):
        """`spoil` gets the state folder's path while no daemon runs."""
        self.door.configure(tolerance="2s")
        self.start()
        packets = self.planned()
        self.injector().send(packets)
        self.daemon.wait_for("^accepted:")
        self.daemon.ctl("revoke", "--all")
        self.daemon.kill()
        spoil(self.door.state)
        lost_at = time.monotonic()
        self.start().wait_for("^warning: " + says + LOST)

        knock(self.client, self.key)
        self.injector().send([with_source_port(packet, 40000) for packet in packets])
        eventually(lambda: sum(self.daemon.refused().values()) == 2, "both to be refused")
        if time.monotonic() < lost_at + 5:
            self.assertEqual(self.daemon.refused(), {"record-lost": 2})
        self.assertEqual((self.daemon.accepted(), self.ssh(self.client)), (0, CLOSED))
        sleep_until(time.time() + max(0, lost_at + 5 - time.monotonic()))
        self.injector().send([with_source_port(packet, 40001) for packet in packets])
        knock(self.client, self.key, "ssh", "--wait")
        self.assert_becomes(1, lambda: self.daemon.accepted())

    def test_a_deleted_record_closes_one_window_and_says_so(self):
        def delete(state):
            for part in glob.glob(state + "/oneknock.db*"):
                os.remove(part)

        self.check_a_lost_record(delete, "there is no replay record in the state folder: ")

    def test_a_damaged_record_is_put_aside_closes_one_window_and_says_so(self):
        def scribble(state):
            with open(os.path.join(state, RECORD[0]), "r+b") as file:
                file.write(os.urandom(8192))

        self.check_a_lost_record(scribble, "the replay record in the state folder was damaged .* has been put aside: ")
        self.assertEqual(len(glob.glob(os.path.join(self.door.state, RECORD[0] + ".damaged-*[0-9]"))), 1)

    def test_a_record_of_which_either_file_is_lost_or_another_one_closes_one_window_and_says_so(self):
        def replace_with(content):
            def replace(path):
                with open(path, "wb") as file:
                    file.write(content)
            return replace

        def flip(path):
            with open(path, "r+b") as file:
                file.seek(17)
                byte = file.read(1)[0]
                file.seek(17)
                file.write(bytes([byte ^ 1]))

        as_made = self.door.state + "-as-made"
        shutil.copytree(self.door.state, as_made)
        for name, spoil in itertools.product(RECORD, (os.remove, replace_with(b""), replace_with(bytes(65536)), flip)):
            with self.subTest(name=name, spoil=spoil):
                self.start()
                packets = self.planned()
                self.injector().send(packets)
                self.daemon.wait_for("^accepted:")
                self.daemon.kill()
                spoil(os.path.join(self.door.state, name))
                self.start().wait_for("^warning: .*replay record .*every knock is refused")
                self.assertEqual(self.daemon.elements(), [])
                self.injector().send([with_source_port(packet, 40000) for packet in packets])
                eventually(lambda: self.daemon.refused() == {"record-lost": 1}, "the replay to be refused")
                self.daemon.kill()
                shutil.rmtree(self.door.state)
                shutil.copytree(as_made, self.door.state)

    def test_an_audit_that_is_damaged_is_put_aside_and_changes_nothing_else(self):
        self.start()
        packets = self.planned()
        self.injector().send(packets)
        self.daemon.wait_for("^accepted:")
        self.daemon.kill()
        os.remove(os.path.join(self.door.state, "oneknock.db-wal"))
        with open(os.path.join(self.door.state, "oneknock.db"), "r+b") as file:
            file.write(os.urandom(8192))
        self.start().wait_for("^warning: the audit was damaged and has been put aside")
        self.assertNotIn("replay record", self.daemon.log)
        self.assertEqual([grant["client"] for grant in self.daemon.grants()], ["alice"])
        self.injector().send([with_source_port(packet, 40000) for packet in packets])
        eventually(lambda: self.daemon.refused() == {"replayed": 1}, "the replay to be refused")

    # --- who holds what -------------------------------------------------------------------------------------------

    def test_a_grant_belongs_to_its_client_however_close_to_it_the_daemon_is_killed(self):
        """Killed when the grant is asked for, before any audit of it: the revocation of its client closes it."""
        self.start()
        gatekeeper = self.daemon.rooms()["gatekeeper"]
        tracer = self.net.start(self.server, "strace", "-qq", "-p", str(gatekeeper), "-o", "/dev/null", "-e", "trace=sendto",
                                "-e", "inject=sendto:signal=KILL:when=2")
        eventually(lambda: "TracerPid:\t0" not in open(f"/proc/{gatekeeper}/status").read(), "the tracer")
        knock(self.client, self.key, "ssh", "--for", "60s")
        self.daemon.process.wait()
        tracer.wait()
        self.assertEqual(len(elements(self.server)), 1)
        self.start()
        grant, = self.daemon.grants()
        self.assertEqual(grant["client"], "alice")
        self.door.revoke("alice")
        eventually(lambda: not elements(self.server), "the grant to be closed")

    def test_elements_that_the_record_does_not_know_are_removed_at_the_start_and_said(self):
        self.start()
        knock(self.client, self.key, "ssh", "--wait", "--for", "40s")
        self.daemon.kill()
        self.server.run("nft", "add element inet oneknock granted4 { 10.77.1.2 . tcp . 22 timeout 40d }")
        self.assertEqual(self.ssh(self.other), OPEN)
        self.start().wait_for("^warning: removed 1 element from the sets of grants")
        self.assertEqual((self.ssh(self.client), self.ssh(self.other)), (OPEN, CLOSED))

    def test_a_record_that_cannot_be_opened_for_lack_of_disk_is_left_alone_and_as_good_as_before(self):
        state = self.door.state
        elsewhere = state + "-as-made"
        os.rename(state, elsewhere)
        os.mkdir(state)
        run("mount", "-t", "tmpfs", "-o", "size=3m,mode=0755", "none", state)
        self.addCleanup(run, "umount", "-l", state, check=False)
        run("cp", "-a", elsewhere + "/.", state)
        self.start()
        knock(self.client, self.key, "ssh", "--wait")
        self.daemon.stop()
        with open(os.path.join(state, "filling"), "wb", buffering=0) as filling:
            try:
                while filling.write(bytes(4096)):
                    pass
            except OSError:
                pass
        full = self.net.start(self.server, program("oneknockd"), "--config", self.door.config)
        self.assertEqual(full.wait(), 73)
        self.assertRegex(full.log, "error: the (audit oneknock.db|replay record) in the state folder: .*Check the disk")
        self.assertEqual(glob.glob(os.path.join(state, "oneknock.db.*")), [])
        os.remove(os.path.join(state, "filling"))
        self.start()
        self.assertNotIn("replay record", self.daemon.log)
        grant, = self.daemon.grants()
        self.assertEqual(grant["client"], "alice")

    def test_a_lost_record_is_told_of_however_late_the_audit_can_be_opened(self):
        self.start()
        self.daemon.kill()
        record, audit = (os.path.join(self.door.state, name) for name in ("oneknock.db-replay", "oneknock.db"))
        os.remove(record)
        os.chmod(audit, 0)
        failed = self.net.start(self.server, program("oneknockd"), "--config", self.door.config)
        self.assertEqual(failed.wait(), 73)
        self.assertFalse(os.path.exists(record), "a record that was begun before it was known from when on")
        os.chmod(audit, 0o600)
        self.start().wait_for("^warning: there is no replay record")


if __name__ == "__main__":
    main()
