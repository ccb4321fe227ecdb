"""The client in Python (docs/examples/knock.py) against the known answers. It opens no sealed keys."""

import functools
import ipaddress
import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../docs/examples"))
import knock  # noqa: E402

CLASSES = {64: "usage", 65: "data"}
PROTOCOLS = {6: "tcp", 17: "udp"}


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return json.load(file)


def merged(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merged(target.get(name), value)
    return target


def address_of(case):
    if case["source"] == "observed":
        return ipaddress.ip_address("0.0.0.0" if case.get("family", 4) == 4 else "::")
    return knock.read_address(case["source"])


def answer(vectors, case):
    text = json.dumps(merged(vectors["keys"][case["key"]], case.get("change", {})))
    key = knock.read_key(text, case["time"])
    return made(key, case, address_of(case), case["service"], case["nonce"])


def made(key, case, address, service, nonce):
    message, codeword, ports = knock.knock(key, case["operation"], service, case["duration_s"], address, case["time"],
                                           bytes.fromhex(nonce))
    return {"message": message.hex(), "codeword": codeword.hex(), "ports": ports}


class Vectors(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        build = knock.codebook
        books = functools.lru_cache(lambda secret, door, span, epoch: build({"secret": secret, "id": door, "span": span},
                                                                          epoch))
        knock.codebook = lambda door, epoch: books(door["secret"], door["id"], tuple(door["span"]), epoch)

    def test_key_files_and_requests_lead_to_the_known_ports(self):
        vectors = read("client-v1.json")
        for case in vectors["knocks"]:
            if "passphrase" not in case:
                with self.subTest(case["what"]):
                    self.assertEqual(answer(vectors, case), case["answer"])

    def test_wrong_key_files_and_requests_are_refused_for_the_known_class_of_reasons(self):
        vectors = read("client-v1.json")
        for case in vectors["wrong"]:
            if "passphrase" not in case:
                with self.subTest(case["what"]):
                    with self.assertRaises(knock.Wrong) as caught:
                        answer(vectors, case)
                    self.assertEqual(CLASSES[caught.exception.args[0]], case["class"])

    def test_the_messages_codewords_and_ports_of_the_protocol_are_made(self):
        for vector in read("protocol-v1.json")["vectors"]:
            door, request = vector["door"], vector["request"]
            if request["operation"] == "close" and request["duration_s"]:
                continue  # a server takes them; this client makes none
            key = {"door": {"secret": bytes.fromhex(door["secret"]), "id": bytes.fromhex(door["id"]),
                            "span": knock.ports_of_span(door["span"])},
                   "client": {"secret": bytes.fromhex(vector["client"]["secret"]), "source": "any"}, "services": {}}
            service = f"{PROTOCOLS[request['protocol']]}/{request['port']}"
            case = {**request, "time": vector["time"]}
            self.assertEqual(made(key, case, ipaddress.ip_address(request["address"]), service, request["nonce"]),
                             {name: vector[name] for name in ("message", "codeword", "ports")})


if __name__ == "__main__":
    unittest.main()
