"""Paths that lose the first packets, limit new flows, filter a carrier or translate, as clients meet them.

      client 10.77.0.2 fd77::2  c0 ---- r0  router  r1 ---- s0  server 10.78.0.1 fd78::1 (oneknockd; service on tcp 22)

The rules of the router's table decide what passes. The server's IPv6 address stands for nothing but itself, except where a
test says that 64:ff9b::/96 leads to the router.
"""

from door import Daemon, Door, key_for, knock
from frames import Capture, Injector, ports_of, udp_packet
from harness import NetworkTest, main, program, run
from traffic import Service

SERVER = "10.78.0.1"
# Fewer new flows a second than a burst has packets.
LIMITED = 'iifname "r0" ct state new limit rate over 25/second burst 5 packets drop'
# Whatever comes first is lost: 64 packets are a whole burst.
NO_FIRST_CONTACT = 'iifname "r0" meta l4proto udp limit rate 1/day burst 64 packets drop'
SHORT_QUEUE = 'iifname "r0" meta l4proto udp limit rate over 2000/second burst 16 packets drop'
NO_UDP = 'iifname "r0" meta l4proto udp drop'


class Paths(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client, self.router = net.namespace("server"), net.namespace("client"), net.router()
        net.link(self.router, "r0", ["10.77.0.254/24", "fd77::fe/64"], self.client, "c0", ["10.77.0.2/24", "fd77::2/64"])
        net.link(self.router, "r1", ["10.78.0.254/24", "fd78::fe/64"], self.server, "s0", [f"{SERVER}/24", "fd78::1/64"])
        self.client.ip("route add default via 10.77.0.254", "route add default via fd77::fe")
        self.server.ip("route add default via 10.78.0.254", "route add default via fd78::fe")
        net.keep(Service(self.server, 22), Service.stop)
        self.door = Door(net, SERVER)
        self.key = self.door.add("alice", "--source", "observed")
        self.daemon = Daemon(net, self.server, self.door)

    def forward(self, rule):
        self.router.nft("flush ruleset\ntable inet path { chain forward { type filter hook forward priority 0; " + rule + "; }; }")

    def check_that_a_plain_knock_opens(self, rule):
        self.forward(rule)
        knock(self.client, self.key)
        self.daemon.wait_for("^accepted: alice: open tcp/22")

    def test_a_plain_knock_opens_although_its_whole_first_burst_is_lost(self):
        self.check_that_a_plain_knock_opens(NO_FIRST_CONTACT)

    def test_a_plain_knock_opens_through_a_queue_of_sixteen_packets(self):
        self.check_that_a_plain_knock_opens(SHORT_QUEUE)

    def test_wait_slows_down_where_new_flows_are_limited(self):
        self.forward(LIMITED)
        done = knock(self.client, self.key, "ssh", "--wait=60s", "-v")
        self.assertRegex(done.stdout, "^open: tcp/22")

    def test_wait_changes_the_carrier_where_one_is_filtered_unless_the_user_chose_it(self):
        self.forward(NO_UDP)
        done = knock(self.client, self.key, "ssh", "--wait=60s", "-v")
        self.assertRegex(done.stderr, r"message \d+: \d+ packets( in \d+ passes)? by tcp from 10.77.0.2 port \d+ to 10.78.0.1 within")
        self.daemon.ctl("revoke", "--all")
        done = knock(self.client, self.key, "ssh", "--wait=7s", "--via", "udp", "-v", check=False)
        self.assertEqual(done.returncode, 75)
        self.assertNotIn("by tcp", done.stderr)
        self.assertIn("try --via tcp", done.stderr)

    # --- IPv6-only networks ---------------------------------------------------------------------------------------

    def nat64(self, prefix="64:ff9b::"):
        """A key for the server as DNS64 names it; and who puts the IPv4 packets of a NAT64 at the address 10.78.0.9 on
        the server's cable for what comes to the prefix."""
        self.client.ip("addr del 10.77.0.2/24 dev c0")
        key = key_for(self.key, prefix + "10.78.0.1", self.net.path("nat64.json"))
        capture = Capture(self.net, self.router, "r0", "ip6 and udp")
        injector = self.net.keep(Injector(self.router, "r1", self.server, "s0"), lambda injector: injector.__exit__())

        def translate(packets):
            injector.send([udp_packet("10.78.0.9", SERVER, *ports_of(packet)) for packet in capture.ip_packets(packets)])

        return key, translate

    def test_a_server_behind_a_NAT64_is_knocked_at_with_the_message_that_it_will_read(self):
        key, translate = self.nat64()
        self.assertIn("for the address the server sees", knock(self.client, key).stdout)
        translate(64)
        self.daemon.wait_for("^accepted: alice: open tcp/22 for 10.78.0.9, 30s, from 10.78.0.9")

    def test_behind_a_NAT64_the_translators_address_can_be_named(self):
        key, translate = self.nat64()
        knock(self.client, key, "ssh", "--source", "10.78.0.9")
        translate(64)
        self.daemon.wait_for("^accepted: alice: open tcp/22 for 10.78.0.9, 30s, from 10.78.0.9")

    def test_under_wait_the_name_service_is_asked_for_another_prefix_and_both_forms_take_turns(self):
        if run("unshare", "--mount", "true", check=False).returncode != 0:
            self.skipTest("no mount namespace can be made here: a chroot")
        hosts = self.net.path("hosts")
        with open(hosts, "w") as file:
            file.write("fd64::192.0.0.170 ipv4only.arpa\nfd64::10.78.0.1 door.test\n")
        key = key_for(self.key, "door.test", self.net.path("named.json"))
        capture = Capture(self.net, self.router, "r0", "ip6 and udp and dst host fd64::10.78.0.1")
        process = self.net.start(self.client, "unshare", "--mount", "sh", "-c", 'mount --bind "$1" /etc/hosts; shift; exec "$@"',
                                 "sh", hosts, program("oneknock"), "open", key, "ssh", "--wait=60s", "--via", "udp", "-v")
        process.wait_for("^message 2:")
        by_port = {}
        for packet in capture.ip_packets(128):
            by_port.setdefault(ports_of(packet)[0], []).append(ports_of(packet))
        with Injector(self.router, "r1", self.server, "s0") as injector:
            for number, ports in enumerate(by_port.values()):
                injector.send([udp_packet(f"10.78.0.{10 + number}", SERVER, *pair) for pair in ports])
        # The first message was of IPv6, which nobody reads in IPv4 packets; the second one was not.
        self.daemon.wait_for("^accepted: alice: open tcp/22 for 10.78.0.11, 30s, from 10.78.0.11")

    def test_a_key_that_may_not_be_observed_says_why_it_cannot_work_behind_a_NAT64(self):
        key = key_for(self.door.add("bob"), "64:ff9b::10.78.0.1", self.net.path("bob64.json"))
        done = knock(self.client, key, check=False)
        self.assertEqual(done.returncode, 64)
        self.assertIn("behind this network's NAT64", done.stderr)


if __name__ == "__main__":
    main()
