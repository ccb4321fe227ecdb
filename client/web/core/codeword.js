// The Reed-Solomon code (docs/protocol.md, "Codeword"), encoding alone.
const length = 64;
const power = [1];
while (power.length < 255) power.push((power.at(-1) << 1) ^ (power.at(-1) > 127 ? 0x11d : 0));
const log = new Map(power.map((value, exponent) => [value, exponent]));

function times(a, b) {
  return a && b ? power[(log.get(a) + log.get(b)) % 255] : 0;
}

// The product of (x - root) for that many roots from 2^0 on, highest power first.
function generator(roots) {
  let polynomial = [1];
  for (const root of power.slice(0, roots))
    polynomial = [...polynomial, 0].map((value, at) => value ^ (at > 0 ? times(polynomial[at - 1], root) : 0));
  return polynomial;
}

// 64 bytes, of which the message is the first.
export function encode(message) {
  const factors = generator(length - message.length);
  const word = new Uint8Array(length);
  word.set(message);
  for (let at = 0; at < message.length; at++) {
    const lead = word[at];
    factors.forEach((factor, i) => (word[at + i] ^= times(lead, factor)));
  }
  word.set(message);
  return word;
}
