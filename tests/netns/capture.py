"""Where knocks are heard: interfaces of every kind, those that come and go, and captures in files.

      client 10.77.0.2 fd77::2  c0 ---- s0  10.77.0.1 fd77::1
                                            server (oneknockd; service on tcp 22)
      other  10.77.1.2          o0 ---- s1  10.77.1.1

Further interfaces of the server come with their tests: a tun device, a VLAN, lo, ones that are made later.
"""

import fcntl
import json
import os
import struct

from door import Daemon, Door, change_json, key_for, knock
from frames import ETHERNET, RAW, SLL, SLL2, Capture, Injector, ethernet, read_pcap, with_source_port, write_pcap
from harness import NetworkTest, eventually, main, program, run
from traffic import OPEN, Service, attempt

ACCEPTED = "^accepted: alice: open tcp/22 for "


class Capturing(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client, self.other = map(net.namespace, ("server", "client", "other"))
        net.link(self.server, "s0", ["10.77.0.1/24", "fd77::1/64"], self.client, "c0", ["10.77.0.2/24", "fd77::2/64"])
        net.link(self.server, "s1", ["10.77.1.1/24"], self.other, "o0", ["10.77.1.2/24"])
        net.keep(Service(self.server, 22), Service.stop)
        self.door = Door(net, "10.77.0.1")
        self.key = self.door.add("alice")
        self.other_key = self.key_at("10.77.1.1")

    def key_at(self, address):
        return key_for(self.key, address, self.net.path(f"alice-{address}.json"))

    def listen_on(self, *interfaces):
        self.door.configure(interfaces=list(interfaces))
        self.daemon = Daemon(self.net, self.server, self.door)

    def planned(self, key, *options):
        """The packets of a knock that has not been sent."""
        path = self.net.path(f"planned-{len(os.listdir(self.net.folder))}.pcap")
        knock(self.client, key, "ssh", "--dry-run", "--write", path, *options)
        return [packet for _, packet in read_pcap(path)[1]]

    def symbols(self):
        return self.daemon.status()["capture"]["symbols"]


class Interfaces(Capturing):
    def test_a_named_interface_is_listened_on_and_others_are_not(self):
        self.listen_on("s0")
        knock(self.other, self.other_key)
        knock(self.client, self.key, "ssh", "--wait")
        self.assert_becomes((1, 64), lambda: (self.daemon.accepted(), self.symbols()))

    def test_several_named_interfaces_are_listened_on_at_once(self):
        self.listen_on("s0", "s1")
        knock(self.client, self.key, "ssh", "--wait")
        knock(self.other, self.other_key, "ssh", "--wait")
        self.assert_becomes((2, 128), lambda: (self.daemon.accepted(), self.symbols()))

    def test_any_stands_for_all_interfaces(self):
        self.listen_on("any")
        knock(self.client, self.key, "ssh", "--wait")
        knock(self.other, self.other_key, "ssh", "--wait")
        self.assert_becomes((2, 128), lambda: (self.daemon.accepted(), self.symbols()))

    def test_a_knock_whose_packets_come_in_on_two_interfaces_is_one_knock(self):
        self.listen_on("any")
        packets = self.planned(self.key)
        left = self.net.keep(Injector(self.client, "c0", self.server, "s0"), lambda injector: injector.__exit__())
        right = self.net.keep(Injector(self.other, "o0", self.server, "s1"), lambda injector: injector.__exit__())
        left.send(packets[:32])
        right.send(packets[32:])
        self.daemon.wait_for(ACCEPTED + "10.77.0.2")

    def test_a_knock_of_the_host_at_itself_is_heard_on_lo_once(self):
        for interface in ("lo", "any"):
            self.listen_on(interface)
            knock(self.server, self.key, "ssh", "--knocks", "64")  # one pass
            self.daemon.wait_for(ACCEPTED + "10.77.0.1, 30s, from 10.77.0.1")
            self.assert_becomes(64, lambda: self.symbols())
            self.daemon.stop()

    def test_what_the_host_itself_sends_is_no_knock(self):
        # The server is the client of another door with the same key: its own packets leave through s0.
        self.listen_on("s0")
        self.client.run("ip", "addr", "add", "10.77.0.9/24", "dev", "c0")
        knock(self.server, self.key_at("10.77.0.9"))
        knock(self.client, self.key, "ssh", "--wait")
        self.assert_becomes((1, 64), lambda: (self.daemon.accepted(), self.symbols()))

    def check_tun(self, interface):
        tun = self.open_tun("tun0")
        self.server.ip("addr add 10.99.0.1/24 dev tun0", "link set tun0 up")
        self.listen_on(interface)
        packets = self.planned(self.key_at("10.99.0.1"), "--source", "10.99.0.2")
        for packet in packets:
            os.write(tun, packet)
        self.daemon.wait_for(ACCEPTED + "10.99.0.2, 30s, from 10.99.0.2")

    def open_tun(self, name):
        with self.server:
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            iff_tun, iff_no_pi, tunsetiff = 0x0001, 0x1000, 0x400454CA
            fcntl.ioctl(tun, tunsetiff, struct.pack("16sH22x", name.encode(), iff_tun | iff_no_pi))
        return self.net.keep(tun, os.close)

    def test_a_tun_device_that_carries_bare_IP_packets_is_listened_on_by_name(self):
        self.check_tun("tun0")

    def test_a_tun_device_that_carries_bare_IP_packets_is_part_of_any(self):
        self.check_tun("any")

    def check_tags(self, *vlans):
        self.listen_on("s0")
        injector = self.net.keep(Injector(self.client, "c0", self.server, "s0"), lambda it: it.__exit__())
        injector.send(self.planned(self.key), vlans=vlans)
        injector.send(self.planned(self.key_at("fd77::1"), "--via", "tcp"), vlans=vlans)
        self.daemon.wait_for(ACCEPTED + "10.77.0.2")
        self.daemon.wait_for(ACCEPTED + "fd77::2")

    def test_frames_with_a_VLAN_tag_are_understood(self):
        self.check_tags(5)

    def test_frames_with_two_VLAN_tags_are_understood(self):
        self.check_tags(7, 5)

    def test_a_VLAN_interface_is_part_of_any_and_can_be_named(self):
        if self.server.run("ip", "link", "add", "link", "s0", "name", "try", "type", "vlan", "id", "9", check=False).returncode:
            self.skipTest("this kernel has no VLAN interfaces")
        for namespace, parent, address in ((self.server, "s0", "10.78.0.1/24"), (self.client, "c0", "10.78.0.2/24")):
            namespace.ip(f"link add link {parent} name {parent}.5 type vlan id 5", f"addr add {address} dev {parent}.5",
                         f"link set {parent}.5 up")
        key = self.key_at("10.78.0.1")
        for interface in ("any", "s0.5"):
            self.listen_on(interface)
            knock(self.client, key, "ssh", "--wait")
            self.assert_becomes(1, lambda: self.daemon.accepted())
            self.daemon.ctl("revoke", "--all")
            self.daemon.stop()


class ComingAndGoing(Capturing):
    def make_late_link(self):
        self.net.link(self.server, "late0", ["10.79.0.1/24"], self.client, "d0", ["10.79.0.2/24"])

    def knock_late(self):
        knock(self.client, self.late_key, "ssh", "--wait")
        self.daemon.ctl("revoke", "--all")

    def build(self):
        super().build()
        self.late_key = self.key_at("10.79.0.1")

    def test_an_interface_that_is_missing_at_the_start_is_used_once_it_is_there(self):
        self.listen_on("s0", "late0")
        self.daemon.wait_for("^warning: interface late0 is not there yet; waiting for it$")
        self.make_late_link()
        self.daemon.wait_for("^warning: interface late0 is back in use$")
        self.knock_late()
        knock(self.client, self.key, "ssh", "--wait")

    def test_an_interface_that_is_deleted_and_made_again_is_used_again(self):
        self.make_late_link()
        self.listen_on("late0")
        for again in (1, 2):
            self.knock_late()
            self.server.ip("link del late0")
            self.daemon.wait_for("^warning: interface late0 is gone; waiting for it$", times=again)
            self.make_late_link()
            self.daemon.wait_for("^warning: interface late0 is back in use$", times=again)
        self.knock_late()
        self.assert_becomes(3, lambda: self.daemon.accepted())

    def test_an_interface_that_is_down_at_the_start_is_used_once_it_is_up(self):
        self.server.ip("link set s0 down")
        self.listen_on("s0")
        self.server.ip("link set s0 up")
        knock(self.client, self.key, "ssh", "--wait=5s")
        self.assert_becomes(1, lambda: self.daemon.accepted())

    def test_an_interface_that_is_down_for_a_while_and_deleted_later_is_used_again_when_it_is_made_again(self):
        self.make_late_link()
        self.listen_on("late0")
        self.server.ip("link set late0 down")
        self.knock_at_s0_in_vain()
        self.server.ip("link del late0")
        self.daemon.wait_for("^warning: interface late0 is gone; waiting for it$")
        self.make_late_link()
        self.daemon.wait_for("^warning: interface late0 is back in use$")
        self.knock_late()

    def knock_at_s0_in_vain(self):
        knock(self.client, self.key, "ssh")
        self.assert_becomes(0, lambda: self.daemon.accepted())

    def check_down_and_up(self, interface):
        self.listen_on(interface)
        self.server.ip("link set s0 down")
        self.server.ip("link set s0 up")
        knock(self.client, self.key, "ssh", "--wait=5s")
        self.assert_becomes(1, lambda: self.daemon.accepted())

    def test_an_interface_that_comes_back_from_another_namespace_ends_the_daemon_which_hears_it_once_started_again(self):
        self.listen_on("s0")
        elsewhere = self.net.namespace("elsewhere")
        self.server.ip(f"link set s0 netns {elsewhere.name}")
        self.daemon.wait_for("^warning: interface s0 is gone")
        elsewhere.ip(f"link set s0 netns {self.server.name}")
        self.daemon.wait_for("^error: interface s0 was in another network namespace")
        self.assertEqual(self.daemon.process.wait(), 69)
        self.server.ip("addr add 10.77.0.1/24 dev s0")
        self.server.ip("link set s0 up")
        self.listen_on("s0")
        knock(self.client, self.key, "ssh", "--wait=5s")
        self.assert_becomes(1, lambda: self.daemon.accepted())

    def test_a_named_interface_that_goes_down_and_up_goes_on_to_be_used(self):
        self.check_down_and_up("s0")

    def test_any_goes_on_when_an_interface_goes_down_and_up(self):
        self.check_down_and_up("any")


class Files(Capturing):
    def read(self, path, *options, check=True):
        """The decisions as JSON; without the daemon's privileges, as another user."""
        run("chown", "-R", "nobody", self.door.folder, *filter(os.path.exists, [path]))
        run("chmod", "755", self.net.folder)
        # The folder of the build may be closed to others.
        run("cp", program("oneknockd"), program("oneknockd-read"), self.net.folder)
        done = run("setpriv", "--reuid=nobody", "--clear-groups", self.net.path("oneknockd"), "--config", self.door.config,
                   "--read", path, "--json", *options, check=check)
        if not check:
            return done
        return [json.loads(line) for line in done.stdout.splitlines()]

    def capture_two_knocks(self, namespace, interface, *options):
        """IPv4 datagrams and IPv6 SYNs, and the first ones a second time."""
        capture = Capture(self.net, namespace, interface, "udp or tcp[tcpflags] == tcp-syn or ip6", *options)
        packets = self.planned(self.key)
        with Injector(self.client, "c0", self.server, "s0") as injector:
            injector.send(packets)
            knock(self.client, self.key_at("fd77::1"), "ssh", "--via", "tcp", "--knocks", "64")
            injector.send([with_source_port(packet, 40000) for packet in packets])
        capture.packets(3 * 64)
        return capture.stop()

    def check_decisions(self, path, link_type):
        self.assertEqual(read_pcap(path)[0], link_type)
        decisions = self.read(path)
        keys = ("source", "client", "operation", "protocol", "port", "decision", "reason")
        self.assertEqual([tuple(decision[key] for key in keys) for decision in decisions],
                         [("10.77.0.2", "alice", "open", "tcp", 22, "accepted", None),
                          ("fd77::2", "alice", "open", "tcp", 22, "accepted", None),
                          ("10.77.0.2", "alice", "open", "tcp", 22, "refused", "replayed")])
        self.assertRegex(decisions[0]["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_a_capture_of_Ethernet_frames_is_explained(self):
        self.check_decisions(self.capture_two_knocks(self.server, "s0"), ETHERNET)

    def test_a_capture_of_all_interfaces_in_the_first_cooked_form_is_explained(self):
        self.check_decisions(self.capture_two_knocks(self.server, "any", "-y", "LINUX_SLL"), SLL)

    def test_a_capture_of_all_interfaces_in_the_second_cooked_form_is_explained(self):
        self.check_decisions(self.capture_two_knocks(self.server, "any", "-y", "LINUX_SLL2"), SLL2)

    def test_a_capture_of_bare_IP_packets_is_explained(self):
        _, frames = read_pcap(self.capture_two_knocks(self.server, "s0"))
        path = self.net.path("raw.pcap")
        write_pcap(path, RAW, [(when, frame[14:]) for when, frame in frames])
        self.check_decisions(path, RAW)

    def test_what_the_client_writes_down_is_explained(self):
        path = self.net.path("written.pcap")
        knock(self.client, self.key, "ssh", "--write", path)
        decision, = self.read(path)
        self.assertEqual((decision["decision"], decision["client"]), ("accepted", "alice"))

    def written(self):
        """The packets of a knock, with their times."""
        path = self.net.path("written.pcap")
        knock(self.client, self.key, "ssh", "--knocks", "64", "--write", path)  # one pass
        return read_pcap(path)[1]

    def check_file(self, content):
        path = self.net.path(f"file-{len(os.listdir(self.net.folder))}")
        with open(path, "wb") as file:
            file.write(content)
        decision, = self.read(path)
        self.assertEqual((decision["decision"], decision["client"]), ("accepted", "alice"))

    def test_a_pcapng_file_of_several_interfaces_and_link_types_is_explained(self):
        packets = self.written()
        for order in "<>":
            self.check_file(pcapng(order, [ETHERNET, RAW], [(i % 2, when, packet if i % 2 else ethernet(packet, "02:00:00:00:00:02"))
                                                            for i, (when, packet) in enumerate(packets)]))

    def test_a_pcapng_file_with_packets_that_cannot_be_read_is_explained_but_an_error(self):
        packets = self.written()
        path = self.net.path("mixed.pcapng")
        with open(path, "wb") as file:
            file.write(pcapng("<", [RAW, 105], [(0, when, packet) for when, packet in packets] + [(1, packets[0][0], b"x" * 40)]))
        done = self.read(path, check=False)
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertIn('"decision":"accepted"', done.stdout)
        self.assertIn("1 packet of link type IEEE802_11 cannot be read", done.stderr)

    def test_a_knock_within_PPPoE_is_explained_also_behind_VLAN_tags(self):
        packets = self.written()
        for tags in (b"", bytes.fromhex("88a8000781000005")):
            path = self.net.path(f"pppoe{len(tags)}.pcap")
            write_pcap(path, ETHERNET, [(when, bytes.fromhex("020000000001020000000002") + tags + bytes.fromhex("886411000001") +
                                         struct.pack(">H", len(packet) + 2) + b"\x00\x21" + packet) for when, packet in packets])
            decision, = self.read(path)
            self.assertEqual(decision["decision"], "accepted")

    def test_a_capture_is_read_from_standard_input_and_from_a_pipe(self):
        self.written()
        for word in ("-", "/dev/stdin", "<(cat)"):
            line = f"cat {self.net.path('written.pcap')} | {program('oneknockd')} --config {self.door.config} --read {word} --json"
            self.assertIn('"accepted"', run("bash", "-c", line).stdout)

    def test_a_capture_without_a_knock_says_so_and_one_cut_too_short_is_an_error(self):
        packets = self.written()
        path = self.net.path("few.pcap")
        write_pcap(path, RAW, packets[:5])
        done = self.read(path, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("no knock at this door in 5 packets", done.stderr)
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 20, RAW))
            for when, packet in packets:
                file.write(struct.pack("<IIII", int(when), 0, 20, len(packet)) + packet[:20])
        done = self.read(path, check=False)
        self.assertEqual(done.returncode, 65, done.stderr)
        self.assertIn("64 of 64 packets were cut too short", done.stderr)

    def test_the_captures_own_times_are_the_clock(self):
        for part in ("door.json", "clients.d/alice.json"):
            change_json(os.path.join(self.door.folder, part),
                        lambda content: content["generations"][0].update(not_before="2020-01-01T00:00:00Z"))
        path = self.net.path("written.pcap")
        knock(self.client, self.key, "ssh", "--write", path)
        link_type, packets = read_pcap(path)
        for shift, decision, reason in ((30, "accepted", None), (-30, "accepted", None), (90, "refused", "stale"),
                                        (-90, "refused", "future")):
            moved = self.net.path(f"moved{shift}.pcap")
            write_pcap(moved, link_type, [(when + shift, packet) for when, packet in packets])
            told = [(item["decision"], item["reason"]) for item in self.read(moved)]
            # Moved into another hour its ports mean nothing.
            self.assertIn(told, ([(decision, reason)], []) if crosses_an_hour(packets[0][0], shift) else ([(decision, reason)],))

    def test_reading_a_capture_leaves_record_and_firewall_alone(self):
        path = self.net.path("written.pcap")
        knock(self.client, self.key, "ssh", "--write", path)
        self.read(path)
        self.assertEqual(os.listdir(self.door.state), ["new-door"])
        run("chown", "-R", "0:0", self.door.folder)
        Daemon(self.net, self.server, self.door)  # and the knock is still good
        with Injector(self.client, "c0", self.server, "s0") as injector:
            injector.send([packet for _, packet in read_pcap(path)[1]])
        eventually(lambda: attempt(self.client, "10.77.0.1", 22) == OPEN, "the knock to open")

    def test_a_capture_that_cannot_be_read_is_an_error_that_names_it(self):
        def refused(content_of, code, *words):
            path = self.net.path(f"bad-{len(os.listdir(self.net.folder))}.pcap")
            content_of(path)
            done = self.read(path, check=False)
            self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
            for word in (path,) + words:
                self.assertIn(word, done.stderr)

        refused(lambda path: write_pcap(path, 105, [(1.0, b"\0" * 60)]), 65, "IEEE802_11")
        refused(lambda path: write_pcap(path, 147, []), 65, "link type")
        refused(lambda path: write_text(path, "no capture at all, but long enough to be one"), 65, "not a capture file")
        missing = self.read(self.net.path("missing.pcap"), check=False)
        self.assertEqual(missing.returncode, 66)
        self.assertIn("missing.pcap: No such file or directory", missing.stderr)

    def test_a_capture_that_ends_early_is_explained_as_far_as_it_goes_and_called_damaged(self):
        path = self.net.path("written.pcap")
        knock(self.client, self.key, "ssh", "--write", path)
        with open(path, "ab") as file:
            file.write(struct.pack("<IIII", 1, 0, 28, 28) + b"\x45")
        done = self.read(path, check=False)
        self.assertEqual(done.returncode, 65)
        self.assertIn('"decision":"accepted"', done.stdout)
        self.assertIn("damaged", done.stderr)


def pcapng(order, link_types, packets):
    """A file in this order of bytes; packets as (interface, time, bytes)."""
    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)

    file = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    for link_type in link_types:
        file += block(1, struct.pack(order + "HHI", link_type, 0, 0))
    for interface, when, packet in packets:
        ticks = int(when * 1e6)
        file += block(6, struct.pack(order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet)) + packet)
    return file


def crosses_an_hour(time, shift):
    return int(time // 3600) != int((time + shift) // 3600)


def write_text(path, text):
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    main()
