"""The change of the hour, and clocks that jump.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)

The daemon runs with a clock of its own (shifted_clock.c), so that the hour changes when a test wants it to. The client, into
which no library can be loaded, is told by how much its clock differs.
"""

import glob
import math
import os
import struct
import time
import unittest

from door import Daemon, Door, change_json, knock
from frames import Capture, Injector, with_source_port
from harness import NetworkTest, eventually, main, sleep_until
from traffic import OPEN, Service, attempt

LIBRARY = os.environ.get("SHIFTED_CLOCK_LIBRARY", "")
HOUR = 3600


@unittest.skipUnless(os.path.exists(LIBRARY), "shifted_clock is not built")
class ShiftedClock(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", ["10.77.0.1/24"], self.client, "c0", ["10.77.0.2/24"])
        net.keep(Service(self.server, 22), Service.stop)
        self.door = Door(net, "10.77.0.1", tolerance="2s")
        self.key = self.door.add("alice")
        for part in ("door.json", "clients.d/alice.json"):  # in force for as long as the clocks go back
            change_json(os.path.join(self.door.folder, part), self.make_older)
        path = self.net.path("clock")
        with open(path, "wb") as file:
            file.write(bytes(8))
        self.environment = {"LD_PRELOAD": LIBRARY, "SHIFTED_CLOCK": path, "ASAN_OPTIONS": "verify_asan_link_order=0"}
        self.set_clock(0)

    @staticmethod
    def make_older(content):
        content["generations"][0]["not_before"] = "2020-01-01T00:00:00Z"

    def set_clock(self, offset):
        """Puts the clock of both ends so many whole seconds ahead of the real one."""
        with open(self.environment["SHIFTED_CLOCK"], "r+b") as file:
            file.write(struct.pack("=q", offset * 10**9))
        self.offset = offset

    def now(self):
        return time.time() + self.offset

    def wait_until(self, when):
        sleep_until(when - self.offset)

    def start(self):
        self.daemon = Daemon(self.net, self.server, self.door, env=self.environment)

    def knock(self, *options, key=None, ahead=0):
        """By a client whose clock is so many seconds ahead of the daemon's."""
        knock(self.client, key or self.key, "ssh", "--time-offset", f"{self.offset + ahead}s", *options)

    def injector(self):
        return self.net.keep(Injector(self.client, "c0", self.server, "s0"), lambda injector: injector.__exit__())


class TheHour(ShiftedClock):
    def set_clock_before_the_hour(self, seconds):
        """The time of the next full hour, so many seconds ahead, or less than one more."""
        now = time.time()
        hour = int(now // HOUR + 1) * HOUR
        self.set_clock(hour - seconds - math.ceil(now))
        return hour

    def test_every_knock_around_the_change_of_the_hour_is_accepted(self):
        hour = self.set_clock_before_the_hour(3)
        self.start()
        knocks = 0
        while self.now() < hour + 3:  # the daemon changes its books at the hour and 2 s before and after it
            self.knock()
            knocks += 1
            self.daemon.wait_for("^accepted:", times=knocks)
            time.sleep(0.1)
        self.assertGreater(knocks, 6)  # of some 50; on a busy machine they take their time
        self.assert_becomes((knocks, {}), lambda: (self.daemon.accepted(), self.daemon.refused()))
        # Though two books are live for most of them, in one of which each knock is noise.
        status = self.daemon.status()
        self.assertEqual((self.daemon.junk(), status["assembly"]["candidates"]), (0, knocks))
        self.assertLessEqual(status["assembly"]["decodes"], knocks + 2)

    def test_clocks_that_differ_across_the_hour_do_not_matter_within_the_tolerance(self):
        hour = self.set_clock_before_the_hour(6)
        self.start()
        self.wait_until(hour - 1.5)
        self.knock(ahead=2)  # made in the next hour, comes in this one
        self.daemon.wait_for("^accepted:", times=1)
        self.assertLess(self.now(), hour)
        self.wait_until(hour + 0.1)
        self.knock(ahead=-1)  # made in the last hour, comes in this one
        self.daemon.wait_for("^accepted:", times=2)
        self.assert_becomes({}, lambda: self.daemon.refused())

    def test_a_knock_of_the_last_hour_is_still_known_as_used_in_the_next_one(self):
        hour = self.set_clock_before_the_hour(1)
        self.door.configure(tolerance="5s")  # a busy machine may take some to send it again
        self.start()
        capture = Capture(self.net, self.client, "c0", "udp and dst host 10.77.0.1")
        self.knock()
        self.daemon.wait_for("^accepted:")
        recorded = capture.ip_packets(64)
        self.daemon.ctl("revoke", "--all")
        self.wait_until(hour)
        self.injector().send([with_source_port(packet, 40000) for packet in recorded])
        eventually(lambda: self.daemon.refused() == {"replayed": 1}, lambda: f"the refusal; {self.daemon.refused()}")
        self.wait_until(hour + 7)  # now the last hour's ports mean nothing any more
        self.injector().send([with_source_port(packet, 40001) for packet in recorded])
        self.knock()
        self.daemon.wait_for("^accepted:", times=2)
        self.assert_becomes((2, {"replayed": 1}), lambda: (self.daemon.accepted(), self.daemon.refused()))


class Jumps(ShiftedClock):
    def record_a_knock(self):
        self.start()
        capture = Capture(self.net, self.client, "c0", "udp and dst host 10.77.0.1")
        self.knock()
        self.daemon.wait_for("^accepted:")
        packets = capture.ip_packets(64)
        capture.stop()
        self.daemon.ctl("revoke", "--all")
        return packets

    def test_a_clock_that_goes_back_makes_no_old_knock_good_again(self):
        other_key = self.door.add("bob")
        recorded = self.record_a_knock()
        made = self.now()
        self.wait_until(made + 4)
        self.knock()  # meanwhile the daemon has had reason to forget the first one
        self.daemon.wait_for("^accepted:", times=2)
        for offset in (round(made - time.time()), -4 * HOUR):  # where the knock would fit, and another hour
            self.daemon.stop()
            self.set_clock(offset)
            self.start()
            self.injector().send([with_source_port(packet, 40000) for packet in recorded])
            # What becomes of a new one is not promised while the clock is wrong; it is decided on behind the old one.
            self.knock(key=other_key)
            eventually(lambda: "bob" in self.daemon.log, "the decision about the new knock")
            self.assertNotIn("accepted: alice", self.daemon.log)
            self.daemon.ctl("revoke", "--all")
        self.daemon.stop()
        self.set_clock(0)
        self.start()
        self.injector().send([with_source_port(packet, 40000) for packet in recorded])
        self.knock("--wait")
        self.assert_becomes(1, lambda: self.daemon.accepted())

    def test_a_record_that_is_lost_while_the_clock_is_behind_opens_nothing_again_when_the_clock_is_set_right(self):
        right = HOUR // 2 - int(time.time()) % HOUR  # the middle of an hour, so that the books stay the same ones
        self.set_clock(right)
        recorded = self.record_a_knock()
        self.daemon.kill()
        for part in glob.glob(os.path.join(self.door.state, "oneknock.db*")):
            os.remove(part)
        self.set_clock(right - 600)
        self.start()
        self.daemon.wait_for("^warning: there is no replay record")
        lost_at = time.monotonic()
        self.set_clock(right)
        self.injector().send([with_source_port(packet, 40000) for packet in recorded])
        eventually(lambda: sum(self.daemon.refused().values()) == 1, "the decision about the replay")
        if time.monotonic() < lost_at + 5:
            self.assertEqual(self.daemon.refused(), {"record-lost": 1})
        self.assertEqual((self.daemon.accepted(), self.daemon.grants()), (0, []))

    def test_a_record_that_is_lost_while_the_clock_is_behind_opens_nothing_again_while_the_clock_stays_behind(self):
        other_key = self.door.add("bob")
        change_json(os.path.join(self.door.folder, "clients.d/bob.json"), self.make_older)
        right = HOUR // 2 - int(time.time()) % HOUR
        self.set_clock(right)
        recorded = self.record_a_knock()
        made = time.time()
        self.set_clock(right - 600)
        self.knock(key=other_key, ahead=600)  # the line that is written last is not the latest
        self.daemon.wait_for("refused: future")
        self.daemon.kill()
        for part in ("replay", "mark"):  # the audit is there
            os.remove(os.path.join(self.door.state, "oneknock.db-" + part))
        self.start()
        self.daemon.wait_for("^warning: there is no replay record")
        self.daemon.kill()
        self.start()
        self.daemon.wait_for("^warning: the replay record was lost before an earlier start: for [3-5] s every knock")
        self.daemon.wait_for("^warning: this machine's clock is behind the audit's latest line")
        time.sleep(5.5)  # two tolerances and a second
        there = time.monotonic()
        self.set_clock(right - round(time.time() - made))  # it has got to the knock's time
        self.injector().send([with_source_port(packet, 40000) for packet in recorded])
        eventually(lambda: self.daemon.refused(), "the decision about the replay")
        self.assertEqual((self.daemon.accepted(), self.daemon.grants()), (0, []))
        if time.monotonic() < there + 1:
            self.assertEqual(self.daemon.refused(), {"replayed": 1})
        self.set_clock(right)
        self.knock(key=other_key)
        self.daemon.wait_for("^accepted: bob")

    def test_a_clock_from_before_the_door_was_made_is_said_aloud(self):
        self.start()
        self.assertNotIn("warning", self.daemon.log)
        self.daemon.stop()
        self.set_clock(-20 * 366 * 24 * HOUR)
        self.start()
        self.daemon.wait_for(r"^warning: no secret of the door is in force at \d{4}-.*Z, so no knock is heard; is this machine's clock")

    def test_a_clock_that_was_ahead_for_a_while_locks_nobody_out_for_good(self):
        self.record_a_knock()
        self.daemon.stop()
        self.set_clock(25 * HOUR)
        self.start()
        self.knock(ahead=-25 * HOUR)  # of no book the daemon has
        self.knock(ahead=1)
        self.daemon.wait_for("^accepted:")
        self.daemon.stop()
        self.set_clock(0)
        self.start()
        self.knock("--wait")
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN)


if __name__ == "__main__":
    main()
