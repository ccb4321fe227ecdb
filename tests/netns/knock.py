"""A knock opens one service for one address, for a while, and nothing else.

      client 10.77.0.2 fd77::2  c0 ---- s0  10.77.0.1 fd77::1
                                            server (oneknockd; services on tcp 22 and 80)
      other  10.77.1.2 fd78::2  o0 ---- s1  10.77.1.1 fd78::1

`other` reaches 10.77.0.1 and fd77::1 through the server's s1.
"""

import json
import subprocess

from door import Daemon, Door, close, key_for, knock
from frames import Capture
from harness import NetworkTest, eventually, main, program, run
from traffic import CLOSED, OPEN, Service, attempt, connect, is_alive

SERVER = {4: "10.77.0.1", 6: "fd77::1"}
CLIENT = {4: "10.77.0.2", 6: "fd77::2"}


class Knock(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client, self.other = map(net.namespace, ("server", "client", "other"))
        net.link(self.server, "s0", ["10.77.0.1/24", "fd77::1/64"], self.client, "c0", ["10.77.0.2/24", "fd77::2/64"])
        net.link(self.server, "s1", ["10.77.1.1/24", "fd78::1/64"], self.other, "o0", ["10.77.1.2/24", "fd78::2/64"])
        self.other.ip("route add 10.77.0.0/24 via 10.77.1.1", "route add fd77::/64 via fd78::1")
        net.keep(Service(self.server, 22, 80), Service.stop)
        self.door = Door(net, SERVER[4])
        self.key = {4: self.door.add("alice")}
        self.key[6] = key_for(self.key[4], SERVER[6], net.path("alice6.json"))
        self.daemon = Daemon(net, self.server, self.door)

    def ssh(self, namespace, version=4):
        return attempt(namespace, SERVER[version], 22)

    def check_that_a_knock_opens_one_thing(self, via, version):
        self.assertEqual(self.ssh(self.client, version), CLOSED)
        done = knock(self.client, self.key[version], "ssh", "--wait", "--via", via)
        self.assertRegex(done.stdout, rf"^open: tcp/22 at {SERVER[version]} after [0-9.]+ ms\n$")
        self.assertEqual(self.ssh(self.client, version), OPEN)
        self.assertEqual(attempt(self.client, SERVER[version], 80), CLOSED, "another service")
        self.assertEqual(self.ssh(self.other, version), CLOSED, "another host")
        self.assertEqual(self.ssh(self.client, 10 - version), CLOSED, "the other family")
        grant, = self.daemon.grants()
        self.assertLessEqual(grant.pop("remaining_s"), 30)
        self.assertEqual(grant, {"client": "alice", "address": CLIENT[version], "protocol": "tcp", "port": 22})

    def test_nothing_is_ever_sent_to_whoever_knocks(self):
        """On a host that drops what it does not know, so that the kernel does not answer either."""
        self.server.nft("table inet quiet { chain input { type filter hook input priority 0; policy drop; "
                        "meta l4proto icmpv6 accept; }; }")
        sent = Capture(self.net, self.server, "s0", "not arp and not icmp6 and not ip6 multicast", "-Q", "out")
        for version in (4, 6):
            for via in ("udp", "tcp"):
                knock(self.client, self.key[version], "ssh", "--via", via)                              # accepted
                knock(self.client, self.key[version], "ssh", "--via", via, "--time-offset", "90s")      # refused
        eventually(lambda: (self.daemon.accepted(), sum(self.daemon.refused().values())) == (4, 4), "the decisions")
        self.server.run("bash", "-c", f"echo mine > /dev/udp/{CLIENT[4]}/9")  # what is sent is seen
        self.assertEqual([packet[-5:] for packet in sent.ip_packets(1)], [b"mine\n"])

    def test_a_knock_of_UDP_datagrams_over_IPv4_opens_one_service_for_one_address(self):
        self.check_that_a_knock_opens_one_thing("udp", 4)

    def test_a_knock_of_UDP_datagrams_over_IPv6_opens_one_service_for_one_address(self):
        self.check_that_a_knock_opens_one_thing("udp", 6)

    def test_a_knock_of_TCP_SYNs_over_IPv4_opens_one_service_for_one_address(self):
        self.check_that_a_knock_opens_one_thing("tcp", 4)

    def test_a_knock_of_TCP_SYNs_over_IPv6_opens_one_service_for_one_address(self):
        self.check_that_a_knock_opens_one_thing("tcp", 6)

    def test_a_grant_ends_by_itself_in_the_kernel_and_the_connection_made_meanwhile_lives_on(self):
        knock(self.client, self.key[4], "ssh", "--wait", "--for", "2s")
        with connect(self.client, SERVER[4], 22) as connection:
            self.daemon.kill()  # so it is not the daemon that ends it
            self.assertEqual(self.ssh(self.client), OPEN)
            eventually(lambda: self.ssh(self.client) == CLOSED, "the grant to end", step=0.1)
            self.assertTrue(is_alive(connection))

    def test_close_closes_before_the_time(self):
        knock(self.client, self.key[4], "ssh", "--wait")
        done = close(self.client, self.key[4], "ssh", "--wait")
        self.assertRegex(done.stdout, r"^closed: tcp/22 at 10\.77\.0\.1 after ")
        self.assertEqual(self.ssh(self.client), CLOSED)
        self.assertEqual(self.daemon.grants(), [])
        self.assertEqual(self.daemon.elements(), [])

    def test_knocking_again_prolongs_the_one_grant(self):
        knock(self.client, self.key[4], "ssh", "--wait", "--for", "5s")
        (_, _, _, before), = self.daemon.elements()
        knock(self.client, self.key[4], "ssh", "--for", "50s")
        self.daemon.wait_for("^accepted:", times=2)
        (address, protocol, port, after), = self.daemon.elements()
        self.assertEqual((address, protocol, port), (CLIENT[4], "tcp", 22))
        self.assertLessEqual(before, 5)
        self.assertGreater(after, 40)
        self.assertEqual(len(self.daemon.grants()), 1)

    def test_a_wish_for_longer_is_shortened_to_what_the_client_may(self):
        done = knock(self.client, self.key[4], "ssh", "--wait", "--for", "10m")
        self.assertIn("this key is limited to 60s", done.stderr)
        (_, _, _, remaining), = self.daemon.elements()
        self.assertTrue(55 <= remaining <= 60, remaining)

    def test_a_wait_goes_on_when_the_address_changes_and_opens_for_the_new_one(self):
        new = "10.77.0.3"
        self.daemon.kill()  # the guard stays, and nobody opens for the first address
        passes = {address: Capture(self.net, self.server, "s0", "udp and src host " + address)
                  for address in (CLIENT[4], new)}
        process = self.net.start(self.client, program("oneknock"), "open", self.key[4], "ssh", "--wait=60s")
        passes[CLIENT[4]].ip_packets(64)
        self.client.ip(f"address delete {CLIENT[4]}/24 dev c0", f"address add {new}/24 dev c0")
        passes[new].ip_packets(64, timeout=10)
        self.daemon = Daemon(self.net, self.server, self.door)
        self.assertEqual(process.wait(30), 0, process.log)
        self.assertEqual([grant["address"] for grant in self.daemon.grants()], [new])
        self.assertEqual(self.ssh(self.client), OPEN)

    def test_a_wait_outlives_a_network_that_is_gone_for_a_while(self):
        self.daemon.kill()
        before = Capture(self.net, self.server, "s0", "udp and src host " + CLIENT[4])
        process = self.net.start(self.client, program("oneknock"), "open", self.key[4], "ssh", "--wait=60s")
        before.ip_packets(64)
        before.stop()
        self.client.ip("link set c0 down")
        with self.assertRaises(subprocess.TimeoutExpired, msg=process.log):
            process.wait(6)  # longer than the life of a message: a new one finds no route
        self.client.ip("link set c0 up")
        self.daemon = Daemon(self.net, self.server, self.door)
        self.assertEqual(process.wait(30), 0, process.log)

    def test_without_wait_a_knock_is_sent_twice_and_says_that_nothing_is_confirmed(self):
        done = knock(self.client, self.key[4])
        self.assertEqual(done.stdout, "sent: open tcp/22 for 10.77.0.2 at 10.77.0.1 (64 packets, twice); nothing is "
                                      "confirmed, use --wait to see it open\n")
        self.daemon.wait_for("^accepted: alice: open tcp/22 for 10.77.0.2, 30s, from 10.77.0.2")
        self.assertEqual(self.ssh(self.client), OPEN)
        status = self.daemon.status()
        self.assertEqual((status["accepted"], status["grants"], self.daemon.refused()), (1, 1, {}))
        self.assertEqual(status["capture"]["symbols"], 128)

    def test_a_pass_that_the_user_has_planned_is_sent_once(self):
        knock(self.client, self.key[4], "ssh", "--knocks", "64")
        self.daemon.wait_for("^accepted: alice: open tcp/22")
        self.assert_becomes(64, lambda: self.daemon.status()["capture"]["symbols"])

    def explained(self, version, text, *words):
        return run(program("oneknock"), "explain", self.key[version], *words, input=text).stdout

    def test_a_knock_is_taken_apart_from_a_dry_run_and_from_what_tcpdump_saw(self):
        for version, via in ((4, "udp"), (6, "tcp")):
            dry = self.client.run(program("oneknock"), "open", self.key[version], "ssh", "--dry-run", "--for", "77s").stdout
            self.assertRegex(self.explained(version, dry), r"(?m)^duration +77 s$")
            # The server answers nothing, but the client's machine has more to say than a knock.
            capture = Capture(self.net, self.client, "c0", "")
            attempt(self.client, SERVER[version], 22)
            knock(self.client, self.key[version], "ssh", "--via", via)
            capture.packets(at_least=128)
            seen = run("tcpdump", "-nn", "-r", capture.stop()).stdout
            text = self.explained(version, seen)
            self.assertRegex(text, rf"(?m)^address +{CLIENT[version]}$")
            self.assertEqual(text.count("codebook"), 1, text)
            (told,) = json.loads(self.explained(version, seen, "--json"))["knocks"]
            self.assertEqual((told["operation"], told["service"], told["symbols"]), ("open", "tcp/22", 64))

    def test_a_door_with_addresses_of_both_families_is_knocked_at_all_of_them_unless_told_otherwise(self):
        if run("unshare", "--mount", "true", check=False).returncode != 0:
            self.skipTest("no mount namespace can be made here: a chroot")
        both = key_for(self.key[4], "both.test", self.net.path("both.json"))
        hosts = self.net.path("hosts")
        with open(hosts, "w") as file:
            file.write("10.77.0.1 both.test\nfd77::1 both.test\n")

        def knock_by_name(*options):
            # A mount namespace of its own: /etc/hosts is this knock's alone.
            self.client.run("unshare", "--mount", "sh", "-c", 'mount --bind "$1" /etc/hosts; shift; exec "$@"', "sh", hosts,
                            program("oneknock"), "open", both, "ssh", *options)

        knock_by_name("-6", "--wait")
        self.assertEqual((self.ssh(self.client, 4), self.ssh(self.client, 6)), (CLOSED, OPEN))
        knock_by_name()
        self.daemon.wait_for("^accepted:", times=3)
        self.assertEqual((self.ssh(self.client, 4), self.ssh(self.client, 6)), (OPEN, OPEN))


if __name__ == "__main__":
    main()
