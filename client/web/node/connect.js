// Open, wait until the port accepts a connection, and relay standard input and output over it: ssh's ProxyCommand.
import { connect as tcp } from "node:net";
import { Wrong } from "../core/wrong.js";
import { pause, Sender } from "./sender.js";

const patience = 10_000; // milliseconds
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// Nothing where it is refused, or not accepted before the next pass.
function attempt({ address }, port, timeout) {
  return new Promise((done) => {
    const socket = tcp({ host: address, port, noDelay: true, allowHalfOpen: true });
    const end = (result) => {
      socket.removeAllListeners();
      socket.setTimeout(0);
      if (!result) socket.on("error", () => {}).destroy();
      done(result);
    };
    socket.setTimeout(timeout, () => end());
    socket.once("error", () => end());
    socket.once("connect", () => end(socket));
  });
}

async function attempts(target, port, until) {
  for (;;) {
    const connection = await attempt(target, port, Math.max(1, until - Date.now()));
    if (connection || Date.now() >= until) return connection;
    await sleep(Math.min(50, Math.max(0, until - Date.now())));
  }
}

// A connection to one address of the door. Repeats as oneknock --wait does.
async function knockUntilOpen(key, request, target) {
  const end = Date.now() + patience;
  let sender;
  try {
    while (Date.now() < end) {
      if (!sender || sender.isOver()) {
        sender?.close();
        sender = new Sender(key, request, target);
      }
      await sender.pass().catch(() => {});
      const connection = await attempts(target, request.service.port, Math.min(end, Date.now() + pause()));
      if (connection) return connection;
    }
  } finally {
    sender?.close();
  }
  throw new Wrong("try later", `${target.address} did not open within ${patience / 1000} s; the clock, the key, or a ` +
    "firewall on the way may be the reason: see oneknock(1)");
}

function relay(connection) {
  return new Promise((done) => {
    process.stdin.on("error", () => {}).pipe(connection);
    connection.pipe(process.stdout);
    for (const stream of [connection, process.stdout]) stream.once("error", () => connection.destroy());
    connection.once("end", () => connection.end());
    connection.once("close", () => process.stdout.write("", done));
  });
}

// `targets`: [{target, request}]; the first that opens is used.
export async function connect(key, targets) {
  const connection = await Promise.any(targets.map(({ target, request }) => knockUntilOpen(key, request, target)))
    .catch((error) => Promise.reject(error.errors[0]));
  await relay(connection);
}
