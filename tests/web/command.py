"""The command for Node (client/web/node) against the daemon."""

import os
import shutil
import stat
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../netns"))
from door import BothFamilies, key_for  # noqa: E402
from frames import Capture, ports_of  # noqa: E402
from harness import main, program, run  # noqa: E402
from traffic import CLOSED, GREETING, OPEN, attempt  # noqa: E402

COMMAND = os.path.join(HERE, "../../client/web/node/main.js")


class Command(BothFamilies):
    def build(self):
        super().build()
        self.key = self.door.add("alice", "--source", "observed")
        self.configuration = self.net.path("configuration")

    def command(self, *words, **options):
        return self.client.run("node", COMMAND, *words, env={"XDG_CONFIG_HOME": self.configuration}, **options)

    def test_it_opens_from_one_source_port_and_closes(self):
        capture = Capture(self.net, self.server, "s0", "udp and dst host 10.77.0.1")
        done = self.command("open", self.key, "ssh", "--for", "40s")
        self.assertEqual(done.stdout, "sent: open ssh at 10.77.0.1; nothing is confirmed\n")
        self.daemon.wait_for("^accepted: alice: open tcp/22 for 10.77.0.2, 40s, from 10.77.0.2")
        self.assertEqual(len({ports_of(packet)[0] for packet in capture.ip_packets(64)}), 1)
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), OPEN)
        self.command("close", self.key, "ssh")
        self.daemon.wait_for("^accepted: alice: close tcp/22 for 10.77.0.2")
        self.assertEqual(attempt(self.client, "10.77.0.1", 22), CLOSED)

    def test_it_opens_with_IPv6_for_the_address_that_the_server_sees(self):
        self.command("open", key_for(self.key, "fd77::1", self.net.path("six.json")), "ssh", "--source", "observed")
        self.daemon.wait_for("^accepted: alice: open tcp/22 for fd77::2")

    def test_connect_relays_both_ways(self):
        with self.client:
            process = subprocess.Popen(["node", COMMAND, "connect", self.key], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.read(len(GREETING)), GREETING)
        process.stdin.write(b"to and fro")
        process.stdin.flush()
        self.assertEqual(process.stdout.read(10), b"to and fro")
        process.stdin.close()
        self.assertEqual((process.stdout.read(), process.wait(30)), (b"", 0))
        process.stdout.close()

    def test_connect_gives_up_where_nothing_opens(self):
        self.door.revoke("alice")
        done = self.command("connect", self.key, check=False)
        self.assertEqual(done.returncode, 75, done.stderr)

    def test_it_lists_the_keys_that_oneknock_has_imported_and_opens_sealed_ones(self):
        run(program("oneknock"), "import", self.key, env={"XDG_CONFIG_HOME": self.configuration})
        self.assertEqual(self.command("list").stdout, "home: home at 10.77.0.1, services ssh\n")
        run("sh", "-c", f"printf 'correct horse\\n' | {program('oneknock')} passphrase home --key-fd 0",
            env={"XDG_CONFIG_HOME": self.configuration})
        self.assertEqual(self.command("open", "home", "ssh", input="wrong\n", check=False).returncode, 65)
        self.command("open", "home", "ssh", input="correct horse\n")
        self.daemon.wait_for("^accepted: alice: open tcp/22 for 10.77.0.2")

    def test_it_fails_with_the_exit_codes_of_oneknock(self):
        loose = key_for(self.key, "10.77.0.1", self.net.path("loose.json"))
        os.chmod(loose, stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP)
        for code, words in ((64, ("open", self.key, "wbe")), (64, ("open", self.key)), (66, ("open", "./none.json", "ssh")),
                            (69, ("open", key_for(self.key, "none.invalid", self.net.path("none.json")), "ssh")),
                            (77, ("open", loose, "ssh"))):
            done = self.command(*words, check=False)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertNotIn("at file:", done.stderr)
        self.assertEqual(self.daemon.status()["capture"]["symbols"], 0)


if __name__ == "__main__":
    if not shutil.which("node"):
        sys.exit("there is no node")
    main()
