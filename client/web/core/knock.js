// From key, request and time to ports: the client's half of docs/protocol.md. No clock, no randomness, no network.
import { isZero } from "./address.js";
import { codebook } from "./codebook.js";
import { encode } from "./codeword.js";
import { epochOf, seal } from "./message.js";
import { parseService } from "./service.js";
import { check } from "./wrong.js";

// By its name in the key file, or as "tcp/22".
export function findService(key, word) {
  const service = key.services.get(word) ?? parseService(word);
  const listed = [...key.services].map(([called, { text }]) => `${called} (${text})`).join(", ");
  check(service, "usage", `no service ${word}; the key lists: ${listed}`);
  return service;
}

function checkRequest(key, { operation, duration, time, address }) {
  check(["open", "close"].includes(operation), "usage", "the operation must be open or close");
  const isDuration = Number.isInteger(duration) && duration >= 0 && duration <= 65535;
  check(isDuration, "usage", "the time to open for must be 1 to 65535 seconds, or 0 for the server's default");
  const isTime = Number.isInteger(time) && time >= 0 && time < 2 ** 32;
  check(isTime, "usage", "this machine's clock shows a time that a knock cannot carry; set it");
  check(!isZero(address) || key.client.source !== "same", "usage",
    "this key may not open for the address that the server sees; ask the administrator to allow it \"observed\"");
}

// `request`: operation ("open" or "close"), service (see findService), duration in seconds, time in seconds since 1970,
// nonce (4 bytes), address (4 or 16 bytes: the one to open for; all zero, the one that the server sees).
// Gives message, codeword, and ports by position.
export function makeKnock(key, request) {
  checkRequest(key, request);
  const message = seal(request, key.client.secret, key.door.id);
  const codeword = encode(message);
  const book = codebook(key.door.secret, key.door.id, epochOf(request.time), key.door.span);
  return { message, codeword, ports: Array.from(codeword, (byte, position) => book[position * 256 + byte]) };
}

// In random order. `random(bytes)` fills bytes.
export function shuffled(items, random) {
  const order = [...items];
  const words = random(new Uint32Array(order.length));
  for (let i = order.length - 1; i > 0; i--) {
    const j = words[i] % (i + 1); // uneven by 64 in 2^32
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
