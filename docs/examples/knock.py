#!/usr/bin/env python3
"""A client in one file, of the standard library alone: the ten steps of docs/protocol.md, in their order.

    knock.py open|close KEYFILE SERVICE [SECONDS [ADDRESS|observed]]

Takes key files without a passphrase. Exit codes: 64 a request that cannot be made, 65 a key that is wrong or has expired."""
import base64
import calendar
import hashlib
import ipaddress
import json
import os
import random
import re
import socket
import struct
import sys
import time

FIELDS = {"": "oneknock version door client services created expires", "door": "name address id span secret generation",
          "client": "name secret generation source max_duration"}
QUARTERS = [(a, 4 + (a + s) % 4, 8 + (a + 2 * s) % 4, 12 + (a + 3 * s) % 4) for s in (0, 1) for a in range(4)]


class Wrong(Exception):
    """With an exit code and a sentence."""


def check(good, code, sentence):
    if not good:
        raise Wrong(code, sentence)


# Step 1: the key file, and nothing but a key file that is right.
def read_key(text, now):
    try:
        key = json.loads(text)
        check((key["oneknock"], key["version"]) == ("client-key", 1), 65, "not a client-key of version 1")
        for part, names in FIELDS.items():
            unknown = {name for name in (key[part] if part else key) if name[:2] != "x-"} - set(names.split())
            check(not unknown, 65, f"unknown fields: {unknown}")
        door, client = key["door"], key["client"]
        door["id"], door["span"] = bytes.fromhex(door["id"]), ports_of_span(door["span"])
        for part in door, client:
            part["secret"] = base64.b64decode(part["secret"], validate=True)
        sizes = len(door["id"]), len(door["secret"]), len(client["secret"])
        ends = key["expires"] and calendar.timegm(time.strptime(key["expires"], "%Y-%m-%dT%H:%M:%SZ"))
        if client.setdefault("source", "same") not in ("same", "observed", "any"):
            ipaddress.ip_network(client["source"])
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise Wrong(65, f"the key file is wrong: {problem!r}") from None
    check(sizes == (16, 32, 32) and key["services"] and all(map(read_service, key["services"].values())), 65,
          "the key file is wrong: its door id, a secret or its services")
    check(not ends or now < ends, 65, "the key has expired")
    return key


# Step 2: the span. Ranges, minus those with a '!', ascending.
def ports_of_span(text):
    ports = [set(), set()]
    for part in text.split(","):
        hole, low, high = re.fullmatch(r"(!?)(\d+)(?:-(\d+))?", part, re.ASCII).groups()
        check(0 < int(low) <= int(high or low) < 65536, 65, f"{part} is not a range of ports")
        ports[bool(hole)] |= set(range(int(low), int(high or low) + 1))
    check(len(ports[0] - ports[1]) >= 16384, 65, "the span has fewer than 16384 ports")
    return sorted(ports[0] - ports[1])


# Step 3: the request in 18 or 30 bytes. All zero is the address that the server sees.
def read_address(text):
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Wrong(64, f"{text} is not an address") from None
    check(int(address) and not (address.is_multicast or address.is_loopback or getattr(address, "ipv4_mapped", None)
                                or str(address) == "255.255.255.255"), 64, f"{text} is refused by every server")
    return address


def read_service(text):
    word = re.fullmatch("(tcp|udp)/([0-9]{1,5})", text)
    return (6 if word[1] == "tcp" else 17, int(word[2])) if word and 0 < int(word[2]) < 65536 else None


def plaintext(key, operation, service, duration, address, now, nonce):
    wanted = read_service(key["services"].get(service, service))
    check(wanted, 64, f"no service {service}")
    check(0 <= duration < 65536, 64, "a duration has 0 to 65535 seconds")
    check(0 <= now < 2**32, 64, "a knock cannot carry this time")
    check(int(address) or key["client"]["source"] != "same", 64, "this key may not open for 'observed'")
    head = struct.pack(">BBHHI", 1 if operation == "open" else 2, *wanted, duration if operation == "open" else 0, now)
    return head + nonce + address.packed


def blake2b(size, key, data=b"", **more):
    return hashlib.blake2b(data, digest_size=size, key=key, **more).digest()


# Step 4: the subkeys, the epoch and the hint.
def subkey(secret, number):
    return blake2b(32, secret, salt=struct.pack("<Q8x", number), person=b"oneknock" + bytes(8))


def quarter(a, b, c, d):
    for left, right in ((16, 12), (8, 7)):
        a = (a + b) & 0xffffffff
        d = ((d ^ a) << left | (d ^ a) >> 32 - left) & 0xffffffff
        c = (c + d) & 0xffffffff
        b = ((b ^ c) << right | (b ^ c) >> 32 - right) & 0xffffffff
    return a, b, c, d


