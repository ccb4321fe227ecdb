// Key files, sealed or not: the forms that `oneknock-keygen add` and `oneknock passphrase` write.
import { fromHex, secretFromBase64 } from "./bytes.js";
import { isNetwork } from "./address.js";
import { parseService } from "./service.js";
import { portsOfSpan } from "./span.js";
import { check } from "./wrong.js";

const kinds = ["client-key", "locked-client-key"];
const name = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
const host = /^[A-Za-z0-9._:%][A-Za-z0-9._:%-]{0,252}$/;

function checkFields(object, where, required, optional = []) {
  check(object !== null && typeof object === "object" && !Array.isArray(object), "data", `${where} must be an object`);
  for (const field of required) check(field in object, "data", `${where}: "${field}" is missing`);
  for (const field of Object.keys(object))
    check(required.includes(field) || optional.includes(field) || field.startsWith("x-"), "data",
      `${where}: nobody knows the field "${field}"; if the file is from a newer version, update this program`);
}

function field(value, good, what) {
  check(good, "data", `the key file's ${what} is wrong`);
  return value;
}

const isGeneration = (number) => Number.isInteger(number) && number >= 1 && number <= 0xffffffff;
const isInteger = (number, low, high) => Number.isInteger(number) && number >= low && number <= high;

function secretOf(object, isLocked, what) {
  if (isLocked) return undefined;
  const secret = secretFromBase64(object.secret);
  return field(secret, secret, `${what} secret`);
}

function readDoor(door, isLocked) {
  checkFields(door, "door", ["name", "address", "id", "span", "generation", ...(isLocked ? [] : ["secret"])]);
  field(0, name.test(door.name), "door name");
  field(0, host.test(door.address), "door address");
  field(0, isGeneration(door.generation), "door generation");
  const id = fromHex(door.id, 16);
  field(0, id, "door id");
  field(0, typeof door.span === "string", "span");
  const { name: called, address, generation, span } = door;
  return { name: called, address, generation, id, span: portsOfSpan(span), secret: secretOf(door, isLocked, "door") };
}

function readClient(client, isLocked) {
  checkFields(client, "client", ["name", "generation", ...(isLocked ? [] : ["secret"])], ["source", "max_duration"]);
  const { name: called, generation, source = "same", max_duration: longest = "60s" } = client;
  field(0, name.test(called), "client name");
  field(0, isGeneration(generation), "client generation");
  const isPolicy = ["same", "observed", "any"].includes(source) || (typeof source === "string" && isNetwork(source));
  field(0, isPolicy, "source policy");
  field(0, /^[0-9]+[smhd]$/.test(longest), "max_duration");
  return { name: called, generation, source, longest, secret: secretOf(client, isLocked, "client") };
}

function readServices(services) {
  checkFields(services, "services", [], Object.keys(services ?? {}));
  const found = Object.entries(services).map(([called, text]) => {
    const service = typeof text === "string" && parseService(text);
    field(0, name.test(called) && service, `service "${called}"`);
    return [called, { ...service, text }];
  });
  field(0, found.length > 0, "list of services");
  return new Map(found);
}

// Seconds since 1970, or nothing for null.
function readTime(text, what) {
  if (text === null || text === undefined) return undefined;
  const milliseconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? Date.parse(text) : NaN;
  return field(milliseconds / 1000, !Number.isNaN(milliseconds), what);
}

function readLock(lock) {
  checkFields(lock, "lock", ["algorithm", "operations", "memory_kib", "salt", "sealed"]);
  field(0, lock.algorithm === "argon2id-xchacha20poly1305", "lock algorithm");
  field(0, isInteger(lock.operations, 1, 64) && isInteger(lock.memory_kib, 8, 4 * 1024 * 1024), "lock");
  const [salt, sealed] = [fromHex(lock.salt, 16), fromHex(lock.sealed, 80)];
  field(0, salt && sealed, "lock");
  return { operations: lock.operations, memory: lock.memory_kib, salt, sealed };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return check(false, "data", "the key file is not JSON (comments in it are not understood here)");
  }
}

// The key of a file's text. With a `lock`, both secrets are missing: see unseal.js.
export function readKeyFile(text) {
  const file = parse(text);
  check(kinds.includes(file?.oneknock), "data", "this is not a client's key file");
  check(file.version === 1, "data", "the key file is of another version; update this program");
  const isLocked = file.oneknock === kinds[1];
  checkFields(file, "the key file", ["oneknock", "version", "door", "client", "services", "created",
    ...(isLocked ? ["lock"] : [])], ["expires"]);
  const expires = readTime(file.expires, "end");
  field(0, readTime(file.created, "time of creation") !== undefined, "time of creation");
  return {
    door: readDoor(file.door, isLocked), client: readClient(file.client, isLocked), services: readServices(file.services),
    expires, lock: isLocked ? readLock(file.lock) : undefined, text,
  };
}

export function checkEnd(key, time) {
  if (key.expires !== undefined && key.expires <= time)
    check(false, "data", `this key expired at ${new Date(key.expires * 1000).toISOString()}; ask for a new one`);
}
