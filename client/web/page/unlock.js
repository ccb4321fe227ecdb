// The sealed key's secrets, by a worker. WORKER_SOURCE is what build.js makes of worker.js.
import { withSecrets } from "../core/unseal.js";
import { Wrong } from "../core/wrong.js";

// The passphrases of pages are words of small letters, whatever a phone's keyboard makes of them.
export function normalised(passphrase) {
  return passphrase.toLowerCase().split(/[^a-z]+/).filter(Boolean).join(" ");
}

export function unlock(key, passphrase) {
  const address = URL.createObjectURL(new Blob([WORKER_SOURCE], { type: "text/javascript" }));
  const worker = new Worker(address);
  return new Promise((done, failed) => {
    worker.onmessage = ({ data }) => done(data);
    worker.onerror = () => failed(new Wrong("memory", "This device has too little memory to open the key, or forbids it."));
    const { door, client, lock } = key;
    worker.postMessage({ key: { door, client, lock }, passphrase: normalised(passphrase) });
  }).then((secrets) => withSecrets(key, secrets)).finally(() => {
    worker.terminate();
    URL.revokeObjectURL(address);
  });
}
