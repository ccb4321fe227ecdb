"""Networks that lose, reorder and duplicate.

      client 10.77.0.2 fd77::2  c0 ---- r0  router or wire  r1 ---- s0  server (oneknockd; service on tcp 22)

The router forwards and drops every fifth packet at random, both ways: the server is 10.78.0.1, fd78::1.
The wire is a program that passes frames between r0 and r1 in random order, every third one twice: the server is
10.77.0.1, fd77::1.
"""

from door import Daemon, Door, key_for, knock
from frames import Wire, without_offload
from harness import NetworkTest, main
from traffic import CLOSED, Service, attempt

LOSS = """
table inet weather {
    chain forward {
        type filter hook forward priority 0;
        numgen random mod 5 == 0 counter drop
    }
}
"""


class LossAndOrder(NetworkTest):
    def build(self):
        self.server, self.client = map(self.net.namespace, ("server", "client"))
        self.net.keep(Service(self.server, 22), Service.stop)

    def open_the_door(self, address4, address6):
        self.door = Door(self.net, address4)
        key4 = self.door.add("alice")
        self.keys = {4: key4, 6: key_for(key4, address6, self.net.path("alice6.json"))}
        self.daemon = Daemon(self.net, self.server, self.door)

    def build_router(self):
        router = self.net.router()
        self.net.link(router, "r0", ["10.77.0.254/24", "fd77::fe/64"], self.client, "c0", ["10.77.0.2/24", "fd77::2/64"])
        self.net.link(router, "r1", ["10.78.0.254/24", "fd78::fe/64"], self.server, "s0", ["10.78.0.1/24", "fd78::1/64"])
        self.client.ip("route add default via 10.77.0.254", "route add default via fd77::fe")
        self.server.ip("route add default via 10.78.0.254", "route add default via fd78::fe")
        router.nft(LOSS)
        self.open_the_door("10.78.0.1", "fd78::1")

    def check_knocks_arrive(self, version, via):
        self.build_router()
        for _ in range(5):
            knock(self.client, self.keys[version], "ssh", "--via", via, "--wait=20s")
            self.daemon.ctl("revoke", "--all")
        status = self.daemon.status()
        self.assertGreaterEqual(status["accepted"], 5)
        print(f"5 knocks of {via} over IPv{version} through 20 % loss took {status['capture']['symbols']} packets", flush=True)

    def test_IPv4_knocks_of_datagrams_open_through_a_loss_of_one_in_five(self):
        self.check_knocks_arrive(4, "udp")

    def test_IPv4_knocks_of_SYNs_open_through_a_loss_of_one_in_five(self):
        self.check_knocks_arrive(4, "tcp")

    def test_IPv6_knocks_of_datagrams_open_through_a_loss_of_one_in_five(self):
        self.check_knocks_arrive(6, "udp")

    def test_IPv6_knocks_of_SYNs_open_through_a_loss_of_one_in_five(self):
        self.check_knocks_arrive(6, "tcp")

    def test_neither_the_order_of_the_packets_nor_duplicates_matter(self):
        middle = self.net.namespace("wire")
        for end, name, address4, address6 in ((self.client, "c0", "10.77.0.2/24", "fd77::2/64"),
                                              (self.server, "s0", "10.77.0.1/24", "fd77::1/64")):
            self.net.link(middle, "r" + name, [], end, name, [address4, address6])
            without_offload(end, name)
        wire = self.net.keep(Wire(middle, "rc0", "rs0"), Wire.stop)
        self.open_the_door("10.77.0.1", "fd77::1")
        for address in ("10.77.0.1", "fd77::1"):  # neighbours know each other: what follows is the knocks alone
            self.assertEqual(attempt(self.client, address, 22, timeout=3), CLOSED)
        wire.disorder = True
        wanted = 0
        for version in (4, 6):
            for via in ("udp", "tcp"):
                for _ in range(3):
                    knock(self.client, self.keys[version], "ssh", "--via", via, "--knocks", "64")  # one pass each
                    wanted += 1
                    self.daemon.wait_for("^accepted:", times=wanted)
        symbols = self.daemon.status()["capture"]["symbols"]
        self.assertGreater(symbols, wanted * 64)  # duplicates came along
        self.assert_becomes((wanted, {}), lambda: (self.daemon.accepted(), self.daemon.refused()))
        self.daemon.ctl("revoke", "--all")
        knock(self.client, self.keys[4], "ssh", "--wait")

    def test_the_fewest_packets_a_knock_may_have_are_enough_where_none_is_lost(self):
        self.net.link(self.server, "s0", ["10.77.0.1/24", "fd77::1/64"], self.client, "c0", ["10.77.0.2/24", "fd77::2/64"])
        self.open_the_door("10.77.0.1", "fd77::1")
        knock(self.client, self.keys[4], "ssh", "--knocks", "36")
        knock(self.client, self.keys[6], "ssh", "--knocks", "48", "--pace", "5ms")
        self.daemon.wait_for("^accepted:", times=2)
        self.assertEqual(self.daemon.status()["capture"]["symbols"], 36 + 48)
        self.assertEqual(knock(self.client, self.keys[6], "ssh", "--knocks", "47", check=False).returncode, 64)


if __name__ == "__main__":
    main()
