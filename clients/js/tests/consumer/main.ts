/** A program that uses the published package, for the compiler to read with the declarations that it comes with. */

import { createResourceStore, MusterClient, type Update } from "muster-client";
import { useResource } from "muster-client/react";

interface Server {
  readonly name: string;
}

export const client = new MusterClient({ url: "wss://muster.example.org/ws", token: "t", WebSocket }).start();
export const store = createResourceStore<Server>("servers", { client, delivery: "each", tickMs: 1_000 });
export const stop = client.listen<Server>("servers", (update: Update<Server>, { items }) => {
  if (update.kind === "changes") for (const { data } of update.changes) data?.name.trim();
  items.get("s_1")?.data.name.trim();
});
export const names = (): readonly string[] => useResource(store).items.map(({ data }) => data.name);
