"""The guard among other rules: what it closes, what it leaves alone, and that it stays.

      inside 10.78.0.2  i0 ---- s1  10.78.0.1
                                    server (oneknockd; services on tcp 22 and 80)
      client 10.77.0.2  c0 ---- s0  10.77.0.1
"""

import os
import pathlib
import re
import shlex
import shutil
import signal
import socket

from document import DOCUMENT
from door import Daemon, Door, change_json, elements, knock
from frames import Injector, syn_packet
from harness import NetworkTest, eventually, main, program, stretched
from traffic import CLOSED, OPEN, SILENT, Service, attempt, connect, is_alive

MANUAL = pathlib.Path(__file__).parent / "../../docs/man/oneknock-keygen.1.scd"
OPERATIONS = pathlib.Path(DOCUMENT)


class Guard(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client, self.inside = net.router("server"), net.namespace("client"), net.namespace("inside")
        net.link(self.server, "s0", ["10.77.0.1/24"], self.client, "c0", ["10.77.0.2/24"])
        net.link(self.server, "s1", ["10.78.0.1/24"], self.inside, "i0", ["10.78.0.2/24"])
        self.inside.ip("route add default via 10.78.0.1")
        net.keep(Service(self.server, 22, 80, 8080), Service.stop)
        self.door = Door(net, "10.77.0.1", services=("ssh=tcp/22", "web=tcp/80", "published=tcp/2222"))
        self.key = self.door.add("alice", allow=("ssh", "web", "published"))

    def guard(self, *options, **configuration):
        if configuration:
            self.door.configure(**configuration)
        self.daemon = Daemon(self.net, self.server, self.door, *options)
        return self.daemon

    def ssh(self, host=None):
        return attempt(host or self.client, "10.77.0.1", 22)

    def has_table(self):
        return "table inet oneknock" in self.server.run("nft", "list", "ruleset").stdout

    def daemon_once(self, option):
        return self.server.run(program("oneknockd"), "--config", self.door.config, option, check=False)

    def test_a_door_that_root_could_read_only_past_its_owner_and_mode_is_refused_at_once(self):
        os.chown(self.door.folder, 65534, 65534)
        os.chmod(self.door.folder, 0o700)
        for options in ((), ("--check-config",)):
            done = self.server.run(program("oneknockd"), "--config", self.door.config, *options, check=False)
            self.assertEqual(done.returncode, 77, done.stderr)
            self.assertRegex(done.stderr, "cannot open .*door.json: Permission denied")
        self.assertFalse(self.has_table())

    def test_other_ports_are_left_alone(self):
        self.guard()
        self.assertEqual([attempt(self.client, "10.77.0.1", port) for port in (22, 80, 8080)], [CLOSED, CLOSED, OPEN])

    def test_a_service_published_by_DNAT_is_closed_and_opens_at_the_port_that_the_client_names(self):
        net = self.net
        net.keep(Service(self.inside, 22), Service.stop)
        self.server.nft("table ip published { chain in { type nat hook prerouting priority dstnat; tcp dport 2222 dnat to 10.78.0.2:22; }; }")
        self.assertEqual(attempt(self.client, "10.77.0.1", 2222), OPEN)
        self.guard()
        self.assertEqual(attempt(self.client, "10.77.0.1", 2222), CLOSED)
        knock(self.client, self.key, "published", "--wait")
        self.assertEqual(attempt(self.client, "10.77.0.1", 2222), OPEN)
        self.assertEqual(self.ssh(), CLOSED, "the port behind it is another service")

    def test_a_session_older_than_the_guard_goes_on_across_start_stop_and_restart(self):
        with connect(self.client, "10.77.0.1", 22) as session:
            self.guard()
            self.assertEqual(self.ssh(), CLOSED)
            self.assertTrue(is_alive(session))
            self.assertEqual(self.daemon.stop(), 0)
            self.assertTrue(is_alive(session))
            self.guard()
            self.assertTrue(is_alive(session))

    def test_a_reload_of_foreign_rules_beside_ours_changes_nothing(self):
        self.guard()
        knock(self.client, self.key, "ssh", "--wait")
        for _ in range(3):
            self.server.nft("table inet filter\ndelete table inet filter\n"
                            "table inet filter { chain input { type filter hook input priority 0; policy accept; }; }")
        self.assertEqual([self.ssh(), attempt(self.client, "10.77.0.1", 80)], [OPEN, CLOSED])
        self.assertNotIn("rebuilt", self.daemon.log)

    def test_a_flush_of_all_rules_is_mended_with_the_live_grants(self):
        self.guard()
        knock(self.client, self.key, "ssh", "--wait", "--for", "30s")
        for command in ("flush ruleset", "delete table inet oneknock", "flush table inet oneknock",
                        "flush set inet oneknock granted4"):
            before = self.daemon.process.count("rebuilt")
            self.server.nft(command)
            self.daemon.wait_for("rebuilt", times=before + 1, timeout=stretched(1))
            self.assertEqual([self.ssh(), attempt(self.client, "10.77.0.1", 80)], [OPEN, CLOSED], command)
            (_, _, _, remaining), = elements(self.server)
            self.assertLessEqual(remaining, 30)

    def test_the_guard_is_set_up_and_taken_away_on_request(self):
        self.assertEqual(self.daemon_once("--guard").returncode, 0)
        self.assertEqual(self.ssh(), CLOSED)
        self.guard()
        self.assertEqual(self.daemon_once("--remove").returncode, 69, "not beside a running daemon")
        self.daemon.stop()
        self.assertEqual(self.ssh(), CLOSED)
        self.assertEqual(self.daemon_once("--remove").returncode, 0)
        self.assertEqual(self.ssh(), OPEN)
        self.assertFalse(self.has_table())
        self.assertEqual(self.daemon_once("--remove").returncode, 0, "nothing to remove is no failure")

    def test_a_grant_in_a_saved_ruleset_opens_nothing_after_the_guard_of_the_next_boot(self):
        self.guard()
        knock(self.client, self.key, "ssh", "--wait", "--for", "60s")
        self.daemon.stop()
        saved = self.server.run("nft", "list", "ruleset").stdout
        self.server.nft("flush ruleset")
        self.server.nft(saved)
        self.assertEqual(self.ssh(), OPEN, "nft loads the grant with its time")
        self.assertEqual(self.daemon_once("--guard").returncode, 0)
        self.assertEqual(self.ssh(), CLOSED)

    def test_a_clients_broken_file_does_not_keep_the_ports_from_being_closed(self):
        with open(os.path.join(self.door.folder, "clients.d", "alice.json"), "w") as file:
            file.write("{")
        self.assertEqual(self.daemon_once("--guard").returncode, 0)
        self.assertEqual(self.ssh(), CLOSED)

    def test_a_trial_that_is_not_confirmed_removes_the_guard(self):
        self.guard("--try", "3")
        self.assertEqual(self.ssh(), CLOSED)
        self.assertEqual(self.daemon.process.wait(), 75)
        self.assertEqual(self.ssh(), OPEN)

    def test_a_trial_that_is_stopped_removes_the_guard(self):
        self.guard("--try", "60")
        self.assertEqual(self.daemon.stop(), 75)
        self.assertFalse(self.has_table())

    def test_a_trial_ends_with_the_guard_removed_whichever_signal_ends_it_and_cannot_be_held_up(self):
        for number in (signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM):
            daemon = self.guard("--try", "60")
            self.assertTrue(self.has_table())
            for stop in (signal.SIGTSTP, signal.SIGTTOU, signal.SIGTTIN):
                os.kill(daemon.process.pid, stop)
            os.kill(daemon.process.pid, number)
            self.assertEqual(daemon.process.wait(), 75, number)
            self.assertFalse(self.has_table(), number)

    def test_a_trial_in_which_a_room_falls_removes_the_guard(self):
        for room in ("listener", "gatekeeper"):
            self.guard("--try", "60")
            self.assertEqual(self.ssh(), CLOSED)
            os.kill(self.daemon.rooms()[room], signal.SIGKILL)
            self.assertEqual(self.daemon.process.wait(), 71)
            self.assertEqual(self.ssh(), OPEN)

    def test_a_confirmed_trial_stays(self):
        self.guard("--try", "3")
        self.assertEqual(self.daemon.ctl("confirm").stdout, "confirmed: the guard stays\n")
        self.assertRegex(self.daemon.ctl("confirm", check=False).stderr, "nothing to confirm")
        with self.assertRaises(Exception):
            self.daemon.process.wait(3.5)
        self.assertEqual(self.ssh(), CLOSED)

    def test_closed_may_mean_silence_and_trusted_networks_need_no_knock(self):
        self.guard(firewall={"mode": "guard", "closed": "drop", "trusted": ["10.78.0.0/24"]})
        self.assertEqual(attempt(self.client, "10.77.0.1", 22, timeout=0.4), SILENT)
        self.assertEqual(self.ssh(self.inside), OPEN)
        knock(self.client, self.key, "ssh", "--wait")
        self.assertEqual(self.ssh(), OPEN)

    def test_a_dry_run_decides_and_leaves_the_firewall_alone(self):
        self.guard("--dry-run")
        knock(self.client, self.key, "ssh")
        self.daemon.wait_for("^accepted: alice: open tcp/22 for 10.77.0.2, ")
        self.assertFalse(self.has_table())

    def test_in_set_mode_grants_are_elements_of_the_administrators_sets(self):
        self.door.configure(firewall={"mode": "set", "table": "inet filter", "set4": "knocked4", "set6": "knocked6"})
        refused = self.daemon_once("--guard")
        self.assertEqual(refused.returncode, 78)
        self.assertIn("add set inet filter knocked4", refused.stderr)
        self.server.nft("""table inet filter {
            set knocked4 { type ipv4_addr . inet_proto . inet_service; flags timeout; }
            set knocked6 { type ipv6_addr . inet_proto . inet_service; flags timeout; }
            chain input {
                type filter hook input priority 0;
                ct state established,related accept
                iif lo accept
                ip saddr . meta l4proto . th dport @knocked4 accept
                tcp dport { 22, 80 } reject with tcp reset
            }
        }""")
        self.guard()
        self.assertEqual(self.ssh(), CLOSED)
        knock(self.client, self.key, "ssh", "--wait")
        self.assertEqual([self.ssh(), attempt(self.client, "10.77.0.1", 80)], [OPEN, CLOSED])
        self.assertFalse(self.has_table())
        self.server.nft("""add element inet filter knocked4 { 10.77.0.8 . tcp . 22 timeout 1h }
                           add element inet filter knocked6 { fd77::8 . tcp . 80 }""")
        eventually(lambda: "foreign   2 elements" in self.daemon.ctl("status").stdout, "foreign elements to be seen")
        status = self.daemon.ctl("status").stdout
        self.assertRegex(status, r"(?m)^  tcp/22 for 10\.77\.0\.8, 3[56]\d\d s left$")
        self.assertRegex(status, r"(?m)^  tcp/80 for fd77::8, without an end$")
        self.daemon.ctl("revoke", "alice")
        eventually(lambda: self.ssh() == CLOSED, "the grant to be gone")
        knock(self.client, self.key, "ssh", "--wait")
        self.daemon.stop()
        self.server.run("nft", "add element inet filter knocked4 { 10.77.0.9 . tcp . 443 timeout 1h }")
        self.assertEqual(self.daemon_once("--remove").returncode, 0)
        left = elements(self.server, ("knocked4",), ("inet", "filter"))
        self.assertEqual([grant[:3] for grant in left], [("10.77.0.8", "tcp", 22), ("10.77.0.9", "tcp", 443)],
                         "the administrator's own stay")

    def test_the_example_rulesets_stay_closed_also_to_who_claims_to_be_the_host_itself(self):
        self.server.ip("addr add fd77::1/64 dev s0 nodad")
        self.client.ip("addr add fd77::2/64 dev c0 nodad")
        self.server.sysctl("net/ipv6/conf/all/forwarding", 1)
        # What comes back of what it claims is not to be answered.
        self.client.nft("table inet mute { chain input { type filter hook input priority -300; "
                        "tcp sport 22 tcp flags syn / syn,ack drop; }; }")
        for firewall in ({"mode": "mark", "mark": 20299},
                         {"mode": "set", "table": "inet filter", "set4": "oneknock4", "set6": "oneknock6"}):
            with self.subTest(firewall["mode"]):
                example = OPERATIONS.read_text().split(f"\n**{firewall['mode']}.** ")[1]
                self.server.nft(re.search(r"\n    table inet filter \{\n.*?\n    \}\n", example, re.S)[0])
                self.guard(firewall=firewall)
                with Injector(self.client, "c0", self.server, "s0") as injector:
                    injector.send([syn_packet("fd77::1", "fd77::2", 22, 7001)])
                with self.client, socket.socket(socket.AF_INET6) as stranger:
                    stranger.settimeout(1.5)  # a second one is sent behind one
                    stranger.bind(("fd77::2", 7001))
                    with self.assertRaises(TimeoutError):
                        stranger.connect(("fd77::1", 22))
                self.assertEqual(attempt(self.client, "10.77.0.1", 22, timeout=0.4), SILENT)
                knock(self.client, self.key, "ssh", "--wait")
                self.assertEqual(self.ssh(), OPEN)
                self.daemon.stop()
                self.server.nft("flush ruleset")

    def test_two_doors_on_one_host_stand_side_by_side(self):
        other = Door(self.net, "10.77.0.1", services=("alternative=tcp/8080",), name="office",
                     firewall={"mode": "guard", "table": "oneknock_office"})
        key = other.add("bob", allow=("alternative",))
        same = os.path.join(other.folder, "clients.d", "alice.json")  # of the same name and with the same key, of another door
        shutil.copy(os.path.join(self.door.folder, "clients.d", "alice.json"), same)
        change_json(same, lambda client: client.update(allow=["alternative"]))
        self.guard()
        refused = self.net.start(self.server, program("oneknockd"), "--config", self.door.config)
        self.assertEqual(refused.wait(), 69)
        office = Daemon(self.net, self.server, other)
        everything = lambda: [attempt(self.client, "10.77.0.1", port) for port in (22, 80, 8080)]
        self.assertEqual(everything(), [CLOSED, CLOSED, CLOSED])
        knock(self.client, key, "alternative", "--wait")
        self.assertEqual(everything(), [CLOSED, CLOSED, OPEN])
        knock(self.client, self.key, "ssh", "--wait")
        self.assertEqual(everything(), [OPEN, CLOSED, OPEN])
        self.assertEqual([len(office.grants()), len(self.daemon.grants())], [1, 1])
        self.assertEqual([office.accepted(), self.daemon.accepted()], [1, 1])
        self.assertNotIn("rebuilt", office.log + self.daemon.log)
        office.stop()
        self.assertEqual(self.server.run(program("oneknockd"), "--config", other.config, "--remove").returncode, 0)
        self.assertEqual(everything(), [OPEN, CLOSED, OPEN])
        self.daemon.ctl("revoke", "alice")
        self.assertEqual(everything(), [CLOSED, CLOSED, OPEN])

    def test_a_second_door_made_as_the_manual_page_says(self):
        """Its example, word by word, with files of this test's own."""
        self.net.keep(Service(self.server, 993), Service.stop)
        self.guard()
        instead = {"/etc/oneknock-office": self.net.path("office"), "/var/lib/oneknock-office": self.net.path("office-state"),
                   "/run/oneknock/office.sock": self.net.path("office.sock"), "/root/": self.net.path(""),
                   "server.example.org": "10.77.0.1"}
        example = MANUAL.read_text().split("A second door on the same host")[1].split("```\n")[1].replace("\\\\\n", "")
        for there, here in instead.items():
            self.assertIn(there, example)
            example = example.replace(there, here)
        lines = [shlex.split(line) for line in example.splitlines()]
        self.assertEqual([line[0] for line in lines], ["oneknock-keygen", "oneknock-keygen", "oneknockd", "oneknockctl"])
        for name, *words in lines[:2]:
            self.assertNotIn("warning", self.server.run(program(name), *words).stderr)
        self.net.start(self.server, program(lines[2][0]), *lines[2][1:]).wait_for("^ready:")
        self.assertIn("office", self.server.run(program(lines[3][0]), *lines[3][1:]).stdout)
        everything = lambda: [attempt(self.client, "10.77.0.1", port) for port in (22, 993)]
        self.assertEqual(everything(), [CLOSED, CLOSED])
        knock(self.client, self.net.path("desk-office.json"), "imap", "--wait")
        self.assertEqual(everything(), [CLOSED, OPEN])
        knock(self.client, self.key, "ssh", "--wait")
        self.assertEqual(everything(), [OPEN, OPEN])

    def test_a_door_that_shares_what_it_cannot_share_is_warned_of(self):
        """Doors beside each other; this one has the default table as well, the next one its socket."""
        init = lambda name, *words: self.server.run(
            program("oneknock-keygen"), "init", "--dir", self.net.path(name), "--name", name, "--address", "10.77.0.1", "--service",
            "imap=tcp/993", *words).stderr
        said = init("one", "--state", self.net.path("one-state"), "--socket", self.net.path("one.sock"))
        self.assertIn(f"{self.door.config} has the same table oneknock (--table); if both doors", said)
        said = init("two", "--state", self.net.path("two-state"), "--socket", self.net.path("one.sock"), "--table", "oneknock_two")
        self.assertIn("one/oneknockd.json has the same socket", said)
        self.assertEqual(said.count("warning"), 1)
        refused = self.server.run(program("oneknock-keygen"), "init", "--dir", self.net.path("three"), "--name", "x", "--address",
                                  "10.77.0.1", "--service", "imap=tcp/993", "--table", "filter", check=False)
        self.assertEqual(refused.returncode, 64)
        self.assertIn('must begin with "oneknock"', refused.stderr)

    def test_in_mark_mode_the_administrators_rules_accept_the_mark(self):
        self.server.nft("""table inet filter { chain input { type filter hook input priority 0;
            ct state established,related accept
            meta mark 7 accept
            tcp dport { 22, 80 } reject with tcp reset
        }
        }""")
        self.guard(firewall={"mode": "mark", "mark": 7})
        self.assertNotIn("open to everyone", self.daemon.log)
        self.daemon.wait_for("^ready: listening for knocks; the services are closed as far as your own rules close them")
        self.assertEqual(self.ssh(), CLOSED)
        knock(self.client, self.key, "ssh", "--wait")
        self.assertEqual([self.ssh(), attempt(self.client, "10.77.0.1", 80)], [OPEN, CLOSED])
        self.daemon.stop()
        self.server.nft("delete table inet oneknock")
        self.assertEqual(self.ssh(), CLOSED, "losing our table leaves the port closed")
        self.server.nft("delete table inet filter")
        self.guard(firewall={"mode": "mark", "mark": 7})
        self.daemon.wait_for("^warning: no rule of nftables looks at packet marks: .* open to everyone")
        self.assertEqual(self.ssh(), OPEN, "and it is so")

    def test_a_flood_at_closed_ports_leaves_no_trace_in_connection_tracking(self):
        self.guard(firewall={"mode": "guard", "closed": "drop"})
        knock(self.client, self.key, "ssh", "--wait")  # so that there is something to track, were anything tracked
        with Injector(self.client, "c0", self.server, "s0") as injector:
            injector.send(syn_packet("10.77.0.2", "10.77.0.1", 20_000 + number, 80) for number in range(5_000))
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN)
        self.assertEqual(self.tracked(), 0)
        self.server.nft("table inet other { chain c { type filter hook input priority 0; ct state invalid accept; }; }")
        with connect(self.client, "10.77.0.1", 22):
            self.assertGreater(self.tracked(), 0, "the count counts")

    def tracked(self):
        with self.server, open("/proc/sys/net/netfilter/nf_conntrack_count") as file:
            return int(file.read())

    def test_revoking_closes_all_grants_of_one_client(self):
        bob = self.door.add("bob", allow=("web",))
        self.guard()
        knock(self.client, self.key, "ssh", "--wait")
        knock(self.client, bob, "web", "--wait")
        self.daemon.ctl("revoke", "alice")
        eventually(lambda: self.ssh() == CLOSED, "alice's grant to be gone")
        self.assertEqual(attempt(self.client, "10.77.0.1", 80), OPEN)
        refused = self.daemon.ctl("revoke", "nobody", check=False)
        self.assertEqual(refused.returncode, 65)
        self.daemon.ctl("revoke", "--all")
        eventually(lambda: self.daemon.grants() == [], "all grants to be gone")


if __name__ == "__main__":
    main()
