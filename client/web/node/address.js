// The door's addresses, and the one that a knock opens for.
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { parseAddress, readAddress, unspecified } from "../core/address.js";
import { check, Wrong } from "../core/wrong.js";

// [{address, family}], at most 8.
export async function resolve(name, family = 0) {
  try {
    return (await lookup(name, { all: true, family })).slice(0, 8);
  } catch (error) {
    throw new Wrong("unavailable", `cannot resolve the door's address ${name}: ${error.message}`);
  }
}

// The address this machine sends from; nothing without a route.
function ownAddress({ address, family }) {
  return new Promise((done) => {
    const socket = createSocket(`udp${family}`);
    const end = (found) => {
      socket.close();
      done(found);
    };
    socket.once("error", () => end(undefined));
    socket.connect(9, address, () => end(socket.address().address.split("%")[0]));
  });
}

function isPrivate(text) {
  const [first, second] = parseAddress(text.split("%")[0]);
  if (text.includes(":")) return (first & 0xfe) === 0xfc || (first === 0xfe && (second & 0xc0) === 0x80);
  const inRange = (a, low, high) => first === a && second >= low && second <= high;
  return first === 10 || inRange(172, 16, 31) || inRange(192, 168, 168) || inRange(100, 64, 127) || inRange(169, 254, 254);
}

// As bytes; nothing without a route.
export async function addressFor(target, source) {
  const own = await ownAddress(target);
  if (!own) return undefined;
  if (source === "observed") return unspecified(target.family);
  if (source !== undefined) return readAddress(source);
  check(!isPrivate(own) || isPrivate(target.address), "usage",
    `${own} is a private address and ${target.address} is public: the server will see your NAT's public address. Use ` +
    "--source observed, if the key allows it, or --source YOUR.PUBLIC.ADDRESS");
  return readAddress(own);
}
