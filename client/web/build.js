// Makes page.html out of page/: `npm ci && npm run page`. The same sources and lock file make the same bytes.
// `node build.js --check` compares instead, and exits with 1 where they differ.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const read = (name) => readFileSync(here(name), "utf8");
const hash = (text) => createHash("sha256").update(text).digest("base64");

// A classic script, without line feeds at its ends.
async function bundle(name, define) {
  const made = await build({
    entryPoints: [here(name)], absWorkingDir: here("."), bundle: true, write: false, format: "iife", target: "es2022",
    minify: true, charset: "ascii", legalComments: "inline", define,
  });
  return made.outputFiles[0].text.trim();
}

async function page() {
  const worker = await bundle("page/worker.js", {});
  const script = await bundle("page/main.js", { WORKER_SOURCE: JSON.stringify(worker) });
  if (/<\/script|<!--/i.test(script)) throw new Error("the script would end the element that it stands in");
  const style = read("page/style.css").trim();
  const parts = { SCRIPT: script, STYLE: style, SCRIPT_HASH: hash(script), STYLE_HASH: hash(style) };
  return read("page/template.html").replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);
}

const made = await page();
if (!process.argv.includes("--check")) {
  writeFileSync(here("page.html"), made);
} else if (read("page.html") !== made) {
  console.error("page.html is not what its sources make: npm ci && npm run page");
  process.exit(1);
}
