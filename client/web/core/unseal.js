// Sealed key files: see keys/key_encryption.hpp.
import { argon2id } from "@noble/hashes/argon2.js";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { bigEndian, utf8ToBytes } from "./bytes.js";
import { check } from "./wrong.js";

// What the secrets belong to.
function binding({ door, client }) {
  const generations = [door.generation, client.generation].map((number) => bytesToHex(bigEndian(number, 4))).join("");
  return utf8ToBytes("oneknock/1 locked-client-key" + bytesToHex(door.id) + generations + client.name);
}

// Takes the time and memory that the lock says. Nothing where the passphrase is not the right one.
export function secretsOf(key, passphrase) {
  const { operations, memory, salt, sealed } = key.lock;
  const sealing = argon2id(utf8ToBytes(passphrase), salt, { t: operations, m: memory, p: 1, dkLen: 32 });
  try {
    return xchacha20poly1305(sealing, new Uint8Array(24), binding(key)).decrypt(sealed);
  } catch {
    return undefined;
  }
}

export function withSecrets(key, secrets) {
  check(secrets, "data", "wrong passphrase, or the key was altered");
  const [door, client] = [secrets.slice(0, 32), secrets.slice(32)];
  return { ...key, door: { ...key.door, secret: door }, client: { ...key.client, secret: client }, lock: undefined };
}

export function unseal(key, passphrase) {
  return key.lock ? withSecrets(key, secretsOf(key, passphrase)) : key;
}
