"""Packets as bytes: captures by tcpdump, frames sent by hand, and a wire that reorders and duplicates."""

import array
import fcntl
import ipaddress
import json
import os
import random
import select
import signal
import socket
import struct
import threading
import time

from harness import PATIENCE, eventually

ETHERNET, RAW, SLL, SLL2 = 1, 101, 113, 276  # link types of capture files
_IPV4, _IPV6, _VLAN, _QINQ = 0x0800, 0x86DD, 0x8100, 0x88A8
_PACKET_IGNORE_OUTGOING, _PACKET_OUTGOING = 23, 4
_ALL_PROTOCOLS = 0x0003


# --- capture files ------------------------------------------------------------------------------------------------


def read_pcap(path):
    """(link type, [(time in seconds, bytes), ...]); a packet that is still being written is left out."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 24:
        return None, []
    magic, = struct.unpack_from("<I", data)
    fraction = {0xA1B2C3D4: 1e-6, 0xA1B23C4D: 1e-9}[magic]
    link_type, = struct.unpack_from("<I", data, 20)
    packets, at = [], 24
    while at + 16 <= len(data):
        seconds, part, length, _ = struct.unpack_from("<IIII", data, at)
        if at + 16 + length > len(data):
            break
        packets.append((seconds + part * fraction, data[at + 16:at + 16 + length]))
        at += 16 + length
    return link_type, packets


def write_pcap(path, link_type, packets):
    """`packets` as read_pcap() gives them."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type))
        for when, packet in packets:
            seconds = int(when)
            file.write(struct.pack("<IIII", seconds, int((when - seconds) * 1e6), len(packet), len(packet)) + packet)


class Capture:
    """tcpdump into a file, from the moment this is made until stop()."""

    _SMALL_PACKETS = ("-s", "256", "-B", "4096")  # a buffer with room for more than 40 of them at once

    def __init__(self, net, namespace, interface, expression, *options):
        self.path = net.path(f"{namespace.label}-{interface}-{len(os.listdir(net.folder))}.pcap")
        self._process = net.start(namespace, "tcpdump", "-U", "--immediate-mode", "-n", "-Z", "root", "-i", interface, "-w",
                                  self.path, *self._SMALL_PACKETS, *options, expression)
        self._process.wait_for("listening on")

    def packets(self, at_least, timeout=PATIENCE):
        """[(time, bytes)], once there are so many."""
        def enough():
            found = read_pcap(self.path)[1]
            return found if len(found) >= at_least else None

        return eventually(enough, f"{at_least} packets in the capture", timeout)

    def ip_packets(self, at_least, timeout=PATIENCE):
        """The IP packets of captured Ethernet frames."""
        return [frame[14:] for _, frame in self.packets(at_least, timeout)]

    def stop(self):
        self._process.stop(signal.SIGINT)
        return self.path


# --- packets ------------------------------------------------------------------------------------------------------


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def version_of(packet):
    return packet[0] >> 4


def _transport_at(packet):
    return 40 if version_of(packet) == 6 else (packet[0] & 15) * 4


def source_of(packet):
    span = slice(8, 24) if version_of(packet) == 6 else slice(12, 16)
    return str(ipaddress.ip_address(packet[span]))


def ports_of(packet):
    """(source port, destination port)"""
    return struct.unpack_from(">HH", packet, _transport_at(packet))


def _mended(packet):
    """With right checksums: those of IPv4 and UDP or TCP."""
    at = _transport_at(packet)
    packet = bytearray(packet)
    protocol = packet[6] if version_of(packet) == 6 else packet[9]
    field = at + (6 if protocol == socket.IPPROTO_UDP else 16)
    packet[field:field + 2] = b"\0\0"
    addresses = packet[8:40] if version_of(packet) == 6 else packet[12:20]
    sum_of_all = checksum(bytes(addresses) + struct.pack(">HH", protocol, len(packet) - at) + bytes(packet[at:]))
    struct.pack_into(">H", packet, field, sum_of_all or 0xFFFF)
    if version_of(packet) == 4:
        packet[10:12] = b"\0\0"
        struct.pack_into(">H", packet, 10, checksum(bytes(packet[:at])))
    return bytes(packet)


def with_source_port(packet, port):
    at = _transport_at(packet)
    return _mended(packet[:at] + struct.pack(">H", port) + packet[at + 2:])


def with_source(packet, address):
    span = slice(8, 24) if version_of(packet) == 6 else slice(12, 16)
    changed = bytearray(packet)
    changed[span] = ipaddress.ip_address(address).packed
    return _mended(bytes(changed))


