"""Beside other firewalls, and over links that a test bench seldom has."""

from server import Server
from steps import expect, expect_in

# Addresses go where they are needed; what was made for it goes with the next.
PLAIN = "ip addr replace 10.77.0.1/24 dev s0; ip -n lan addr replace 10.77.0.2/24 dev c0"
BARE = "ip addr flush dev s0; ip -n lan addr flush dev c0"


class BesideFirewalls(Server):
    """Beside other firewalls"""

    def step_nftables(self):
        """`systemctl reload nftables`, which flushes all rules, opens nothing, and a grant of before goes on."""
        self.run("systemctl start nftables")
        self.wait_until(lambda: "inet oneknock" in self.tables(), "the table")
        self.alice("oneknock open home ssh --for 5m --wait")
        self.run("systemctl reload nftables")
        self.wait_until(lambda: "inet oneknock" in self.tables(), "the table after the reload")
        expect(self.can_connect(), "the grant is gone")
        self.close()
        self.run("systemctl stop nftables")
        self.wait_until(lambda: "inet oneknock" in self.tables(), "the table after the stop")
        self.expect_closed()

    def step_ufw(self):
        """With ufw, which has ssh allowed, a knock opens; its reload and its end change nothing of ours."""
        self.run("ufw allow 22/tcp && ufw --force enable")
        self.expect_that_knocks_open()
        self.run("ufw reload")
        self.expect_closed()
        self.run("ufw --force disable")
        self.expect_closed()

    def step_firewalld(self):
        """With firewalld likewise."""
        self.run("systemctl start firewalld")
        self.expect_that_knocks_open()
        self.run("firewall-cmd --reload")
        self.expect_closed()
        self.run("systemctl stop firewalld")
        self.expect_closed()


    def step_docker(self):
        """With Docker, a container's published port: strangers are refused, and after a knock the container answers."""
        self.run("systemctl start docker", timeout=600)
        self.run("mkdir -p /run/box/bin && cp /bin/busybox /run/box/bin/ && tar -C /run/box -c . | docker import - box")
        self.run("docker run -d --name web -p 8080:80 box /bin/busybox httpd -f -p 80")
        try:
            self.run("oneknock-keygen service add web=tcp/8080 && oneknock-keygen allow laptop web")
            expect(not self.can_connect(8080), "the container can be reached without a knock")
            self.alice("oneknock open home tcp/8080 --wait")
            said = self.machine.ask("ip netns exec lan busybox wget -O - http://10.77.0.1:8080/")[1]
            expect_in("404 Not Found", said)  # by the container: it has no pages
            self.alice("oneknock close home tcp/8080")
            self.wait_until(lambda: not self.can_connect(8080), "the container to be closed again")
            self.expect_that_knocks_open()
        finally:
            self.run("oneknock-keygen service remove web; docker rm -f web", check=False)
            self.run("systemctl stop docker docker.socket containerd")
        self.expect_closed()


class OtherLinks(Server):
    """Over other links"""

    def over(self, make, end):
        """A stranger is refused and a knock opens, with the two addresses where `make` puts them."""
        self.run(f"set -e; {BARE}; {make}")
        try:
            self.machine.until("ip netns exec lan ping -c 1 -W 1 10.77.0.1")
            self.expect_that_knocks_open()
        finally:
            self.run(f"{BARE}; {end}; {PLAIN}")

    def step_vlan(self):
        """Over a VLAN."""
        self.over("ip link add link s0 name v0 type vlan id 5; ip addr add 10.77.0.1/24 dev v0; ip link set v0 up;"
                  "ip -n lan link add link c0 name v0 type vlan id 5; ip -n lan addr add 10.77.0.2/24 dev v0;"
                  "ip -n lan link set v0 up", "ip link del v0; ip -n lan link del v0")

    def step_bridge(self):
        """At a bridge."""
        self.over("ip link add b0 type bridge; ip link set s0 master b0; ip addr add 10.77.0.1/24 dev b0; ip link set b0 up;"
                  "ip -n lan addr add 10.77.0.2/24 dev c0", "ip link del b0")

    def step_macvlan(self):
        """At a macvlan."""
        self.over("ip link add link s0 name m0 type macvlan mode bridge; ip addr add 10.77.0.1/24 dev m0; ip link set m0 up;"
                  "ip -n lan addr add 10.77.0.2/24 dev c0", "ip link del m0")

    def step_vrf(self):
        """In a VRF, with an sshd that takes connections there (net.ipv4.tcp_l3mdev_accept)."""
        self.over("sysctl -q net.ipv4.tcp_l3mdev_accept=1; ip link add red type vrf table 10; ip link set red up;"
                  "ip link set s0 master red; ip addr add 10.77.0.1/24 dev s0; ip -n lan addr add 10.77.0.2/24 dev c0",
                  "ip link del red; sysctl -q net.ipv4.tcp_l3mdev_accept=0")

    def step_wireguard(self):
        """Through WireGuard."""
        keys = ("umask 077; cd /run; for side in server client; do wg genkey >$side.key; wg pubkey <$side.key >$side.pub;"
                " done; cd /;")
        self.over(f"{keys} ip addr add 10.79.0.1/24 dev s0; ip -n lan addr add 10.79.0.2/24 dev c0;"
                  "ip link add w0 type wireguard; ip -n lan link add w0 type wireguard;"
                  "wg set w0 listen-port 51820 private-key /run/server.key peer $(cat /run/client.pub) allowed-ips 10.77.0.2/32;"
                  "ip netns exec lan wg set w0 private-key /run/client.key peer $(cat /run/server.pub)"
                  " allowed-ips 10.77.0.1/32 endpoint 10.79.0.1:51820;"
                  "ip addr add 10.77.0.1/24 dev w0; ip link set w0 up;"
                  "ip -n lan addr add 10.77.0.2/24 dev w0; ip -n lan link set w0 up", "ip link del w0; ip -n lan link del w0")

    def step_ppp(self):
        """Over PPP."""
        ends = "noauth local nodetach noccp maxfail 1 10.77.0.{}:10.77.0.{}"
        self.over("systemd-run --quiet --unit ppp --collect pppd " + ends.format(1, 2)
                  + f" pty 'ip netns exec lan pppd notty {ends.format(2, 1)}'", "systemctl stop ppp")

    def step_bad_line(self):
        """Over a line that loses a tenth, doubles a tenth, delays by 30 to 70 ms and so reorders."""
        self.run("ip netns exec lan tc qdisc add dev c0 root netem delay 50ms 20ms loss 10% duplicate 10%")
        try:
            said = self.alice("oneknock open home ssh --for 5m --wait", check=False)[1]
            expect_in("10.77.0.2", self.run("oneknockctl grants"))
            self.wait_until(self.can_connect, f"a connection over the bad line; the client said: {said}")
        finally:
            self.run("ip netns exec lan tc qdisc del dev c0 root")
        self.close()
