/** Where a person is: the path in the address bar says which page is shown. */

import { useSyncExternalStore } from "react";
import { isResource, type ResourceName } from "./resources/descriptors.ts";

export type Place =
  | { readonly kind: "fleet" }
  | { readonly kind: "resource"; readonly name: ResourceName }
  | { readonly kind: "nowhere" };

export function placeAt(path: string): Place {
  if (path === "/") return { kind: "fleet" };
  const name = /^\/r\/([a-z_]+)\/?$/.exec(path)?.[1] ?? "";
  return isResource(name) ? { kind: "resource", name } : { kind: "nowhere" };
}

export function pathOf(name: ResourceName): string {
  return `/r/${name}`;
}

/** The path in the address bar. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

/** Go to another page; the way back is in the history of the browser. */
export function go(path: string): void {
  history.pushState(null, "", path);
  // The browser tells of steps through its history, but not of new ones.
  window.dispatchEvent(new PopStateEvent("popstate"));
  window.scrollTo(0, 0);
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("popstate", listener);
  return () => window.removeEventListener("popstate", listener);
}
