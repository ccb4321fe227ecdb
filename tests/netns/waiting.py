"""What --wait sees, says and lives through.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; services on tcp 22 and 80)
             10.78.0.2  c1 ---- s1  10.78.0.1
"""

import contextlib
import json
import os
import pty
import socket
import struct
import threading
import time

from door import Daemon, Door, PlainHouse, close, key_for, knock
from harness import main, program, run
from traffic import OPEN, attempt

BEFORE = "was open before: tcp/22 at 10.77.0.1; what the knock did cannot be seen from here\n"


class Honest(PlainHouse):
    def check_that_nothing_is_claimed(self, key):
        done = knock(self.client, key, "ssh", "--wait")
        self.assertEqual((done.stdout, done.stderr), (BEFORE, ""))
        told = json.loads(knock(self.client, key, "ssh", "--wait", "--json").stdout)
        self.assertEqual((told["was_open"], told["confirmed"]), (True, None))

    def test_a_knock_that_opens_says_open(self):
        told = json.loads(knock(self.client, self.key, "ssh", "--wait", "--json").stdout)
        self.assertEqual((told["was_open"], told["confirmed"]), (False, True))

    def test_an_older_grant_is_not_taken_for_the_knocks_work(self):
        knock(self.client, self.key, "ssh", "--wait")
        self.check_that_nothing_is_claimed(self.key)

    def test_a_guard_that_is_gone_is_not_taken_for_the_knocks_work(self):
        self.daemon.stop()
        self.server.nft("flush ruleset")
        self.check_that_nothing_is_claimed(self.key)

    def test_another_doors_key_is_not_taken_for_one_that_opened(self):
        knock(self.client, self.key, "ssh", "--wait")
        other = Door(self.net, "10.77.0.1", name="other").add("alice")
        self.check_that_nothing_is_claimed(other)

    def test_close_says_what_it_saw(self):
        self.assertRegex(close(self.client, self.key, "ssh", "--wait").stdout, "^was not open before: tcp/22")
        knock(self.client, self.key, "ssh", "--wait")
        self.assertRegex(close(self.client, self.key, "ssh", "--wait").stdout, "^closed: tcp/22 at 10.77.0.1 after")

    def test_connect_uses_a_port_that_was_open_before(self):
        knock(self.client, self.key, "ssh", "--wait")
        done = self.client.run(program("oneknock"), "connect", self.key, "-v", input="")
        self.assertEqual(done.stdout, "hello\n")
        self.assertIn("was open before: tcp/22", done.stderr)
        self.assertEqual(self.client.run(program("oneknock"), "connect", self.key, input="").stderr, "")

    def test_resets_and_silence_have_reasons_of_their_own(self):
        late = ("--wait=1s", "--time-offset", "90s")
        done = knock(self.client, self.key, "ssh", *late, check=False)
        self.assertEqual(done.returncode, 75)
        self.assertIn("did not open within 1s; it answers with resets", done.stderr)
        self.server.nft("table inet quiet { chain input { type filter hook prerouting priority -500; "
                        "tcp dport 22 drop; }; }")
        done = knock(self.client, self.key, "ssh", *late, check=False)
        self.assertIn("did not open within 1s; nothing answers", done.stderr)
        self.assertNotIn("\033", done.stderr)

    def test_verbose_tells_of_each_message_in_a_line(self):
        done = knock(self.client, self.key, "ssh", "-v")
        self.assertRegex(done.stderr, r"^message 1: 128 packets in 2 passes by udp from 10.77.0.2 port \d+ to 10.77.0.1 "
                                      r"within [0-9.]+ ms\n$")

    def test_on_a_terminal_one_line_shows_what_is_done_and_goes_away(self):
        mine, its = pty.openpty()
        shown = bytearray()

        def read():
            try:
                while data := os.read(mine, 4096):
                    shown.extend(data)
            except OSError:
                pass  # the other end is closed

        reader = threading.Thread(target=read)
        reader.start()
        self.client.run("sh", "-c", f'exec "$@" 2>/proc/{os.getpid()}/fd/{its}', "sh", program("oneknock"), "open", self.key,
                        "ssh", "--wait=2s", "--time-offset", "90s", check=False, env={"TERM": "xterm"})
        os.close(its)
        reader.join(10)
        os.close(mine)
        self.assertIn(b"of 2 s: tcp/22 at 10.77.0.1: message 1 by udp", shown)
        drawn, end = bytes(shown).split(b"oneknock: error", 1)
        self.assertTrue(drawn.endswith(b"\r\033[K"), drawn[-80:])
        self.assertNotIn(b"\n", drawn)
        self.assertNotIn(b"\r\033[K", end)


def answer_to(question, address):
    """What a name server says that knows this address for every name, and no IPv6 one; RFC 1035, section 4."""
    end_of_name = question.index(b"\0", 12)
    kind = question[end_of_name + 1:end_of_name + 3]
    records = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address) if kind == b"\0\1" else b""
    header = question[:2] + b"\x85\x80\0\1" + struct.pack(">HHH", bool(records), 0, 0)
    return header + question[12:end_of_name + 5] + records


