// The core against the known answers (tests/vectors).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { readAddress, parseAddress, unspecified } from "../core/address.js";
import { unpackKey } from "../core/compact_key.js";
import { checkEnd, readKeyFile } from "../core/key_file.js";
import { findService, makeKnock } from "../core/knock.js";
import { portsOfSpan } from "../core/span.js";
import { unseal } from "../core/unseal.js";

const read = (name) => JSON.parse(readFileSync(new URL(`../../../tests/vectors/${name}`, import.meta.url)));
const vectors = read("client-v1.json");

// RFC 7396.
function merged(target, patch) {
  if (patch === null || typeof patch !== "object") return patch;
  const result = target !== null && typeof target === "object" ? { ...target } : {};
  for (const [name, value] of Object.entries(patch))
    if (value === null) delete result[name];
    else result[name] = merged(result[name], value);
  return result;
}

function answer(made) {
  return { message: bytesToHex(made.message), codeword: bytesToHex(made.codeword), ports: made.ports };
}

function knock(one) {
  let key = readKeyFile(JSON.stringify(merged(vectors.keys[one.key], one.change ?? {})));
  checkEnd(key, one.time);
  key = unseal(key, one.passphrase ?? "");
  const address = one.source === "observed" ? unspecified(one.family ?? 4) : readAddress(one.source);
  const { operation, duration_s: duration, time } = one;
  const request = { operation, duration, time, address, nonce: hexToBytes(one.nonce), service: findService(key, one.service) };
  return answer(makeKnock(key, request));
}

test("key files and requests lead to the known ports", () => {
  for (const one of vectors.knocks) assert.deepEqual(knock(one), one.answer, one.what);
});

test("wrong key files and requests are refused for the known class of reasons", () => {
  for (const one of vectors.wrong)
    assert.throws(() => knock(one), (error) => {
      assert.equal(error.kind, one.class, `${one.what}: ${error.message}`);
      return true;
    }, one.what);
});

test("sealed keys in few bytes stand for the known key files", () => {
  for (const one of vectors.compact) {
    const { "x-addresses": addresses = [], ...file } = JSON.parse(unpackKey(one.text));
    assert.deepEqual(file, { expires: null, ...merged(vectors.keys[one.key], one.change) }, one.what);
    assert.deepEqual(addresses.map(parseAddress), one.addresses.map(parseAddress), one.what);
  }
});

test("sealed keys in few bytes that are damaged are refused", () => {
  for (const one of vectors.wrong_compact)
    assert.throws(() => readKeyFile(unpackKey(one.text)), (error) => {
      assert.equal(error.kind, "data", `${one.what}: ${error.message}`);
      return true;
    }, one.what);
});

test("the messages, codewords and ports of the protocol are made", () => {
  for (const { door, client, request, time, ...expected } of read("protocol-v1.json").vectors) {
    if (request.operation === "close" && request.duration_s) continue; // a server takes them; this client makes none
    const key = {
      door: { secret: hexToBytes(door.secret), id: hexToBytes(door.id), span: portsOfSpan(door.span) },
      client: { secret: hexToBytes(client.secret), source: "any" },
    };
    const { operation, protocol, port, duration_s: duration } = request;
    const made = makeKnock(key, { operation, service: { protocol, port }, duration, time, nonce: hexToBytes(request.nonce),
      address: parseAddress(request.address) });
    const { message, codeword, ports } = expected;
    assert.deepEqual(answer(made), { message, codeword, ports });
  }
});
