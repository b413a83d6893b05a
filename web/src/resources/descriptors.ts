/** The way to a descriptor by a name that only the declarations vouch for, such as that of what a field refers to. */

import type { Descriptor } from "./descriptor.ts";
import { RESOURCES } from "./generated.ts";

export type ResourceName = keyof typeof RESOURCES;

export const RESOURCE_NAMES = Object.keys(RESOURCES) as readonly ResourceName[];

export function isResource(name: string): name is ResourceName {
  return Object.hasOwn(RESOURCES, name);
}

/** Throws for a name that no declaration has. */
export function descriptorOf(name: string): Descriptor {
  if (!isResource(name)) throw new Error(`there is no resource ${name}`);
  return RESOURCES[name];
}
