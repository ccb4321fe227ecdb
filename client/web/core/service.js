// Services as protocol and port.
const protocols = { tcp: 6, udp: 17 };

// Nothing where the text is not like "tcp/22".
export function parseService(text) {
  const [, protocol, digits] = /^(tcp|udp)\/([0-9]{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  return protocol && port >= 1 && port <= 65535 ? { protocol: protocols[protocol], port } : undefined;
}
