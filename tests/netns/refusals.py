"""What is refused, and how it is counted and said.

      client 10.77.0.2 fd77::2  c0 ---- s0  10.77.0.1 fd77::1
                                            server (oneknockd; services on tcp 22 and 80)
      other  10.77.1.2          o0 ---- s1  10.77.1.1

Captured packets are sent again with the sender's or another port and address, out of c0 or o0.
"""

import base64
import os
import shutil
import signal
import time

from door import Daemon, Door, change_json, close, key_for, knock
from frames import Capture, Injector, read_pcap, with_source, with_source_port
from harness import NetworkTest, eventually, main, sleep_until, stretched
from traffic import CLOSED, OPEN, Service, attempt

PACKETS = 64


class Guarded(NetworkTest):
    configuration = {}

    def build(self):
        net = self.net
        self.server, self.client, self.other = map(net.namespace, ("server", "client", "other"))
        net.link(self.server, "s0", ["10.77.0.1/24", "fd77::1/64"], self.client, "c0", ["10.77.0.2/24", "fd77::2/64"])
        net.link(self.server, "s1", ["10.77.1.1/24"], self.other, "o0", ["10.77.1.2/24"])
        self.other.ip("route add 10.77.0.0/24 via 10.77.1.1")
        net.keep(Service(self.server, 22, 80), Service.stop)
        self.door = Door(net, "10.77.0.1", **self.configuration)
        self.key = self.door.add("alice")

    def start(self):
        self.daemon = Daemon(self.net, self.server, self.door)

    def ssh(self, namespace):
        return attempt(namespace, "10.77.0.1", 22)

    def injector(self, host="client"):
        ends = (self.client, "c0", self.server, "s0") if host == "client" else (self.other, "o0", self.server, "s1")
        return self.net.keep(Injector(*ends), lambda injector: injector.__exit__())

    def planned(self, *options):
        """The packets of a knock that has not been sent."""
        path = self.net.path(f"planned-{len(os.listdir(self.net.folder))}.pcap")
        knock(self.client, self.key, "ssh", "--dry-run", "--write", path, *options)
        return [packet for _, packet in read_pcap(path)[1]]

    def check_refused(self, reason, log_line):
        self.assert_becomes({reason: 1}, lambda: self.daemon.refused())
        self.assert_becomes(0, lambda: self.daemon.accepted())
        self.daemon.wait_for(log_line)
        self.assertEqual((self.ssh(self.client), self.ssh(self.other)), (CLOSED, CLOSED))

    def await_refusals(self, **counts):
        wanted = {reason.replace("_", "-"): count for reason, count in counts.items()}
        eventually(lambda: self.daemon.refused() == wanted,
                   lambda: f"refusals to be {wanted}; they are {self.daemon.refused()}")


