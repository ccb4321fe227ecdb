// Numeric addresses as 4 or 16 bytes.
import { check } from "./wrong.js";

function parseIpv4(text) {
  const parts = text.split(".");
  const right = parts.length === 4 && parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && part < 256);
  return right ? Uint8Array.from(parts, Number) : undefined;
}

// The 16-bit words of one side of "::"; an IPv4 address may stand for the last two.
function words(text, mayEndInIpv4) {
  if (text === "") return [];
  const parts = text.split(":");
  const last = mayEndInIpv4 && parts.at(-1).includes(".") ? parseIpv4(parts.pop()) : null;
  if (last === undefined || !parts.every((part) => /^[0-9a-fA-F]{1,4}$/.test(part))) return undefined;
  const found = parts.map((part) => parseInt(part, 16));
  return last ? [...found, last[0] * 256 + last[1], last[2] * 256 + last[3]] : found;
}

function parseIpv6(text) {
  const sides = text.split("::");
  if (sides.length > 2) return undefined;
  const left = words(sides[0], sides.length === 1);
  const right = sides.length === 2 ? words(sides[1], true) : [];
  if (!left || !right) return undefined;
  const missing = 8 - left.length - right.length;
  if (sides.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return Uint8Array.from([...left, ...Array(missing).fill(0), ...right].flatMap((word) => [word >> 8, word & 255]));
}

// Nothing where it is not one.
export function parseAddress(text) {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

// Of 4 or 16 bytes; not the shortest of the forms that parseAddress() takes.
export function formatAddress(bytes) {
  if (bytes.length === 4) return bytes.join(".");
  return Array.from({ length: 8 }, (_, at) => (bytes[2 * at] * 256 + bytes[2 * at + 1]).toString(16)).join(":");
}

export function unspecified(family) {
  return new Uint8Array(family === 4 ? 4 : 16);
}

export function isZero(bytes) {
  return bytes.every((byte) => byte === 0);
}

// docs/protocol.md, "Plaintext" 2.
function isRefused(bytes) {
  if (bytes.length === 4) return bytes[0] >> 4 === 14 || bytes[0] === 127 || bytes.every((byte) => byte === 255);
  const isMapped = isZero(bytes.subarray(0, 10)) && bytes[10] === 255 && bytes[11] === 255;
  return bytes[0] === 255 || isMapped || (isZero(bytes.subarray(0, 15)) && bytes[15] === 1);
}

// An address that somebody wrote.
export function readAddress(text) {
  const bytes = parseAddress(text);
  check(bytes, "usage", `${text} is not a numeric address`);
  check(!isZero(bytes), "usage", `${text}: write "observed" for the address that the server sees`);
  check(!isRefused(bytes), "usage", `${text}: multicast, loopback and IPv4-mapped addresses are refused by every server`);
  return bytes;
}

// "192.0.2.0/24", without bits behind the prefix.
export function isNetwork(text) {
  const [base, prefix] = text.split("/");
  const bytes = parseAddress(base);
  if (!bytes || text.split("/").length > 2) return false;
  if (prefix === undefined) return true;
  if (!/^[0-9]{1,3}$/.test(prefix) || prefix > bytes.length * 8) return false;
  return bytes.every((byte, at) => (byte & (0xff >> Math.min(8, Math.max(0, prefix - 8 * at)))) === 0);
}
