"""Knocks through a NAT.

      alice  10.1.0.2  a0 ---- r0 10.1.0.1
                                  router (masquerades)  r2 192.31.196.254 ---- s0 192.31.196.1  server (oneknockd;
      bob    10.2.0.2  b0 ---- r1 10.2.0.1                                       services on tcp 22 and 80)

The server sees 192.31.196.254 for both. (No address for documentation: they are not public ones, and AS112's are.) With `random,fully-random` the router gives every flow another source port, so
that no two packets of a knock come from the same one.
"""

import json

from door import Daemon, Door, knock
from frames import Capture, ports_of
from harness import NetworkTest, main, program
from traffic import CLOSED, OPEN, Service, attempt

SERVER, OUTSIDE = "192.31.196.1", "192.31.196.254"


class Nat(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.alice, self.bob = map(net.namespace, ("server", "alice", "bob"))
        self.router = net.router()
        net.link(self.router, "r0", ["10.1.0.1/24"], self.alice, "a0", ["10.1.0.2/24"])
        net.link(self.router, "r1", ["10.2.0.1/24"], self.bob, "b0", ["10.2.0.2/24"])
        net.link(self.router, "r2", [OUTSIDE + "/24"], self.server, "s0", [SERVER + "/24"])
        self.alice.ip("route add default via 10.1.0.1")
        self.bob.ip("route add default via 10.2.0.1")
        net.keep(Service(self.server, 22, 80), Service.stop)
        self.door = Door(net, SERVER)
        self.key = {"alice": self.door.add("alice", "--source", "observed", allow=("ssh", "web")),
                    "bob": self.door.add("bob", "--source", "observed", allow=("ssh", "web")),
                    "carol": self.door.add("carol", allow=("ssh", "web"))}
        self.daemon = Daemon(net, self.server, self.door)

    def masquerade(self, flags=""):
        self.router.nft(f"""
            table ip translator {{
                chain out {{
                    type nat hook postrouting priority srcnat
                    oifname "r2" masquerade {flags}
                }}
            }}""")

    def source_ports(self, via, times):
        """How many source ports the server sees in knocks of 64 packets."""
        capture = Capture(self.net, self.server, "s0", f"{'udp' if via == 'udp' else 'tcp[tcpflags] == tcp-syn'} and dst host {SERVER}")
        for number in range(times):
            knock(self.alice, self.key["alice"], "web", "--source", "observed", "--knocks", "64", "--via", via)
            self.daemon.wait_for("^accepted: alice: open tcp/80 for 192.31.196.254", times=number + 1)
        return len({ports_of(packet)[0] for packet in capture.ip_packets(64 * times)})

    def test_a_client_behind_a_NAT_opens_for_the_address_the_server_sees(self):
        self.masquerade()
        self.assertEqual(attempt(self.alice, SERVER, 22), CLOSED)
        knock(self.alice, self.key["alice"], "ssh", "--source", "observed", "--wait")
        self.assertEqual((attempt(self.alice, SERVER, 22), attempt(self.alice, SERVER, 80)), (OPEN, CLOSED))
        self.assertEqual(self.daemon.grants()[0]["address"], OUTSIDE)
        # Said in the protocol: whoever shares the address shares the opened port.
        self.assertEqual(attempt(self.bob, SERVER, 22), OPEN)

    def test_a_client_that_knows_its_public_address_needs_no_loose_policy(self):
        self.masquerade()
        knock(self.alice, self.key["carol"], "ssh", "--source", OUTSIDE, "--wait")
        self.assertEqual(self.daemon.grants()[0]["address"], OUTSIDE)

    def test_auto_leaves_the_address_open_behind_a_NAT_and_names_its_own_without_one(self):
        self.masquerade()
        done = knock(self.alice, self.key["alice"], "ssh", "--wait")
        self.assertEqual(done.stderr, "")  # in ssh_config a warning would come with every connection
        self.assertEqual(self.daemon.grants()[0]["address"], OUTSIDE)
        self.daemon.ctl("revoke", "--all")
        self.router.nft("flush ruleset")
        self.server.ip("route add 10.1.0.0/24 via 192.31.196.254")
        knock(self.alice, self.key["alice"], "ssh", "--wait")  # routed: observed does no harm
        self.assertEqual(self.daemon.grants()[0]["address"], "10.1.0.2")
        self.alice.ip("addr add 192.31.197.2/32 dev lo", "route replace default via 10.1.0.1 src 192.31.197.2")
        named = json.loads(knock(self.alice, self.key["alice"], "ssh", "--dry-run", "--json").stdout)
        self.assertEqual(named["address"], "192.31.197.2")

    def test_a_key_that_may_not_be_observed_knocks_with_its_own_address_and_a_warning(self):
        self.masquerade()
        done = knock(self.alice, self.key["carol"])
        self.assertIn("10.1.0.2 is a private address and 192.31.196.1 is public", done.stderr)
        self.assertIn("Use --source YOUR.PUBLIC.ADDRESS", done.stderr)
        self.assert_becomes({"address-mismatch": 1}, self.daemon.refused)

    def test_datagrams_whose_source_ports_the_NAT_scatters_still_make_a_knock(self):
        self.masquerade("random,fully-random")
        self.assertGreater(self.source_ports("udp", 2), 64)

    def test_SYNs_whose_source_ports_the_NAT_scatters_still_make_a_knock(self):
        self.masquerade("random,fully-random")
        self.assertGreater(self.source_ports("tcp", 2), 64)

    def check_two_at_once(self, via, rounds=3):
        """Two clients behind the one address start in the same moment, each for its own service. Where source ports do not
        tell them apart, their packets may mingle: then one of the next passes opens."""
        for _ in range(rounds):
            started = [self.net.start(namespace, program("oneknock"), "open", self.key[name], service, "--source", "observed",
                                      "--via", via, "--wait=30s")
                       for namespace, name, service in ((self.alice, "alice", "ssh"), (self.bob, "bob", "web"))]
            self.assertEqual([process.wait(35) for process in started], [0, 0], "\n".join(p.log for p in started))
            self.assertEqual(sorted(grant["port"] for grant in self.daemon.grants()), [22, 80])
            self.daemon.ctl("revoke", "--all")

    def test_two_clients_behind_one_address_knock_at_once_and_both_get_in(self):
        self.masquerade()
        self.check_two_at_once("udp")
        self.check_two_at_once("tcp")

    def test_two_clients_behind_a_NAT_that_scatters_ports_knock_at_once_and_both_get_in(self):
        self.masquerade("random,fully-random")
        self.check_two_at_once("udp")
        self.check_two_at_once("tcp")


if __name__ == "__main__":
    main()
