"""What oneknock meets on other people's hosts, as docs/neighbours.md tells it: fail2ban, and gateways that pass ports on.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; sshd on tcp 22, fail2ban)

      client 203.0.113.2  c0 ---- g0  203.0.113.1  gateway (oneknockd, DNAT)  10.78.0.1  g1 ---- i0  10.78.0.2  inner host
"""

import os
import shutil
import socket
import time

from door import Daemon, Door, knock
from harness import NetworkTest, eventually, main, run
from traffic import CLOSED, OPEN, PATIENCE, Service, attempt, connect, is_alive

SSHD, UNAVAILABLE = "/usr/sbin/sshd", 75


class Fail2ban(NetworkTest):
    """With the jail for sshd as it comes, or with mode = aggressive; three failures are enough here."""

    def build(self):
        if not os.path.exists(SSHD) or not shutil.which("fail2ban-server"):
            self.skipTest("sshd or fail2ban is not installed")
        net = self.net
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", ["10.77.0.1/24"], self.client, "c0", ["10.77.0.2/24"])
        self.log = net.path("auth.log")
        open(self.log, "w").close()
        self.start_sshd()
        self.door = Door(net, "10.77.0.1", services=["ssh=tcp/22"])
        self.key = self.door.add("laptop")
        self.daemon = Daemon(net, self.server, self.door)

    def start_sshd(self):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.net.path("host"))
        os.makedirs("/run/sshd", exist_ok=True)  # sshd's own, where no service manager makes it
        with open(self.net.path("sshd_config"), "w") as file:
            file.write(f"HostKey {self.net.path('host')}\nStrictModes no\nUsePAM no\nPidFile none\nListenAddress 0.0.0.0\n")
        self.sshd = self.net.start(self.server, SSHD, "-D", "-e", "-f", self.net.path("sshd_config"))
        self.sshd.wait_for("Server listening")
        self.passed_on = 0

    def pass_on(self, *more):
        """What sshd has said since, as syslog would write it: fail2ban wants the time and the program's name."""
        lines = [*self.sshd.log.splitlines()[self.passed_on:], *more]
        self.passed_on += len(lines) - len(more)
        with open(self.log, "a") as file:
            file.writelines(f"{time.strftime('%b %e %H:%M:%S')} host sshd[1]: {line}\n" for line in lines)

    def start_fail2ban(self, more=""):
        folder = self.net.path("fail2ban")
        shutil.copytree("/etc/fail2ban", folder)
        shutil.rmtree(os.path.join(folder, "jail.d"))
        for name, text in (("jail.local", f"[DEFAULT]\nbackend = polling\nbanaction = nftables-multiport\nallowipv6 = no\n"
                                          f"[sshd]\nenabled = true\nmaxretry = 3\nlogpath = {self.log}\n{more}\n"),
                           ("fail2ban.local", f"[Definition]\nsocket = {self.net.path('f2b.sock')}\npidfile = "
                                              f"{self.net.path('f2b.pid')}\ndbfile = None\nlogtarget = STDOUT\n")):
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        self.fail2ban = self.net.start(self.server, "fail2ban-server", "-xf", "-c", folder, "start")
        self.fail2ban.wait_for("Jail 'sshd' started")

    def ask(self, *words):
        return self.server.run("fail2ban-client", "-s", self.net.path("f2b.sock"), *words).stdout

    def seen(self):
        """That fail2ban has read all that sshd has written: the failure of somebody else, which comes last, is found."""
        self.pass_on("Invalid user nobody from 192.0.2.99 port 1")
        self.fail2ban.wait_for("Found 192.0.2.99")

    def open_and_close(self, times):
        for _ in range(times):
            knock(self.client, self.key, "ssh", "--wait")
            self.daemon.ctl("revoke", "--all")

    def visit_without_login(self, number):
        knock(self.client, self.key, "ssh", "--wait")
        with self.client:
            socket.create_connection(("10.77.0.1", 22), PATIENCE).close()
        self.sshd.wait_for("Connection closed by 10.77.0.2", times=number)
        self.pass_on()
        self.daemon.ctl("revoke", "--all")

    def assert_nothing_is_counted(self):
        self.open_and_close(4)
        self.seen()
        self.assertEqual(self.fail2ban.count("Found 10.77.0.2"), 0)
        self.assertNotIn("10.77.0.2", self.sshd.log, "sshd sees neither knocks nor looks at its port")

    def test_the_jail_for_sshd_counts_neither_knocks_nor_looks_at_the_port(self):
        self.start_fail2ban()
        self.assert_nothing_is_counted()

    def test_nor_does_the_aggressive_mode(self):
        self.start_fail2ban("mode = aggressive")
        self.assert_nothing_is_counted()

    def test_in_aggressive_mode_a_visit_without_login_counts_unless_the_address_is_to_be_ignored(self):
        self.start_fail2ban("mode = aggressive")
        for number in (1, 2, 3):
            self.visit_without_login(number)
            self.fail2ban.wait_for("Found 10.77.0.2", times=number)
        self.fail2ban.wait_for("Ban 10.77.0.2")
        self.assert_is_how_a_ban_looks()
        self.ask("set", "sshd", "unbanip", "10.77.0.2")
        self.ask("set", "sshd", "addignoreip", "10.77.0.2")
        self.daemon.ctl("revoke", "--all")
        self.visit_without_login(4)
        self.seen()
        self.assertEqual(self.fail2ban.count("Found 10.77.0.2"), 3)

    def assert_is_how_a_ban_looks(self):
        """The knock is accepted, and the grant is there: what keeps the client out stands in another table."""
        banned = lambda: self.server.run("nft", "list", "table", "inet", "f2b-table", check=False).stdout
        eventually(lambda: "10.77.0.2" in banned(), "the ban to be in force")
        accepted = self.daemon.accepted()
        done = knock(self.client, self.key, "ssh", "--wait=2s", check=False)
        self.assertEqual(done.returncode, UNAVAILABLE, done.stderr)
        self.assertIn("did not open within 2s", done.stderr)
        self.assertGreater(self.daemon.accepted(), accepted)
        self.assertEqual([grant["client"] for grant in self.daemon.grants()], ["laptop"])


