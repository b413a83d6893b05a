/**
 * All records of a topic at one position.
 *
 * A base never changes, and the next one is the last with some changes on top. The map of the records is made when
 * somebody looks at it, since changes come more often than anyone looks.
 */

import type { Change, Item, Position } from "./protocol.ts";

export interface Base<T> extends Position {
  readonly items: ReadonlyMap<string, Item<T>>;
}

/** What became of a record: null when it was deleted. The items are made once, so that all bases share them. */
type Edit<T> = readonly [id: string, item: Item<T> | null];

/** What leads from another base to one whose map is not made yet. */
interface Layer<T> {
  readonly below: Base<T>;
  readonly edits: readonly Edit<T>[];
  /** How many more edits may lie upon this before the map is made. */
  readonly room: number;
}

const layers = new WeakMap<Base<unknown>, Layer<unknown>>();

const layerOf = <T>(base: Base<T>) => layers.get(base) as Layer<T> | undefined;

/** The base at `version` that some changes lead to. */
export function changed<T>(below: Base<T>, version: number, changes: readonly Change<T>[]): Base<T> {
  let items: ReadonlyMap<string, Item<T>> | null = null;
  const base: Base<T> = {
    epoch: below.epoch,
    version,
    get items() {
      items ??= fold(base);
      layers.delete(base);
      return items;
    },
  };
  const room = (layerOf(below)?.room ?? below.items.size) - changes.length;
  layers.set(base, { below, edits: changes.map(editOf), room });
  // With as many edits as there were records a copy costs no more than they did, and what they hold is let go.
  if (room < 0) void base.items;
  return base;
}

function editOf<T>({ id, version, action, data }: Change<T>): Edit<T> {
  return [id, action === "deleted" ? null : { id, version, data }];
}

function fold<T>(base: Base<T>): ReadonlyMap<string, Item<T>> {
  const above: (readonly Edit<T>[])[] = [];
  let bottom = base;
  for (let layer = layerOf(bottom); layer !== undefined; layer = layerOf(bottom)) {
    above.push(layer.edits);
    bottom = layer.below;
  }
  const items = new Map(bottom.items);
  for (const [id, item] of above.reverse().flat()) {
    if (item === null) items.delete(id);
    else items.set(id, item);
  }
  return items;
}
