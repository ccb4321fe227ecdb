// A sealed key in few bytes (docs/protocol.md, "A sealed key in few bytes"): out comes the text of the key file that it
// stands for, which readKeyFile() judges.
import { bytesToHex } from "@noble/hashes/utils.js";
import { formatAddress } from "./address.js";
import { check } from "./wrong.js";

const form = 1;
const longest = 300;
const damaged = "the key in this code or link is damaged or cut off; scan it again";
const protocols = { 6: "tcp", 17: "udp" };

function bytesOf(encoded) {
  check(/^[A-Za-z0-9_-]+$/.test(encoded) && encoded.length % 4 !== 1, "data", damaged);
  const bytes = Uint8Array.from(atob(encoded.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const again = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  check(bytes.length <= longest && again === encoded, "data", damaged);
  return bytes;
}

function reader(bytes) {
  let at = 0;
  const take = (length) => {
    check(at + length <= bytes.length, "data", damaged);
    return bytes.subarray(at, (at += length));
  };
  const number = (length) => take(length).reduce((value, byte) => value * 256 + byte, 0);
  const text = () => String.fromCharCode(...take(number(1)));
  const hex = (length) => bytesToHex(take(length));
  const list = (item) => Array.from({ length: number(1) }, item);
  return { take, number, text, hex, list, isAtEnd: () => at === bytes.length };
}

function longestTime(seconds) {
  const [unit, length] = [["d", 86400], ["h", 3600], ["m", 60]].find(([, length]) => seconds > 60 && seconds % length === 0) ?? ["s", 1];
  return `${seconds / length}${unit}`;
}

function time(seconds) {
  const text = new Date(seconds * 1000);
  check(!Number.isNaN(text.getTime()), "data", damaged);
  return text.toISOString().replace(".000Z", "Z");
}

function readDoor({ text, hex, number }) {
  const [name, address, id, span] = [text(), text(), hex(16), text()];
  return { name, address, id, span: span || "1024-65535", generation: number(4) };
}

function readClient({ text, number }) {
  const [name, generation, source] = [text(), number(4), text()];
  return { name, generation, source, max_duration: longestTime(number(2)) };
}

function readServices({ list, text, number }) {
  const services = list(() => {
    const [name, protocol] = [text(), number(1)];
    return [name, `${protocols[protocol] ?? protocol}/${number(2)}`];
  });
  check(new Set(services.map(([name]) => name)).size === services.length, "data", damaged);
  return Object.fromEntries(services);
}

function readLock({ number, hex }) {
  const [operations, memory_kib] = [number(1), number(4)];
  return { algorithm: "argon2id-xchacha20poly1305", operations, memory_kib, salt: hex(16), sealed: hex(80) };
}

function readAddresses({ list, take, number }) {
  return list(() => {
    const length = number(1);
    check(length === 4 || length === 16, "data", damaged);
    return formatAddress(take(length));
  });
}

// `encoded` without what marks it ("oneknock-key:", "#key=").
export function unpackKey(encoded) {
  const from = reader(bytesOf(encoded));
  const found = from.number(1);
  check(found <= form, "data", "the key is of a form that is newer than this page; get a new page");
  check(found === form, "data", damaged);
  const file = { oneknock: "locked-client-key", version: 1, door: readDoor(from), client: readClient(from),
    services: readServices(from), created: time(from.number(5)) };
  const end = from.number(5);
  file.expires = end === 0 ? null : time(end);
  file.lock = readLock(from);
  const addresses = readAddresses(from);
  check(from.isAtEnd(), "data", damaged);
  if (addresses.length > 0) file["x-addresses"] = addresses;
  return JSON.stringify(file);
}
