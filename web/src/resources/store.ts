/** The stores of the resources: one for each resource and client, since a store lives as long as its client. */

import { createResourceStore, type Item, type MusterClient, type ResourceStore } from "muster-client";
import type { Descriptor, Fields } from "./descriptor.ts";

/** One record of any resource. */
export type AnyRecord = Item<Fields>;

const stores = new WeakMap<MusterClient, Map<string, ResourceStore<Fields>>>();

/** Follow the resources that the fields of a record refer to; returns the way to stop. */
export function watchReferences(client: MusterClient, { fields }: Descriptor): () => void {
  const resources = fields.flatMap((field) => (field.kind === "reference" ? field.resource : []));
  const stops = resources.map((resource) => storeOf(client, resource).watch());
  return () => {
    for (const stop of stops) stop();
  };
}

export function storeOf(client: MusterClient, name: string): ResourceStore<Fields> {
  const known = stores.get(client) ?? new Map<string, ResourceStore<Fields>>();
  stores.set(client, known);
  const store = known.get(name) ?? createResourceStore<Fields>(name, { client });
  known.set(name, store);
  return store;
}
