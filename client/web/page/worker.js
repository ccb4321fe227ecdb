// Opens a sealed key, away from the page's own thread, which must stay alive meanwhile.
import { secretsOf } from "../core/unseal.js";

self.onmessage = ({ data: { key, passphrase } }) => self.postMessage(secretsOf(key, passphrase));