def udp_packet(source, destination, source_port, destination_port, payload=b""):
    """An IPv4 packet."""
    length = 8 + len(payload)
    return _mended(struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0x4000, 64, 17, 0, socket.inet_aton(source),
                               socket.inet_aton(destination)) +
                   struct.pack(">HHHH", source_port, destination_port, length, 0) + payload)


def syn_packet(source, destination, source_port, destination_port):
    """A packet of the addresses' family."""
    addresses = [ipaddress.ip_address(address).packed for address in (source, destination)]
    header = (struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 0, 0x4000, 64, 6, 0, *addresses) if len(addresses[0]) == 4
              else struct.pack(">IHBB16s16s", 6 << 28, 20, 6, 64, *addresses))
    return _mended(header + struct.pack(">HHIIBBHHH", source_port, destination_port, random.getrandbits(32), 0, 0x50, 2,
                                        64240, 0, 0))


def ethernet(packet, to_mac, from_mac="02:00:00:00:00:01", vlans=()):
    """A frame, with VLAN tags from the outside to the inside: one is 802.1Q, two are QinQ."""
    frame = bytes.fromhex(to_mac.replace(":", "") + from_mac.replace(":", ""))
    for depth, vlan in enumerate(vlans):
        frame += struct.pack(">HH", _QINQ if depth + 1 < len(vlans) else _VLAN, vlan)
    return frame + struct.pack(">H", _IPV6 if version_of(packet) == 6 else _IPV4) + packet


def mac_of(namespace, interface):
    return json.loads(namespace.run("ip", "-j", "link", "show", "dev", interface).stdout)[0]["address"]


# --- sending and the wire -----------------------------------------------------------------------------------------


def raw_socket(namespace, interface):
    """Sees and sends frames of an interface; not those the host itself sends."""
    with namespace:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
    raw.setsockopt(socket.SOL_PACKET if hasattr(socket, "SOL_PACKET") else 263, _PACKET_IGNORE_OUTGOING, 1)
    raw.bind((interface, 0))
    return raw


class Injector:
    """Sends packets out of an interface as they are, to the interface at the other end of the cable."""

    def __init__(self, namespace, interface, peer, peer_interface):
        self._mac = mac_of(peer, peer_interface)
        with namespace:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._socket.bind((interface, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, packets, vlans=()):
        for packet in packets:
            self.send_frame(ethernet(packet, self._mac, vlans=vlans))

    def send_frame(self, frame):
        while True:
            try:
                return self._socket.send(frame)
            except OSError as error:  # the queue is full; it empties in no time
                if error.errno != 105:
                    raise
                time.sleep(0.001)


def without_offload(namespace, interface):
    """Whole checksums in every packet: those that pass a wire made of sockets are not completed by a device."""
    set_tx_checksums = 0x17
    command = array.array("B", struct.pack("II", set_tx_checksums, 0))
    request = struct.pack("16sP", interface.encode(), command.buffer_info()[0])
    with namespace, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8946, request)  # SIOCETHTOOL


class Wire:
    """Joins two interfaces of a namespace, `disorder` included: frames are taken together for a moment, sent on in
    random order, and every third one twice."""

    TOGETHER = 0.002  # seconds

    def __init__(self, namespace, left, right, seed=1):
        self._ends = raw_socket(namespace, left), raw_socket(namespace, right)
        self._random = random.Random(seed)
        self._stopped = threading.Event()
        self.disorder = False
        self.passed = 0
        self._thread = threading.Thread(target=self._pass, daemon=True)
        self._thread.start()

    def stop(self):
        self._stopped.set()
        self._thread.join(2)
        for end in self._ends:
            end.close()

    def _pass(self):
        waiting, since = [], 0.0
        while not self._stopped.is_set():
            patience = max(0.0, since + self.TOGETHER - time.monotonic()) if waiting else 0.1
            for end in select.select(self._ends, [], [], patience)[0]:
                if not waiting:
                    since = time.monotonic()
                waiting.append((self._ends[1 - self._ends.index(end)], end.recv(65536)))
            if waiting and (not self.disorder or time.monotonic() >= since + self.TOGETHER):
                self._send_on(waiting)
                waiting = []

    def _send_on(self, frames):
        if self.disorder:
            frames += [frame for frame in frames if self._random.randrange(3) == 0]
            self._random.shuffle(frames)
        for to, frame in frames:
            try:
                to.send(frame)
                self.passed += 1
            except OSError:
                pass  # lost, as frames are
