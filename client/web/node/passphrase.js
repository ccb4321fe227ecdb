// A passphrase from the terminal, unseen; from what stands in for it otherwise: one line.
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { check } from "../core/wrong.js";

export async function askPassphrase(question) {
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  process.stderr.write(`${question}: `);
  const lines = createInterface({ input: process.stdin, output, terminal: process.stdin.isTTY === true });
  const line = await new Promise((resolve) => {
    lines.once("line", resolve);
    lines.once("close", () => resolve(""));
  });
  lines.close();
  process.stderr.write("\n");
  check(line !== "", "no input", "no passphrase was given");
  return line;
}