class Away(PlainHouse):
    def start(self, hosts=None, resolver=None, key=None, wait="60s"):
        """A knock that waits, with files of its own in the place of /etc/hosts and /etc/resolv.conf."""
        mount = ()
        for own, place in ((hosts, "/etc/hosts"), (resolver, "/etc/resolv.conf")):
            if own:
                mount += ("unshare", "--mount", "sh", "-c", 'mount --bind "$1" "$2"; shift 2; exec "$@"', "sh", own, place)
        return self.net.start(self.client, *mount, program("oneknock"), "open", key or self.key, "ssh", f"--wait={wait}", "-v")

    def test_a_network_that_is_not_there_yet_is_waited_for(self):
        self.client.ip("link set c0 down")
        process = self.start()
        with self.assertRaises(Exception):
            process.wait(1)
        self.client.ip("link set c0 up")
        self.assertEqual(process.wait(), 0, process.log)
        self.assertIn("open: tcp/22 at 10.77.0.1", process.log)

    def test_a_network_that_never_comes_is_said_to_be_the_reason(self):
        self.client.ip("link set c0 down")
        done = knock(self.client, self.key, "ssh", "--wait=1s", check=False)
        self.assertEqual(done.returncode, 69)
        self.assertRegex(done.stderr, r"no route to 10.77.0.1: .*\(tried again for 1s\)")
        self.assertEqual(knock(self.client, self.key, "ssh", "--wait=1ms", check=False).returncode, 69)
        self.assertEqual(knock(self.client, self.key, check=False).returncode, 69)  # at once

    def test_a_port_that_is_open_on_the_next_network_is_not_taken_for_the_knocks_work(self):
        self.daemon.kill()
        process = self.start()
        process.wait_for("^message 1: ")
        self.client.ip("addr del 10.77.0.2/24 dev c0")
        self.server.nft("flush ruleset")  # as a trusted network would be
        self.client.ip("addr add 10.77.0.3/24 dev c0")
        self.assertEqual(process.wait(), 0, process.log)
        self.assertIn(BEFORE, process.log + "\n")

    def named(self, text):
        if run("unshare", "--mount", "true", check=False).returncode != 0:
            self.skipTest("no mount namespace can be made here: a chroot")
        hosts = self.net.path("hosts")
        with open(hosts, "w") as file:
            file.write(text)
        return hosts, key_for(self.key, "door.test", self.net.path("named.json"))

    def test_a_name_that_is_not_known_yet_is_asked_for_again(self):
        hosts, key = self.named("127.0.0.1 localhost\n")
        process = self.start(hosts=hosts, key=key)
        with self.assertRaises(Exception):
            process.wait(1)
        with open(hosts, "a") as file:
            file.write("10.77.0.1 door.test\n")
        self.assertEqual(process.wait(), 0, process.log)

    def test_a_name_server_that_is_silent_for_a_time_is_asked_again(self):
        hosts, key = self.named("127.0.0.1 localhost\n")
        resolver = self.net.path("resolv.conf")
        with open(resolver, "w") as file:
            file.write("nameserver 127.0.0.1\n")
        self.client.ip("link set lo up")
        with self.client:
            asked = self.net.keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket.close)
        asked.bind(("127.0.0.1", 53))
        asked.settimeout(0.1)
        process = self.start(hosts=hosts, resolver=resolver, key=key)
        silent_until = time.monotonic() + 3  # longer than the first question is waited for
        while process.exit is None:
            with contextlib.suppress(TimeoutError):
                question, peer = asked.recvfrom(512)
                if time.monotonic() > silent_until:
                    asked.sendto(answer_to(question, "10.77.0.1"), peer)
        self.assertEqual(process.wait(), 0, process.log)
        self.assertIn("open: tcp/22 at 10.77.0.1", process.log)

    def test_the_wait_ends_in_time_where_no_name_server_answers(self):
        _, key = self.named("")
        servers = [f"127.0.0.{number}" for number in (1, 2, 3)]
        resolver = self.net.path("resolv.conf")
        with open(resolver, "w") as file:
            file.write("search one.test two.test\n" + "".join(f"nameserver {server}\n" for server in servers))
        self.client.ip("link set lo up")
        with self.client:
            for server in servers:  # they read nothing, and so are silent, where a closed port would say so
                self.net.keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket.close).bind((server, 53))
        process = self.start(resolver=resolver, key=key, wait="1s")
        self.assertEqual(process.wait(15), 69, process.log)  # the resolver alone would take 18 s
        self.assertIn("(tried again for 1s)", process.log)

    def test_a_wait_moves_to_another_network_where_the_name_leads_elsewhere(self):
        hosts, key = self.named("10.77.0.1 door.test\n")
        self.daemon.kill()
        process = self.start(hosts=hosts, key=key)
        process.wait_for("message 1: .* to 10.77.0.1")
        self.client.ip("link set c0 down")
        self.net.link(self.server, "s1", ["10.78.0.1/24"], self.client, "c1", ["10.78.0.2/24"])
        with open(hosts, "w") as file:
            file.write("10.78.0.1 door.test\n")
        self.daemon = Daemon(self.net, self.server, self.door)
        self.assertEqual(process.wait(), 0, process.log)
        self.assertIn("open: tcp/22 at 10.78.0.1", process.log)
        self.assertEqual([grant["address"] for grant in self.daemon.grants()], ["10.78.0.2"])
        self.assertEqual(attempt(self.client, "10.78.0.1", 22), OPEN)


if __name__ == "__main__":
    main()
