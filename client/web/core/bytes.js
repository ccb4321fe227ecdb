// Bytes in the forms that key files and the protocol have.
import { concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

export { concatBytes, utf8ToBytes };

// Nothing where the text is not hexadecimal, or of another length.
export function fromHex(text, length) {
  const right = typeof text === "string" && text.length === 2 * length && /^[0-9a-fA-F]*$/.test(text);
  return right ? hexToBytes(text) : undefined;
}

// Of 32 bytes, in the base64 of RFC 4648 with its padding.
export function secretFromBase64(text) {
  if (typeof text !== "string" || !/^[A-Za-z0-9+/]{43}=$/.test(text)) return undefined;
  const characters = atob(text);
  return Uint8Array.from(characters, (character) => character.charCodeAt(0));
}

// An unsigned number, big-endian.
export function bigEndian(number, length) {
  const bytes = new Uint8Array(length);
  for (let at = length - 1; at >= 0; at--) {
    bytes[at] = number % 256;
    number = Math.floor(number / 256);
  }
  return bytes;
}

// As long as the shorter one.
export function xor(left, right) {
  return Uint8Array.from({ length: Math.min(left.length, right.length) }, (_, at) => left[at] ^ right[at]);
}