class Gateway(NetworkTest):
    def build(self):
        net = self.net
        self.gateway, self.client, self.inner = net.router("gateway"), net.namespace("client"), net.namespace("inner")
        net.link(self.gateway, "g0", ["203.0.113.1/24"], self.client, "c0", ["203.0.113.2/24"])
        net.link(self.gateway, "g1", ["10.78.0.1/24"], self.inner, "i0", ["10.78.0.2/24"])
        self.inner.ip("route add default via 10.78.0.1")
        net.keep(Service(self.inner, 22, 443), Service.stop)

    def start(self, service):
        door = Door(self.net, "203.0.113.1", services=[f"box={service}"])
        self.key = door.add("laptop", allow=["box"])
        self.daemon = Daemon(self.net, self.gateway, door)

    def reached(self, port):
        return attempt(self.client, "203.0.113.1", port, timeout=3)

    def assert_is_a_door_for(self, port):
        """Closed, opened by a knock, and closed again; what is established goes on."""
        self.assertEqual(self.reached(port), CLOSED)
        knock(self.client, self.key, "box", "--wait")
        self.assertEqual(self.reached(port), OPEN)
        session = connect(self.client, "203.0.113.1", port)
        self.addCleanup(session.close)
        self.daemon.ctl("revoke", "--all")
        eventually(lambda: self.reached(port) == CLOSED, "the port to be closed")
        self.assertTrue(is_alive(session))

    def test_a_port_that_a_gateway_passes_on_to_a_host_behind_it(self):
        self.gateway.nft("""
            table ip nat {
                chain prerouting { type nat hook prerouting priority dstnat; iifname "g0" tcp dport 2222 dnat to 10.78.0.2:22; }
                chain postrouting { type nat hook postrouting priority srcnat; oifname "g0" masquerade; }
            }
            table ip filter {
                chain forward {
                    type filter hook forward priority filter; policy drop;
                    ct state established,related accept
                    iifname "g0" oifname "g1" ct status dnat accept
                    iifname "g1" accept
                }
            }""")
        self.assertEqual(self.reached(2222), OPEN)
        self.start("tcp/2222")
        self.assert_is_a_door_for(2222)

    def test_a_port_that_is_published_for_a_container(self):
        """With the rules that Docker makes: everything for an address of this host, in chains of iptables-nft."""
        self.gateway.nft("""
            table ip nat {
                chain DOCKER { iifname != "g1" tcp dport 8443 dnat to 10.78.0.2:443; }
                chain PREROUTING { type nat hook prerouting priority dstnat; fib daddr type local jump DOCKER; }
                chain POSTROUTING { type nat hook postrouting priority srcnat; ip saddr 10.78.0.0/24 oifname != "g1" masquerade; }
            }""")
        self.assertEqual(self.reached(8443), OPEN)
        self.start("tcp/8443")
        self.assert_is_a_door_for(8443)


if __name__ == "__main__":
    main()
