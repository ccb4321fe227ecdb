// The sealed message (docs/protocol.md, "Keys" and "Message").
import { blake2b } from "@noble/hashes/blake2.js";
import { xchacha20 } from "@noble/ciphers/chacha.js";
import { bigEndian, concatBytes, utf8ToBytes, xor } from "./bytes.js";

const operations = { open: 1, close: 2 };

export function epochOf(time) {
  return Math.floor(time / 3600);
}

function subkey(secret, number) {
  const salt = new Uint8Array(16);
  salt[0] = number;
  const personalization = concatBytes(utf8ToBytes("oneknock"), new Uint8Array(8));
  return blake2b(new Uint8Array(0), { key: secret, dkLen: 32, salt, personalization });
}

function plaintext({ operation, service, duration, time, nonce, address }) {
  const numbers = [bigEndian(service.port, 2), bigEndian(operation === "open" ? duration : 0, 2), bigEndian(time, 4)];
  return concatBytes(Uint8Array.of(operations[operation], service.protocol), ...numbers, nonce, address);
}

// 36 bytes for an address of 4, 48 for one of 16.
export function seal(request, clientSecret, doorId) {
  const [macKey, cipherKey, hintKey] = [1, 2, 3].map((number) => subkey(clientSecret, number));
  const hint = blake2b(bigEndian(epochOf(request.time), 8), { key: hintKey, dkLen: 16 }).subarray(0, 2);
  const family = Uint8Array.of(request.address.length === 4 ? 4 : 6);
  const plain = plaintext(request);
  const tag = blake2b(concatBytes(utf8ToBytes("oneknock/1"), doorId, hint, family, plain), { key: macKey, dkLen: 16 });
  const body = xchacha20(cipherKey, concatBytes(tag, new Uint8Array(8)), plain);
  return concatBytes(xor(hint, tag), tag, body);
}