def chacha20(key, tail):
    """The state before and after the 20 rounds, as 16 words each."""
    start = struct.unpack("<16I", b"expand 32-byte k" + key + tail)
    x = list(start)
    for _ in range(10):
        for a, b, c, d in QUARTERS:
            x[a], x[b], x[c], x[d] = quarter(x[a], x[b], x[c], x[d])
    return start, x


def key_stream(key, tail):
    return [(a + b) & 0xffffffff for a, b in zip(*chacha20(key, tail))]


# Steps 5 and 6: tag, body, message.
def seal(plain, client_secret, door_id):
    mac, cipher, hinting = (subkey(client_secret, number) for number in (1, 2, 3))
    epoch = struct.unpack(">I", plain[6:10])[0] // 3600
    hint = blake2b(16, hinting, struct.pack(">Q", epoch))[:2]
    tag = blake2b(16, mac, b"oneknock/1" + door_id + hint + (b"\4" if len(plain) == 18 else b"\6") + plain)
    words = chacha20(cipher, tag)[1]  # HChaCha20: the first and the last four words, not added to
    stream = struct.pack("<16I", *key_stream(struct.pack("<8I", *words[:4], *words[12:]), bytes(16)))
    return xor(hint, tag) + tag + xor(plain, stream), epoch


def xor(short, long):
    return bytes(a ^ b for a, b in zip(short, long))


# Step 7: the codeword.
def encode(message):
    power = [1]
    while len(power) < 255:
        power.append(power[-1] << 1 ^ (0x11d if power[-1] > 127 else 0))
    log = {value: exponent for exponent, value in enumerate(power)}

    def times(a, b):
        return power[(log[a] + log[b]) % 255] if a and b else 0

    generator = [1]
    for root in power[:64 - len(message)]:
        generator = [a ^ times(b, root) for a, b in zip(generator + [0], [0] + generator)]
    rest = list(message) + [0] * (64 - len(message))
    for at in range(len(message)):
        rest[at:at + len(generator)] = [value ^ times(rest[at], factor) for value, factor in zip(rest[at:], generator)]
    return message + bytes(rest[len(message):])


# Step 8: the codebook of the hour.
def codebook(door, epoch):
    seed = blake2b(32, door["secret"], b"oneknock/1 codebook" + door["id"] + struct.pack(">Q", epoch))
    blocks = (key_stream(seed, struct.pack("<I", number) + b"LibsodiumDRG") for number in range(2**32))
    words, ports = (word for block in blocks for word in block), list(door["span"])
    for i in range(16384):
        left = len(ports) - i
        j = i + next(word for word in words if word >= 2**32 % left) % left
        ports[i], ports[j] = ports[j], ports[i]
    return ports[:16384]


# Step 9: one port for each position.
def knock(key, operation, service, duration, address, now, nonce):
    plain = plaintext(key, operation, service, duration, address, now, nonce)
    message, epoch = seal(plain, key["client"]["secret"], key["door"]["id"])
    codeword, book = encode(message), codebook(key["door"], epoch)
    return message, codeword, [book[position * 256 + byte] for position, byte in enumerate(codeword)]


# Step 10: 64 empty datagrams from one socket, in random order.
def send(ports, family, to):
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for port in random.SystemRandom().sample(ports, 64):
            sender.sendto(b"", (to[0], port) + to[2:])


def own_address(family, to):
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        asked.connect(to)
        return asked.getsockname()[0].split("%")[0]


def main(operation, path, service, duration="0", source=None):
    with open(path, encoding="utf-8") as file:
        key = read_key(file.read(), time.time())
    for family, _, _, _, to in socket.getaddrinfo(key["door"]["address"], 9, type=socket.SOCK_DGRAM):
        unspecified = ipaddress.ip_address("0.0.0.0" if family == socket.AF_INET else "::")
        address = unspecified if source == "observed" else read_address(source or own_address(family, to))
        made = knock(key, operation, service, int(duration), address, int(time.time()), os.urandom(4))
        send(made[2], family, to)
        print(f"sent: {operation} {service} for {address} at {to[0]}; nothing is confirmed")


if __name__ == "__main__":
    try:
        check(3 < len(sys.argv) < 7 and sys.argv[1] in ("open", "close"), 64, __doc__)
        main(*sys.argv[1:])
    except Wrong as problem:
        print(problem.args[1], file=sys.stderr)
        sys.exit(problem.args[0])
