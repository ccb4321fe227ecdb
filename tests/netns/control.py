"""What oneknockctl asks of a running daemon, also at awkward moments.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)
"""

import os
import signal
import socket
import time

from door import PlainHouse, knock
from harness import eventually, main, program
from traffic import CLOSED, attempt

PARTS = ["assembly", "verification", "record", "netlink", "total"]


class Control(PlainHouse):
    def with_a_firewall_that_hangs(self):
        """Stops that room until the test calls what it gets."""
        firewall = self.daemon.rooms()["firewall"]
        os.kill(firewall, signal.SIGSTOP)
        self.addCleanup(os.kill, firewall, signal.SIGCONT)
        return lambda: os.kill(firewall, signal.SIGCONT)

    def test_status_tells_where_the_time_of_accepted_knocks_went(self):
        knock(self.client, self.key, "ssh", "--time-offset", "90s")  # refused: does not count
        for _ in range(3):
            knock(self.client, self.key, "ssh", "--wait")
        times = self.daemon.status()["times"]
        self.assertEqual(list(times), PARTS)
        self.assertEqual({part["count"] for part in times.values()}, {3})
        sums = {name: part["sum_ns"] for name, part in times.items()}
        self.assertTrue(all(0 < each < 10e9 for each in sums.values()), sums)
        self.assertEqual(sum(sums[name] for name in PARTS[:-1]), sums["total"])
        self.assertRegex(self.daemon.ctl("status").stdout, r"\ntook +[\d.]+ ms an accepted knock: assembly [\d.]+, verification ")
        told = self.daemon.ctl("status", "--format", "prometheus").stdout
        self.assertIn('\noneknock_knock_seconds_count{part="total"} 3\n', told)
        self.assertIn(f'\noneknock_knock_seconds_sum{{part="total"}} {sums["total"] / 1e9:.9f}\n', told)

    def test_revoking_closes_a_grant_that_is_on_its_way_to_the_firewall(self):
        go_on = self.with_a_firewall_that_hangs()
        knock(self.client, self.key)
        eventually(lambda: self.daemon.status()["assembly"]["candidates"] == 1, "the knock to be read")
        revoke = self.net.start(self.server, program("oneknockctl"), "--socket", self.door.socket, "revoke", "--all")
        self.daemon.wait_for("^revoked 1 grant$")
        go_on()
        self.assertEqual(revoke.wait(), 0)
        self.daemon.wait_for("^accepted: alice: open")
        self.assertEqual((self.daemon.grants(), self.daemon.elements()), ([], []))
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), CLOSED)

    def test_whoever_asks_and_shuts_its_side_costs_nothing_while_it_waits(self):
        gatekeeper = self.daemon.rooms()["gatekeeper"]
        go_on = self.with_a_firewall_that_hangs()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(self.door.socket)
            peer.sendall(b"reload\n")
            peer.shutdown(socket.SHUT_WR)
            time.sleep(0.2)
            before = ticks(gatekeeper)
            time.sleep(0.5)
            self.assertLessEqual(ticks(gatekeeper) - before, 2)
            go_on()
            self.assertIn(b'"done":true', peer.recv(1000))

    def ask(self, line):
        peer = socket.socket(socket.AF_UNIX)
        self.addCleanup(peer.close)
        peer.connect(self.door.socket)
        peer.sendall(line)
        return peer

    def test_reloads_that_wait_keep_nobody_out_and_are_answered(self):
        go_on = self.with_a_firewall_that_hangs()
        waiting = [self.ask(b"reload\n") for _ in range(32)]
        self.assertEqual(self.daemon.grants(), [])
        with self.ask(b"reload\n") as late:
            self.assertIn(b"too many others wait for a reload", late.recv(1000))
        self.assertEqual(self.daemon.ctl("status", check=False).returncode, 0)
        go_on()
        for peer in waiting:
            self.assertIn(b'"done":true', peer.recv(1000))
        with self.ask(b"reload\n") as again:
            self.assertIn(b'"done":true', again.recv(1000))

    def test_no_peer_fills_the_log(self):
        def many(line):
            for _ in range(300):
                with self.ask(line) as peer:
                    self.assertIn(b'"done":true', peer.recv(1000))

        many(b"revoke --all\n")
        many(b"reload\n")
        self.assertLess(self.daemon.log.count("\n"), 150)
        time.sleep(1)
        self.daemon.ctl("reload")
        self.daemon.wait_for("^warning: [0-9]+ more lines about requests on the control socket were not logged$")
        self.door.add("bob")
        self.daemon.wait_for("^reloaded: 2 clients, 1 new or changed")
        knock(self.client, self.key, "ssh", "--wait")
        self.daemon.ctl("revoke", "--all")
        self.daemon.wait_for("^revoked 1 grant$")


def ticks(pid):
    """Processor time used, in hundredths of a second."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    main()
