// The sealed key: in the page's data block, or behind the '#' of its address, out of which it is taken at once.
import { unpackKey } from "../core/compact_key.js";
import { readKeyFile } from "../core/key_file.js";
import { check } from "../core/wrong.js";

function fromFragment() {
  const [, encoded] = /^#key=(.*)$/.exec(location.hash) ?? [];
  if (encoded === undefined) return undefined;
  history.replaceState(null, "", location.pathname + location.search);
  return unpackKey(encoded);
}

// {file, key}: the JSON as it is, and the key of it.
export function readKey() {
  const text = fromFragment() ?? document.getElementById("key").textContent;
  check(text.trim() !== "null", "data", "This page has no key in it. Open it by a link that has one, " +
    "or make a page with: oneknock page DOOR -o FILE");
  const key = readKeyFile(text);
  check(key.lock, "data", "The key of this page is not sealed. Make a new page with: oneknock page DOOR -o FILE");
  return { file: JSON.parse(text), key };
}
