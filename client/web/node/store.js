// Key files on disk, where oneknock(1) has them.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { readKeyFile } from "../core/key_file.js";
import { check, Wrong } from "../core/wrong.js";

export function folder() {
  if (process.platform === "win32") return join(process.env.APPDATA ?? homedir(), "oneknock");
  const configured = process.env.XDG_CONFIG_HOME ?? "";
  return join(configured.startsWith("/") ? configured : join(homedir(), ".config"), "oneknock");
}

function pathOf(door) {
  return /[/\\]/.test(door) || door.endsWith(".json") ? door : join(folder(), `${door}.json`);
}

// On Windows it is the folder that keeps others out.
function checkPrivate(path) {
  const isOpen = process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0;
  check(!isOpen, "permission", `${path}: others may read it; run: chmod 600 ${path}`);
}

export function openDoor(door) {
  const path = pathOf(door);
  let text;
  try {
    checkPrivate(path);
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Wrong) throw error;
    throw new Wrong("no input", `cannot read ${path}: ${error.message}`);
  }
  try {
    return readKeyFile(text);
  } catch (error) {
    throw error instanceof Wrong ? new Wrong(error.kind, `${path}: ${error.message}`) : error;
  }
}

function names() {
  try {
    return readdirSync(folder()).filter((file) => file.endsWith(".json")).sort();
  } catch {
    return [];
  }
}

// [{name, key}] or, where a file is wrong, [{name, error}]
export function doors() {
  return names().map((file) => {
    const name = file.slice(0, -".json".length);
    try {
      return { name, key: openDoor(name) };
    } catch (error) {
      return { name, error };
    }
  });
}
