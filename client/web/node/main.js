#!/usr/bin/env node
// The client for machines that have Node and no oneknock: see README.md.
import { findService } from "../core/knock.js";
import { checkEnd } from "../core/key_file.js";
import { unseal } from "../core/unseal.js";
import { check, Wrong } from "../core/wrong.js";
import { addressFor, resolve } from "./address.js";
import { connect } from "./connect.js";
import { readOptions } from "./options.js";
import { askPassphrase } from "./passphrase.js";
import { Sender } from "./sender.js";
import { doors, folder, openDoor } from "./store.js";

const exitCodes = { usage: 64, data: 65, "no input": 66, unavailable: 69, "try later": 75, permission: 77 };

async function unsealed(key) {
  checkEnd(key, Date.now() / 1000);
  return key.lock ? unseal(key, await askPassphrase(`passphrase of ${key.door.name}`)) : key;
}

// [{target, request}]; addresses without a route are left out.
async function requests(key, options) {
  const service = findService(key, options.service);
  const operation = options.command === "close" ? "close" : "open";
  const found = [];
  for (const target of await resolve(key.door.address, options.family)) {
    if (options.source !== undefined && options.source.includes(":") !== (target.family === 6) && options.source !== "observed")
      continue;
    const address = await addressFor(target, options.source);
    if (address) found.push({ target, request: { operation, service, duration: options.duration, address } });
  }
  check(found.length > 0, "unavailable", `there is no route to ${key.door.address}, or it has no address of that family`);
  return found;
}

async function knock(options) {
  const key = await unsealed(openDoor(options.door));
  const targets = await requests(key, options);
  if (options.command === "connect") return connect(key, targets);
  for (const { target, request } of targets) {
    const sender = new Sender(key, request, target);
    await sender.pass().catch((error) => check(false, "unavailable", `cannot send to ${target.address}: ${error.message}`));
    sender.close();
    console.log(`sent: ${options.command} ${options.service} at ${target.address}; nothing is confirmed`);
  }
}

function list() {
  for (const { name, key, error } of doors()) {
    if (error) console.error(error.message);
    else console.log(`${name}: ${key.door.name} at ${key.door.address}, services ${[...key.services.keys()].join(", ")}`);
  }
  if (doors().length === 0) console.error(`no key files in ${folder()}`);
}

try {
  const options = readOptions(process.argv.slice(2));
  await (options.command === "list" ? list() : knock(options));
  process.exit(0);
} catch (error) {
  if (!(error instanceof Wrong)) throw error;
  console.error(error.message);
  process.exit(exitCodes[error.kind]);
}
