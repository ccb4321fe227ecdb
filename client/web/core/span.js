// The span of ports (docs/protocol.md, "Codebook" 1 and 2).
import { check } from "./wrong.js";

const smallest = 16384;

function readRange(text) {
  const [, hole, low, high] = /^(!?)([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(text) ?? [];
  const range = { hole: hole === "!", low: Number(low), high: Number(high ?? low) };
  const right = range.low >= 1 && range.low <= range.high && range.high <= 65535;
  check(right, "data", `"${text}" is not a range of ports; write ports in 1..65535 like "1024-65535,!8000-8999"`);
  return range;
}

// Ascending.
export function portsOfSpan(text) {
  const ranges = text.split(",").map(readRange);
  const isIn = new Uint8Array(65536);
  for (const hole of [false, true])
    for (const range of ranges) if (range.hole === hole) isIn.fill(hole ? 0 : 1, range.low, range.high + 1);
  const ports = Uint16Array.from([...isIn.keys()].filter((port) => isIn[port]));
  check(ports.length >= smallest, "data", `the span "${text}" has ${ports.length} ports; a knock needs ${smallest}`);
  return ports;
}
