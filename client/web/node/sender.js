// One message, sent from one socket (docs/protocol.md, "Sending").
import { createSocket } from "node:dgram";
import { randomFillSync } from "node:crypto";
import { makeKnock, shuffled } from "../core/knock.js";

export const pause = () => 250 + Math.random() * 500; // milliseconds between two passes
export const messageLife = 5000; // milliseconds for which one message may be sent again

export class Sender {
  // `request` without time and nonce.
  constructor(key, request, target) {
    const time = Math.floor(Date.now() / 1000);
    this.made = Date.now();
    this.target = target;
    this.ports = makeKnock(key, { ...request, time, nonce: randomFillSync(new Uint8Array(4)) }).ports;
    const numeric = (address, _options, done) => done(null, address, target.family);
    this.socket = createSocket({ type: `udp${target.family}`, lookup: numeric });
    this.socket.on("error", () => {}); // resets that come back say nothing
  }

  // Rejects with what the kernel says of the first packet that it refused.
  async pass() {
    const send = (port) => new Promise((done, refused) =>
      this.socket.send(new Uint8Array(0), port, this.target.address, (error) => (error ? refused(error) : done())));
    await Promise.all(shuffled(this.ports, randomFillSync).map(send));
  }

  isOver() {
    return Date.now() - this.made + 50 > messageLife;
  }

  close() {
    this.socket.close();
  }
}