class Refusals(Guarded):
    def test_a_grant_that_comes_late_to_the_kernel_ends_when_it_would_have_ended_anyway(self):
        bob = self.door.add("bob", allow=("ssh", "web"))
        self.start()
        os.kill(self.daemon.process.pid, signal.SIGSTOP)
        knock(self.client, self.key, "ssh", "--for", "1s")
        knock(self.client, bob, "web", "--for", "60s")
        eventually(lambda: any(grant["port"] == 80 for grant in self.daemon.grants()), "both to be recorded")
        time.sleep(1.5)
        os.kill(self.daemon.process.pid, signal.SIGCONT)
        self.daemon.wait_for("refused: firewall-failed: alice: open tcp/22")
        self.daemon.wait_for("^accepted: bob: open tcp/80")
        self.assertEqual(self.ssh(self.client), CLOSED)
        (left,) = self.daemon.elements()
        self.assertEqual(left[2], 80)
        (listed,) = self.daemon.grants()
        self.assertLessEqual(left[3], listed["remaining_s"] + 1)
        self.assertLess(left[3], 59)

    # --- replays --------------------------------------------------------------------------------------------------

    def accepted_packets(self, key, via):
        """The packets of a knock that opened; closed again."""
        before = self.daemon.accepted()
        capture = Capture(self.net, self.client, "c0", f"{via} and (dst host 10.77.0.1 or dst host fd77::1)")
        knock(self.client, key, "ssh", "--via", via)
        self.daemon.wait_for("^accepted:", times=before + 1)
        packets = capture.ip_packets(PACKETS)[:PACKETS]
        capture.stop()
        close(self.client, key, "ssh", "--wait")
        return packets

    def test_the_packets_of_a_knock_open_nothing_a_second_time_wherever_they_come_from(self):
        self.start()
        datagrams = self.accepted_packets(self.key, "udp")
        syns = self.accepted_packets(key_for(self.key, "fd77::1", self.net.path("alice6.json")), "tcp")
        accepted_until = time.time()
        here, elsewhere = self.injector(), self.injector("other")

        here.send([with_source_port(packet, 40000) for packet in datagrams])
        self.await_refusals(replayed=1)
        here.send([with_source_port(packet, 40000) for packet in syns])
        self.await_refusals(replayed=2)
        elsewhere.send([with_source(packet, "10.77.1.2") for packet in datagrams])
        self.await_refusals(replayed=2, address_mismatch=1)
        self.daemon.wait_for("^warning: refused: address-mismatch: alice: open tcp/22 for 10.77.0.2, from 10.77.1.2$")
        elsewhere.send([with_source_port(packet, 40001) for packet in datagrams])  # with the client's address
        self.await_refusals(replayed=3, address_mismatch=1)
        sleep_until(accepted_until + 5.1)  # the listener has forgotten the packets themselves
        here.send(datagrams + syns)
        self.await_refusals(replayed=5, address_mismatch=1)

        self.daemon.wait_for("^warning: refused: replayed: alice: open tcp/22 for 10.77.0.2, from 10.77.0.2$", times=3)
        self.daemon.wait_for("^warning: refused: replayed: alice: open tcp/22 for fd77::2, from fd77::2$", times=2)
        self.assert_becomes((4, []), lambda: (self.daemon.accepted(), self.daemon.grants()))
        self.assertEqual(self.ssh(self.client), CLOSED)

    def test_a_copy_that_comes_first_from_another_address_does_not_burn_the_knock(self):
        self.start()
        packets = self.planned()
        self.injector("other").send([with_source(packet, "10.77.1.2") for packet in packets])
        self.await_refusals(address_mismatch=1)
        self.injector().send(packets)
        self.daemon.wait_for("^accepted: alice: open tcp/22 for 10.77.0.2")
        self.assertEqual((self.ssh(self.client), self.ssh(self.other)), (OPEN, CLOSED))

    # --- clocks ---------------------------------------------------------------------------------------------------

    def skip_where_the_hour_changes(self, offset):
        """A time in another hour leads to that hour's codebook, which is heard only close to the change: a knock of such a clock
        is noise then, and nothing is said."""
        if int(time.time() + offset) // 3600 != int(time.time()) // 3600:
            self.skipTest("the hour changes within these seconds")

    def test_a_knock_of_a_clock_that_is_ahead_is_refused_and_the_log_says_by_how_much(self):
        self.skip_where_the_hour_changes(95)
        self.start()
        knock(self.client, self.key, "ssh", "--time-offset", "90s")
        self.await_refusals(future=1)
        self.check_refused("future", r"^warning: refused: future: alice: open tcp/22 for 10\.77\.0\.2, from 10\.77\.0\.2; "
                                     r"the client's clock is (89|90) s ahead$")

    def test_a_knock_of_a_clock_that_is_behind_is_refused_and_the_log_says_by_how_much(self):
        self.skip_where_the_hour_changes(-90)
        self.start()
        knock(self.client, self.key, "ssh", "--time-offset", "-90s")
        self.await_refusals(stale=1)
        self.check_refused("stale", r"^warning: refused: stale: alice: .* from 10\.77\.0\.2; the client's clock is (90|91) s behind$")

    def test_a_knock_within_the_tolerance_is_accepted(self):
        self.start()
        knock(self.client, self.key, "ssh", "--time-offset", "55s", "--wait")
        close(self.client, self.key, "ssh", "--time-offset", "57s", "--wait")
        self.assert_becomes({}, lambda: self.daemon.refused())

    # --- keys and policy ------------------------------------------------------------------------------------------

    def test_a_service_the_client_may_not_open_stays_closed(self):
        self.start()
        done = knock(self.client, self.key, "tcp/80")
        self.assertIn("does not list tcp/80", done.stderr)
        self.await_refusals(service_not_allowed=1)
        self.check_refused("service-not-allowed", "^warning: refused: service-not-allowed: alice: open tcp/80 for 10.77.0.2, from 10.77.0.2$")
        self.assertEqual(attempt(self.client, "10.77.0.1", 80), CLOSED)

    def test_a_revoked_client_stays_out_and_loses_what_it_opened(self):
        self.start()
        knock(self.client, self.key, "ssh", "--wait")
        self.door.revoke("alice")
        self.daemon.ctl("reload")
        self.daemon.wait_for("^reloaded: 1 client,")
        eventually(lambda: self.ssh(self.client) == CLOSED, "the grant of a revoked client to be closed",
                   stretched(1))
        knock(self.client, self.key, "ssh")
        self.await_refusals(key_revoked=1)
        self.daemon.wait_for("^warning: refused: key-revoked: alice: open tcp/22 for 10.77.0.2, from 10.77.0.2$")
        self.assertEqual((self.ssh(self.client), self.daemon.grants()), (CLOSED, []))

    def test_a_client_that_may_open_for_a_shorter_time_by_now_has_what_is_open_for_no_longer(self):
        self.start()
        knock(self.client, self.key, "ssh", "--wait", "--for", "300s")
        change_json(os.path.join(self.door.folder, "clients.d/alice.json"), lambda client: client.update(max_duration="20s"))
        eventually(lambda: self.daemon.elements()[0][3] <= 20, "the grant to become shorter")
        self.assertLessEqual(self.daemon.grants()[0]["remaining_s"], 20)
        self.assertEqual(self.ssh(self.client), OPEN)

    def test_revoking_acts_within_a_second_without_being_told_to_reload(self):
        self.start()
        self.door.revoke("alice")
        self.daemon.wait_for("^reloaded:", timeout=stretched(1))
        knock(self.client, self.key, "ssh")
        self.await_refusals(key_revoked=1)
        self.check_refused("key-revoked", "^warning: refused: key-revoked: alice")

    def test_revoking_acts_in_a_folder_that_was_put_in_the_place_of_the_first_one(self):
        self.start()
        clients, old = self.door.folder + "/clients.d", self.door.folder + "/clients.old"
        os.rename(clients, old)
        missing = self.daemon.ctl("reload", check=False)
        self.assertEqual((missing.returncode, "what is in force stays in force" in missing.stderr), (65, True), missing.stderr)
        shutil.copytree(old, clients)
        self.daemon.wait_for("^reloaded: 1 client,")
        knock(self.client, self.key, "ssh", "--wait")
        self.door.revoke("alice")
        eventually(lambda: self.ssh(self.client) == CLOSED, "the grant to be closed", stretched(1))
        other = self.door.folder + "/clients.new"  # by a symbolic link, as some tools do it
        shutil.copytree(old, other)
        os.rename(clients, self.door.folder + "/clients.revoked")
        os.symlink(other, clients)
        knock(self.client, self.key, "ssh", "--wait")

    def test_a_file_whose_mode_was_mended_is_read_at_once(self):
        self.start()
        path = self.door.add("bob") and self.door.folder + "/clients.d/bob.json"
        self.daemon.wait_for("^reloaded: 2 clients,")
        os.chmod(path, 0o644)
        self.daemon.wait_for("chmod 600")
        os.chmod(path, 0o600)
        self.daemon.wait_for("^reloaded: 2 clients,", times=2)

    def test_a_client_that_is_added_while_the_daemon_runs_may_knock_at_once(self):
        self.start()
        key = self.door.add("bob")
        knock(self.client, key, "ssh", "--wait")
        self.assertEqual(self.daemon.grants()[0]["client"], "bob")

    def test_an_expired_client_is_refused(self):
        past = "2020-01-01T00:00:00Z"
        change_json(os.path.join(self.door.folder, "clients.d", "alice.json"), lambda content: content.update(expires=past))
        self.start()
        knock(self.client, self.key)
        self.await_refusals(key_expired=1)
        self.check_refused("key-expired", "^warning: refused: key-expired: alice: open tcp/22")

    def test_an_expired_key_file_is_refused_before_anything_is_sent(self):
        change_json(self.key, lambda content: content.update(expires="2020-01-01T00:00:00Z"))
        self.start()
        done = knock(self.client, self.key, check=False)
        self.assertEqual(done.returncode, 65)
        self.assertIn("this key expired at 2020-01-01T00:00:00Z; ask the administrator of home for a new one", done.stderr)
        self.assertEqual(self.daemon.status()["capture"]["symbols"], 0)

    def test_a_knock_of_a_wrong_key_is_counted_and_not_logged(self):
        self.start()
        secret = base64.b64encode(bytes(range(32))).decode()
        change_json(self.key, lambda content: content["client"].update(secret=secret))
        knock(self.client, self.key)
        eventually(lambda: self.daemon.junk() > 0, "the knock to be counted as junk")
        self.assert_becomes({}, lambda: self.daemon.refused())
        self.assertNotIn("refused", self.daemon.log)
        self.assertEqual(self.ssh(self.client), CLOSED)

    def test_two_clients_at_one_address_neither_close_nor_shorten_each_others_grants(self):
        bob = self.door.add("bob", "--source", "any")
        self.start()
        knock(self.client, self.key, "ssh", "--wait", "--for", "50s")
        knock(self.client, bob, "ssh", "--for", "1s")
        self.daemon.wait_for("^accepted: bob: open")
        self.assertEqual({grant["client"] for grant in self.daemon.grants()}, {"alice", "bob"})
        eventually(lambda: len(self.daemon.grants()) == 1, "bob's grant to end", step=0.1)
        self.assertEqual(self.ssh(self.client), OPEN)
        knock(self.client, bob, "ssh", "--for", "90s", "--time-offset", "1s")
        self.daemon.wait_for("^accepted: bob: open", times=2)
        close(self.client, bob, "ssh", "--time-offset", "2s")
        self.daemon.wait_for("^accepted: bob: close")
        self.assertEqual(self.ssh(self.client), OPEN)
        (*_, left), = self.daemon.elements()
        self.assertLess(left, 51)  # it lasts as long as alice's
        self.daemon.ctl("revoke", "bob")
        self.assertEqual(self.ssh(self.client), OPEN)
        close(self.client, self.key, "ssh", "--wait")
        self.assertEqual((self.ssh(self.client), self.daemon.grants()), (CLOSED, []))

    def test_opening_for_a_shorter_time_leaves_a_grant_as_it_is_and_says_so(self):
        self.start()
        knock(self.client, self.key, "ssh", "--wait", "--for", "50s")
        knock(self.client, self.key, "ssh", "--for", "2s", "--time-offset", "1s")
        self.daemon.wait_for("^accepted: alice: .* 2s, .*; it was open for longer already, and stays so$")
        (*_, left), = self.daemon.elements()
        self.assertGreater(left, 5)

    def test_an_open_that_was_made_before_a_close_is_refused(self):
        self.start()
        withheld = self.planned("--time-offset", "-5s")
        close(self.client, self.key, "ssh")
        self.daemon.wait_for("^accepted: alice: close")
        self.injector().send(withheld)
        self.await_refusals(closed_since=1)
        self.daemon.wait_for("^warning: refused: closed-since: alice: open tcp/22 for 10.77.0.2, from 10.77.0.2$")
        self.assertEqual(self.ssh(self.client), CLOSED)
        knock(self.client, self.key, "ssh", "--wait")  # a new one is fine

    # --- whom a client may open for -------------------------------------------------------------------------------

    def test_policy_same_opens_for_the_sender_alone(self):
        self.start()
        knock(self.client, self.key, "ssh", "--source", "10.77.1.2")
        self.await_refusals(address_mismatch=1)
        self.check_refused("address-mismatch", "^warning: refused: address-mismatch: alice: open tcp/22 for 10.77.1.2, from 10.77.0.2$")

    def test_policy_same_cannot_be_asked_to_open_for_the_observed_address(self):
        self.start()
        self.assertEqual(knock(self.client, self.key, "ssh", "--source", "observed", check=False).returncode, 64)
        # The client knows that it would be refused; one that claims otherwise is.
        change_json(self.key, lambda content: content["client"].update(source="observed"))
        knock(self.client, self.key, "ssh", "--source", "observed")
        self.await_refusals(address_mismatch=1)
        self.assertEqual(self.ssh(self.client), CLOSED)

    def test_policy_observed_opens_for_the_address_the_server_sees_and_for_no_other(self):
        key = self.door.add("bob", "--source", "observed")
        self.start()
        knock(self.client, key, "ssh", "--source", "observed", "--wait")
        knock(self.client, key, "ssh", "--source", "10.77.1.2")
        self.await_refusals(address_mismatch=1)
        self.assertEqual((self.ssh(self.client), self.ssh(self.other)), (OPEN, CLOSED))

    def test_policy_network_opens_for_addresses_in_it_alone(self):
        key = self.door.add("bob", "--source", "10.77.1.0/24")
        self.start()
        knock(self.client, key, "ssh", "--source", "10.77.1.2")
        self.daemon.wait_for("^accepted: bob: open tcp/22 for 10.77.1.2, 30s, from 10.77.0.2")
        self.assertEqual((self.ssh(self.client), self.ssh(self.other)), (CLOSED, OPEN))
        knock(self.client, key, "ssh", "--source", "10.77.2.2")
        self.await_refusals(address_mismatch=1)

    def test_policy_any_opens_for_any_address(self):
        key = self.door.add("bob", "--source", "any")
        self.start()
        knock(self.client, key, "ssh", "--source", "10.77.1.2")
        self.daemon.wait_for("^accepted: bob: open tcp/22 for 10.77.1.2")
        self.assertEqual((self.ssh(self.client), self.ssh(self.other)), (CLOSED, OPEN))


class SmallTolerance(Guarded):
    """A refused knock is played back later, when it would fit."""

    configuration = {"tolerance": "2s"}

    def test_a_knock_that_was_refused_as_future_stays_refused_when_its_time_has_come(self):
        self.start()
        packets = self.planned("--time-offset", "5s")
        fits_from = int(time.time()) + 5 - 1
        self.injector().send(packets)
        self.await_refusals(future=1)
        sleep_until(fits_from)
        self.injector().send([with_source_port(packet, 40000) for packet in packets])
        self.await_refusals(future=1, replayed=1)
        self.assertEqual(self.ssh(self.client), CLOSED)

    def test_a_knock_that_was_never_sent_is_stale_once_the_tolerance_is_over(self):
        self.start()
        packets = self.planned()
        too_old_from = int(time.time()) + 3.1
        sleep_until(too_old_from)
        self.injector().send(packets)
        self.await_refusals(stale=1)


if __name__ == "__main__":
    main()
