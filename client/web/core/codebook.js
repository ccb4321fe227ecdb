// The hour's codebook (docs/protocol.md, "Codebook" 3 to 5).
import { blake2b } from "@noble/hashes/blake2.js";
import { chacha20 } from "@noble/ciphers/chacha.js";
import { bigEndian, concatBytes, utf8ToBytes } from "./bytes.js";

const symbols = 64 * 256;

function* words(seed) {
  const blocks = 1024;
  for (let counter = 0; ; counter += blocks) {
    const bytes = chacha20(seed, utf8ToBytes("LibsodiumDRG"), new Uint8Array(64 * blocks), undefined, counter);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let at = 0; at < bytes.length; at += 4) yield view.getUint32(at, true);
  }
}

function uniform(stream, below) {
  const least = 2 ** 32 % below;
  let word;
  do word = stream.next().value;
  while (word < least);
  return word % below;
}

// The port of each symbol, by position * 256 + byte. `span`: see span.js.
export function codebook(doorSecret, doorId, epoch, span) {
  const input = concatBytes(utf8ToBytes("oneknock/1 codebook"), doorId, bigEndian(epoch, 8));
  const stream = words(blake2b(input, { key: doorSecret, dkLen: 32 }));
  const ports = span.slice();
  for (let i = 0; i < symbols; i++) {
    const j = i + uniform(stream, ports.length - i);
    [ports[i], ports[j]] = [ports[j], ports[i]];
  }
  return ports.subarray(0, symbols);
}
