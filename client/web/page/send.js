// A knock from a browser: whatever comes back, a fetch sends a SYN first (docs/protocol.md, "A source port that is not
// held").
import { parseAddress, unspecified } from "../core/address.js";
import { makeKnock, shuffled } from "../core/knock.js";

const patience = 2000; // milliseconds; a pass takes less, and an answer says nothing
const random = (array) => crypto.getRandomValues(array);
const bracketed = (address) => (address.includes(":") ? `[${address}]` : address);

// A page that came by https may not fetch by http; the SYN is the same.
const scheme = () => (location.protocol === "https:" ? "https" : "http");

async function pass(address, ports) {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(), patience);
  const options = { mode: "no-cors", cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer",
    signal: ending.signal };
  const touch = (port) => fetch(`${scheme()}://${bracketed(address)}:${port}/`, options).catch(() => {});
  await Promise.all(shuffled(ports, random).map(touch));
  clearTimeout(timer);
}

// The numeric addresses that the page has; a name would leave the choice of the family to the browser.
export function addressesOf(file, key) {
  const listed = Array.isArray(file["x-addresses"]) ? file["x-addresses"] : [key.door.address];
  return listed.filter((address) => typeof address === "string" && parseAddress(address));
}

// One message for each address, one after the other.
export async function send(key, addresses, request) {
  for (const address of addresses) {
    const family = address.includes(":") ? 6 : 4;
    const time = Math.floor(Date.now() / 1000);
    const whole = { ...request, time, nonce: random(new Uint8Array(4)), address: unspecified(family) };
    await pass(address, makeKnock(key, whole).ports);
  }
}

// Where a browser can look: the address of a web service.
export function webAddress(key, service) {
  if (service.protocol !== 6) return undefined;
  const host = bracketed(key.door.address);
  return { 443: `https://${host}/`, 80: `http://${host}/` }[service.port];
}

// True once it has answered; with https, under a certificate that this browser accepts.
export async function answers(address, milliseconds) {
  const end = Date.now() + milliseconds;
  while (Date.now() < end) {
    const options = { mode: "no-cors", cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(2000) };
    const answered = await fetch(address, options).then(() => true, () => false);
    if (answered) return true;
    await new Promise((done) => setTimeout(done, 400));
  }
  return false;
}
