"""The client of docs/examples/knock.py against the daemon."""

import os
import sys

from door import BothFamilies, change_json, key_for
from harness import main
from traffic import CLOSED, OPEN, attempt

KNOCK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/examples/knock.py")


class Examples(BothFamilies):
    def build(self):
        super().build()
        self.key = self.door.add("alice", "--source", "observed")

    def knock(self, *words, check=True):
        return self.client.run(sys.executable, "-B", KNOCK, *words, check=check)

    def test_the_client_in_one_file_opens_and_closes(self):
        done = self.knock("open", self.key, "ssh", "40")
        self.assertEqual(done.stdout, "sent: open ssh for 10.77.0.2 at 10.77.0.1; nothing is confirmed\n")
        self.daemon.wait_for("^accepted: alice: open tcp/22 for 10.77.0.2, 40s, from 10.77.0.2")
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN)
        self.knock("close", self.key, "ssh")
        self.daemon.wait_for("^accepted: alice: close tcp/22 for 10.77.0.2")
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), CLOSED)

    def test_it_opens_with_IPv6_for_the_address_that_the_server_sees(self):
        self.knock("open", key_for(self.key, "fd77::1", self.net.path("six.json")), "tcp/22", "30", "observed")
        self.daemon.wait_for("^accepted: alice: open tcp/22 for fd77::2, 30s, from fd77::2")
        self.assertEqual(attempt(self.client, "fd77::1", 22), OPEN)

    def test_it_fails_with_the_exit_codes_of_oneknock(self):
        self.assertEqual(self.knock("open", self.key, "wbe", check=False).returncode, 64)
        expired = self.door.add("late", "--expires", "2099-01-01")
        change_json(expired, lambda key: key.update(expires="2020-01-01T00:00:00Z"))
        done = self.knock("open", expired, "ssh", check=False)
        self.assertEqual((done.returncode, done.stderr), (65, "the key has expired\n"))
        self.assertEqual(self.daemon.status()["capture"]["symbols"], 0)


if __name__ == "__main__":
    main()
