"""Knocks right behind each other, and many at once.

      client 10.77.0.2 ... 10.77.0.41  c0 ---- s0  10.77.0.1  server (oneknockd; services on tcp 22 and 80)
                                                   10.78.0.2 ... 10.78.0.41, in one test
"""

import time

from door import Daemon, Door, key_for, knock
from harness import PATIENCE, NetworkTest, eventually, main, program
from traffic import OPEN, Service, attempt

MANY = 40


class Succession(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", ["10.77.0.1/24"], self.client, "c0",
                 [f"10.77.0.{host}/24" for host in range(2, 2 + MANY)])
        net.keep(Service(self.server, 22, 80), Service.stop)
        self.door = Door(net, "10.77.0.1")

    def start_knocks(self, knocks):
        """Starts `oneknock open` with each list of words, as fast as processes can be started, and awaits their ends."""
        started = [self.net.start(self.client, program("oneknock"), "open", *words) for words in knocks]
        for process in started:
            self.assertEqual(process.wait(), 0, process.log)

    def await_accepted(self, daemon, count, timeout=PATIENCE):
        eventually(lambda: daemon.accepted() >= count, lambda: f"{count} to be accepted; {daemon.status()}", timeout)
        self.assert_becomes((count, {}), lambda: (daemon.accepted(), daemon.refused()))

    def test_a_knock_right_behind_another_from_the_same_address_is_accepted_too(self):
        alice, bob = self.door.add("alice", allow=("ssh", "web")), self.door.add("bob", allow=("ssh", "web"))
        daemon = Daemon(self.net, self.server, self.door)
        for number in range(1, 6):
            knock(self.client, alice, "ssh")
            knock(self.client, bob, "web")
            self.await_accepted(daemon, 2 * number)
        self.assertEqual([attempt(self.client, "10.77.0.1", port) for port in (22, 80)], [OPEN, OPEN])

    def test_two_knocks_of_one_address_in_the_same_millisecond_are_both_accepted(self):
        alice, bob = self.door.add("alice", allow=("ssh", "web")), self.door.add("bob", allow=("ssh", "web"))
        daemon = Daemon(self.net, self.server, self.door)
        for number, via in enumerate(("udp", "tcp") * 3, 1):
            self.start_knocks([(alice, "ssh", "--via", via), (bob, "web", "--via", via)])
            self.await_accepted(daemon, 2 * number)

    def test_twenty_knocks_of_one_client_in_a_row_are_all_accepted(self):
        alice = self.door.add("alice")
        daemon = Daemon(self.net, self.server, self.door)
        script = 'for i in $(seq 20); do "$0" open "$1" ssh || exit 1; done'  # without this program's pauses in between
        self.client.run("sh", "-c", script, program("oneknock"), alice)
        self.await_accepted(daemon, 20)
        self.assertEqual(len(daemon.grants()), 1)

    def check_many(self, words_for):
        keys = [self.door.add(f"client{number}") for number in range(MANY)]
        daemon = Daemon(self.net, self.server, self.door)
        words = [words_for(number, key) for number, key in enumerate(keys)]
        before = time.monotonic()
        self.start_knocks(words)
        self.await_accepted(daemon, MANY)
        print(f"{MANY} clients in {time.monotonic() - before:.2f} s", flush=True)
        return len(daemon.grants())

    def test_forty_clients_behind_one_address_knock_in_the_same_second(self):
        self.assertEqual(self.check_many(lambda number, key: (key, "ssh")), 40)  # each has its own, of one element

    def test_forty_clients_with_an_address_each_knock_in_the_same_second(self):
        # The way to each of the server's addresses leaves from another one of the client's.
        self.server.ip(*(f"addr add 10.78.0.{host}/32 dev s0" for host in range(2, 2 + MANY)))
        self.client.ip(*(f"route add 10.78.0.{host} dev c0 src 10.77.0.{host}" for host in range(2, 2 + MANY)))

        def words(number, key):
            return key_for(key, f"10.78.0.{number + 2}", self.net.path(f"own{number}.json")), "ssh"

        self.assertEqual(self.check_many(words), MANY)


if __name__ == "__main__":
    main()
