"""UDP sessions that outlive their grant: what keeps them, and what ends them.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; a service on udp 51820)
      stranger 10.77.1.2  x0 -- s1  10.77.1.1
"""

import contextlib
import os
import re
import select
import shutil
import socket
import time

from document import DOCUMENT
from door import Daemon, Door, close, elements, knock
from frames import Injector, udp_packet
from harness import BIN, NetworkTest, eventually, main, program, run

VPN = 51820
SILENCE = 0.3  # seconds; what comes comes in microseconds


def arrives(receiver, payload):
    """Whether the socket gets this datagram, and from where."""
    while select.select([receiver], [], [], SILENCE)[0]:
        with contextlib.suppress(ConnectionError):  # an earlier one was refused
            data, sender = receiver.recvfrom(100)
            if data == payload:
                return sender
    return None


class UdpFlows(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client, self.stranger = map(net.namespace, ("server", "client", "stranger"))
        net.link(self.server, "s0", ["10.77.0.1/24"], self.client, "c0", ["10.77.0.2/24"])
        net.link(self.server, "s1", ["10.77.1.1/24"], self.stranger, "x0", ["10.77.1.2/24"])
        for name in ("all", "s1"):
            self.server.sysctl(f"net/ipv4/conf/{name}/rp_filter", 0)
        self.service = self.socket(self.server, VPN)
        self.door = Door(net, "10.77.0.1", services=(f"vpn=udp/{VPN}", "ssh=tcp/22"))
        self.key = self.door.add("alice", allow=("vpn",))
        self.number = 0

    def start(self, *options, **firewall):
        self.door.configure(firewall={"mode": "guard", "closed": "drop", **firewall})
        self.daemon = Daemon(self.net, self.server, self.door, *options)

    def socket(self, namespace, port=0):
        with namespace:
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind(("", port))
        return self.net.keep(one, socket.socket.close)

    def send(self, client):
        """Whether a datagram of the client's gets to the service."""
        self.number += 1
        payload = str(self.number).encode()
        client.sendto(payload, ("10.77.0.1", VPN))
        return arrives(self.service, payload)

    def ask(self, client):
        """The same, and an answer back."""
        sender = self.send(client)
        if sender is None:
            return False
        self.service.sendto(b"answer", sender)
        return arrives(client, b"answer") is not None

    def begin(self, duration="1s"):
        """A session that is begun under a grant, once that has ended."""
        session = self.socket(self.client)
        knock(self.client, self.key, "vpn", "--for", duration)
        eventually(lambda: self.ask(session), "the grant")
        self.let_the_grant_end()
        self.assertFalse(self.ask(self.socket(self.client)), "a session that is begun behind the grant")
        return session

    def let_the_grant_end(self):
        eventually(lambda: elements(self.server) == [] and self.daemon.grants() == [], "the grant to end")

    def keygen(self, word, service):
        run(program("oneknock-keygen"), "service", word, "--dir", self.door.folder, service)

    def flows(self):
        return self.server.run("nft", "list", "set", "inet", "oneknock", "flows4").stdout.count("expires")

    # --- what keeps a session ------------------------------------------------------------------------------------

    def test_a_session_outlives_what_connection_tracking_remembers_of_it(self):
        self.start()
        self.server.nft("table inet tracking { chain in { type filter hook input priority 0; ct state new accept; }; }")
        for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
            self.server.sysctl("net/netfilter/" + name, 1)
        session = self.begin()
        time.sleep(2.2)
        self.assertTrue(self.ask(session), "silent for longer than connection tracking remembers")

    def test_a_session_needs_no_connection_tracking_and_survives_its_being_emptied(self):
        self.start()
        session = self.begin()
        self.server.nft("table inet raw { chain in { type filter hook prerouting priority raw; udp dport 51820 notrack; }; "
                        "chain out { type filter hook output priority raw; udp sport 51820 notrack; }; }")
        self.assertTrue(self.ask(session), "not tracked from now on")
        self.assertTrue(self.ask(self.begin()), "never tracked")
        self.server.nft("delete table inet raw")
        self.assertTrue(self.ask(session))
        if shutil.which("conntrack"):
            self.server.run("conntrack", "-F")
            self.assertTrue(self.ask(session))

    def test_a_session_outlives_a_restart_and_a_kill_of_the_daemon_and_a_change_of_the_table(self):
        self.start()
        session = self.begin()
        self.daemon.stop()
        self.assertTrue(self.ask(session), "while no daemon runs")
        self.start()
        self.assertTrue(self.ask(session), "after a restart")
        self.daemon.kill()
        self.start(trusted=["192.0.2.0/24"])  # another table
        self.assertTrue(self.ask(session), "after a kill, with another table")
        self.server.run("nft", "flush", "chain", "inet", "oneknock", "sessions")
        self.daemon.wait_for("another program changed or flushed our firewall table")
        self.assertTrue(self.ask(session), "after a repair")
        self.assertFalse(self.ask(self.socket(self.client)))
        close(self.client, self.key, "vpn")
        eventually(lambda: not self.ask(session), "the session to end")

    # --- what ends it --------------------------------------------------------------------------------------------

    def test_a_session_ends_when_its_service_is_silent_for_too_long_whatever_strangers_send(self):
        self.start(udp_idle="5s")
        session = self.begin()
        port = session.getsockname()[1]
        self.assertTrue(self.ask(session))
        idle_from = time.monotonic()
        forged = self.net.keep(Injector(self.stranger, "x0", self.server, "s1"), lambda injector: injector.__exit__())
        while time.monotonic() < idle_from + 4:
            forged.send([udp_packet("10.77.0.2", "10.77.0.1", port, VPN, b"forged")])
            time.sleep(0.5)
        self.assertIsNotNone(arrives(self.service, b"forged"), "while the session lives the forged packets get through")
        eventually(lambda: self.flows() == 0, "the session to be forgotten")
        self.assertFalse(self.ask(session))
        forged.send([udp_packet("10.77.0.2", "10.77.0.1", port, VPN, b"forged too late")])
        self.assertIsNone(arrives(self.service, b"forged too late"))

    def test_a_session_ends_when_its_longest_time_is_over_however_busy_it_is(self):
        self.start(udp_maximum="6s")
        session = self.begin()
        begin = time.monotonic()
        eventually(lambda: not self.ask(session), "the session to end", timeout=40)
        self.assertLess(time.monotonic() - begin, 30)
        knock(self.client, self.key, "vpn", "--for", "1s")
        eventually(lambda: self.ask(session), "a new grant to let it go on")
        self.let_the_grant_end()
        self.assertTrue(self.ask(session))

    def test_closing_ends_a_session_long_after_its_grant_and_the_service_cannot_revive_it(self):
        self.start()
        session = self.begin()
        close(self.client, self.key, "vpn")
        eventually(lambda: not self.ask(session), "the session to end")
        for _ in range(3):  # as WireGuard's server goes on to send for a while
            self.service.sendto(b"again", ("10.77.0.2", session.getsockname()[1]))
            self.assertIsNotNone(arrives(session, b"again"))
            self.assertFalse(self.send(session))

    def test_revoking_ends_the_sessions_of_that_client_alone(self):
        self.start()
        key = self.door.add("bob", allow=("vpn",))
        self.daemon.wait_for("^reloaded: 2 clients")
        alices = self.begin()
        self.daemon.kill()  # whose they are is in the record
        self.start()
        knock(self.client, key, "vpn", "--for", "1s")  # from the same address
        eventually(lambda: self.daemon.grants(), "bob's grant")
        self.let_the_grant_end()
        self.daemon.ctl("revoke", "alice")
        self.assertTrue(self.ask(alices), "bob was admitted for this address as well")
        self.door.revoke("bob")
        eventually(lambda: not self.ask(alices), "the last session to end")

    def test_a_client_that_is_taken_out_loses_its_sessions(self):
        self.start()
        session = self.begin()
        self.door.revoke("alice")
        eventually(lambda: not self.ask(session), "the session to end")

    def test_a_client_that_expires_loses_its_sessions_and_grants_then(self):
        self.start()
        session = self.begin()
        knock(self.client, self.key, "vpn")
        eventually(lambda: self.daemon.grants(), "the grant")
        end = time.time() + 5
        run(program("oneknock-keygen"), "limit", "--dir", self.door.folder, "alice", "--expires",
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end)))
        self.daemon.wait_for("^reloaded")
        if time.time() < end:
            self.assertEqual(len(elements(self.server)), 1)
        self.daemon.wait_for("^closed 1 grant that is no longer allowed")
        self.assertGreater(time.time(), int(end))
        eventually(lambda: elements(self.server) == [] and not self.ask(session), "the grant and the session to end")

    def test_a_service_that_is_taken_out_of_the_door_leaves_no_session_behind(self):
        self.start()
        session = self.begin()
        self.keygen("remove", "vpn")
        self.daemon.wait_for("^reloaded")
        eventually(lambda: "flows4" not in self.server.run("nft", "list", "table", "inet", "oneknock").stdout,
                   "the sets of sessions to go")
        self.keygen("add", f"vpn=udp/{VPN}")
        eventually(lambda: "flows4" in self.server.run("nft", "list", "table", "inet", "oneknock").stdout,
                   "the service to be closed again")
        self.assertFalse(self.ask(session))

    # --- how many --------------------------------------------------------------------------------------------------

    def test_a_client_begins_sessions_at_so_many_new_addresses_and_no_more_at_once(self):
        self.start()
        key = self.door.add("roamer", "--source", "any", allow=("vpn", "ssh"))
        self.daemon.wait_for("^reloaded: 2 clients")
        for number in range(10, 18):
            knock(self.client, key, "vpn", "--source", f"10.77.0.{number}")
        eventually(lambda: self.daemon.accepted() == 8, "eight addresses")
        knock(self.client, key, "vpn", "--source", "10.77.0.18")
        eventually(lambda: self.daemon.refused() == {"rate-limited": 1}, "the ninth to be refused")
        knock(self.client, key, "vpn", "--source", "10.77.0.10")
        knock(self.client, key, "ssh", "--source", "10.77.0.18")
        eventually(lambda: self.daemon.accepted() == 10, "what is no new address, and no UDP")

    # --- docs/operations.md, "WireGuard behind the door" -----------------------------------------------------------

    def test_the_knocks_of_the_recipe_for_WireGuard_bring_a_session_up_and_back(self):
        with open(DOCUMENT) as file:
            recipe = file.read().split("## WireGuard behind the door\n")[1].split("\n## ")[0]
        pre_up = re.search(r"^    PreUp = (.*)$", recipe, re.M)[1]
        watch = re.search(r"^    while .*?^    done$", recipe, re.M | re.S)[0]
        self.start()
        self.programs = self.net.path("programs")
        os.mkdir(self.programs)
        self.shell("oneknock import " + self.key)
        session = self.socket(self.client)

        self.shell(pre_up)
        eventually(lambda: self.ask(session), "the session to come up")
        self.put_program("wg", f"[ \"$*\" = 'show wg0 latest-handshakes' ] && printf 'key\\t{int(time.time()) - 100}\\n'")
        self.put_program("sleep", f"mkdir {self.net.path('slept')} 2>/dev/null")  # once, then the loop is over
        accepted = self.daemon.accepted()
        self.shell(watch)
        self.assertEqual(self.daemon.accepted(), accepted, "the last handshake is not old")

        close(self.client, self.key, "vpn")
        eventually(lambda: not self.ask(session), "the session to end")
        self.put_program("wg", f"[ \"$*\" = 'show wg0 latest-handshakes' ] && printf 'key\\t{int(time.time()) - 200}\\n'")
        os.rmdir(self.net.path("slept"))
        self.shell(watch)
        eventually(lambda: self.ask(session), "the session to come back")

    def put_program(self, name, text):
        with open(os.open(os.path.join(self.programs, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o755), "w") as file:
            file.write("#!/bin/sh\n" + text + "\n")

    def shell(self, command):
        self.client.run("sh", "-c", command, env={"PATH": f"{self.programs}:{os.path.abspath(BIN)}:{os.environ['PATH']}",
                                                  "HOME": self.net.folder, "XDG_CONFIG_HOME": self.net.path("config")})


if __name__ == "__main__":
    main()
