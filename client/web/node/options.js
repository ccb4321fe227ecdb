// The command line.
import { check } from "../core/wrong.js";

export const usage = `usage: node main.js open    [options] DOOR SERVICE
       node main.js close   [options] DOOR SERVICE
       node main.js connect [options] DOOR [SERVICE]
       node main.js list

  --for TIME               how long to open, as in 60s or 5m; default: the server's
  --source ADDR|observed   the address to open for; default: the one this machine sends from
  -4, -6                   only the IPv4 or only the IPv6 addresses of the door

DOOR is the path of a key file, or the name of one in the folder that "list" shows. The commands and options are those
of oneknock(1). A passphrase is asked for on the terminal.`;

const units = { s: 1, m: 60, h: 3600 };

function readDuration(word) {
  const [, number, unit] = /^([0-9]{1,5})([smh])$/.exec(word) ?? [];
  check(unit, "usage", `--for ${word}: must be a time such as 60s or 5m`);
  return number * units[unit];
}

function take(words, options) {
  const word = words.shift();
  if (word === "-4" || word === "-6") options.family = Number(word[1]);
  else if (word === "--for") options.duration = readDuration(words.shift() ?? "");
  else if (word === "--source") options.source = words.shift() ?? "";
  else if (word.startsWith("-")) check(false, "usage", `unknown option ${word}\n${usage}`);
  else options.words.push(word);
}

const counts = { open: [2, 2], close: [2, 2], connect: [1, 2], list: [0, 0] };

// {command, door, service, duration, source, family}
export function readOptions(argv) {
  const options = { words: [], duration: 0 };
  for (const words = [...argv]; words.length > 0; ) take(words, options);
  const [command, ...rest] = options.words;
  const [least, most] = counts[command] ?? [1, 0];
  check(rest.length >= least && rest.length <= most, "usage", usage);
  const [door, service = "ssh"] = rest;
  return { ...options, command, door, service };
}
