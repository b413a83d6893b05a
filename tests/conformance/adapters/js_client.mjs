/** The adapter of the JavaScript client: see `tests/conformance/clients.py`. Its first argument is the client's source. */

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [source, url, name, delivery] = process.argv.slice(2);
const { MusterClient } = await import(pathToFileURL(source).href);

let tokens = 0;
const token = async () => {
  tokens += 1;
  return `token-${tokens}`;
};

const client = new MusterClient({ url, token });
client.watch(name, { delivery });
client.start();

/** Whether the client has given up the connection, or was refused the topic for good. */
function isOver() {
  const refusal = client.refusalOf(name);
  const isPassing = refusal?.code === "too_many" || refusal?.code === "unavailable";
  return client.status.connection.phase === "stopped" || (refusal !== null && !isPassing);
}

for await (const _ of createInterface({ input: process.stdin })) {
  const { base } = client.topic(name);
  const items = Object.fromEntries(
    [...(base?.items ?? [])].map(([id, { version, data }]) => [id, { version, data }]),
  );
  const state = { items, epoch: base?.epoch ?? null, version: base?.version ?? 0, is_over: isOver() };
  process.stdout.write(`${JSON.stringify(state)}\n`);
}
client.stop();
