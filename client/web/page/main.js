// The page: one knock at a time, and in words what is known of it.
import { checkEnd } from "../core/key_file.js";
import { Wrong } from "../core/wrong.js";
import { readKey } from "./key.js";
import { addressesOf, answers, send, webAddress } from "./send.js";
import { unlock } from "./unlock.js";

const element = (id) => document.getElementById(id);
const say = (text) => (element("status").textContent = text);
const times = [15, 30, 60, 120, 300, 900, 3600];
let file, sealed, opened, countdown;

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

const units = { s: 1, m: 60, h: 3600, d: 86400 };
const seconds = (text) => Number(text.slice(0, -1)) * units[text.at(-1)];
const inWords = (time) => (time < 120 ? `${time} seconds` : time < 7200 ? `${time / 60} minutes` : `${time / 3600} hours`);

function showKey() {
  element("door").textContent = sealed.door.name;
  document.title = `${sealed.door.name} – oneknock`;
  const most = seconds(sealed.client.longest);
  const choices = [...times.filter((time) => time < most), most];
  element("time").append(...choices.map((time) => option(time, inWords(time))));
  element("time").value = choices.findLast((time) => time <= 60) ?? choices[0];
  element("service").append(...[...sealed.services].map(([name, { text }]) => option(name, `${name} (${text})`)));
  // What a browser can go to itself comes first.
  const [visible] = [...sealed.services].find(([, service]) => webAddress(sealed, service)) ?? [...sealed.services][0];
  element("service").value = visible;
  const end = sealed.expires && new Date(sealed.expires * 1000);
  element("end").textContent = `${sealed.client.name} at ${sealed.door.address}. ` +
    (end ? `This key ends on ${end.toLocaleString()}; ask for a new page before then.` : "This key has no end.");
  element("form").hidden = false;
}

function lock() {
  opened = undefined;
  element("unlocked").hidden = true;
  element("locked").hidden = false;
  element("passphrase").value = "";
}

async function openKey() {
  if (opened) return;
  say("Opening the key. This takes some seconds.");
  opened = await unlock(sealed, element("passphrase").value);
  element("passphrase").value = "";
  element("locked").hidden = true;
  element("unlocked").hidden = false;
}

// What to do with a port that a browser cannot see.
function showCommand(service) {
  const isShell = service.protocol === 6 && (service.port === 22 || element("service").value.startsWith("ssh"));
  element("copying").hidden = !isShell;
  const port = service.port === 22 ? "" : `-p ${service.port} `;
  element("command").textContent = isShell ? `ssh ${port}${sealed.door.address}` : "";
}

function countDown(time, sentence) {
  const end = Date.now() + time * 1000;
  const tick = () => {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    element("left").textContent = left > 0 ? `${sentence} ${left} s.` : "The time is over. Sessions that are open stay.";
    if (left === 0) clearInterval(countdown);
  };
  clearInterval(countdown);
  countdown = setInterval(tick, 1000);
  tick();
}

// A knock that lost its packets, or met with junk, is made anew.
async function isSeen(web, again) {
  for (let left = 2; ; left--) {
    if (await answers(web, 4000)) return true;
    if (left === 0) return false;
    await again();
  }
}

async function showOpen(service, time, again) {
  const sent = Date.now();
  countDown(time, "If the server accepted it, new connections are let in for");
  showCommand(service);
  const web = webAddress(sealed, service);
  say("Sent. Nothing is confirmed: the server never answers a knock.");
  if (!web) return;
  say("Sent. Waiting for the service to answer.");
  if (!(await isSeen(web, again))) return say("Sent, but the service has not answered. See below what may be the reason.");
  countDown(time - (Date.now() - sent) / 1000, "New connections are let in for");
  element("go").href = web;
  element("going").hidden = false;
  element("go").focus();
  // Without a certificate it may be a hotel's sign-in page that answers.
  say(web.startsWith("https:") ? "Open: the service answers." : "Open, it seems: the address answers.");
}

async function knock(operation) {
  for (const id of ["going", "copying"]) element(id).hidden = true;
  checkEnd(sealed, Date.now() / 1000);
  await openKey();
  const service = sealed.services.get(element("service").value);
  const time = Number(element("time").value);
  say("Knocking.");
  const addresses = addressesOf(file, sealed);
  if (addresses.length === 0) throw new Wrong("data", "This page has no numeric address of the server. Make a new page.");
  const request = { operation, service, duration: operation === "open" ? time : 0 };
  const sendIt = () => send(opened, addresses, request);
  await sendIt();
  if (operation === "open") return showOpen(service, time, sendIt);
  clearInterval(countdown);
  element("left").textContent = "";
  say("Sent: close. Sessions that are open stay.");
}

async function act(event, operation) {
  event.preventDefault();
  const buttons = [...document.querySelectorAll("button")];
  for (const button of buttons) button.disabled = true;
  try {
    await knock(operation);
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    say(error.message === "wrong passphrase, or the key was altered" ? "The passphrase is wrong." : error.message);
    if (!opened) element("passphrase").focus();
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

function start() {
  // A link to a page that is open already loads nothing.
  window.onhashchange = () => location.hash.startsWith("#key=") && location.reload();
  ({ file, key: sealed } = readKey());
  showKey();
  element("form").onsubmit = (event) => act(event, "open");
  element("close").onclick = (event) => act(event, "close");
  element("lock").onclick = () => (lock(), say("The key is locked."));
  element("show").onchange = () => (element("passphrase").type = element("show").checked ? "text" : "password");
  element("copy").onclick = () => navigator.clipboard?.writeText(element("command").textContent)
    .then(() => say("Copied."), () => say("This browser does not let the page copy: mark the line by hand."));
  checkEnd(sealed, Date.now() / 1000);
}

try {
  start();
} catch (error) {
  if (!(error instanceof Wrong)) throw error;
  say(error.message);
}
