/** What components need of a client: its status, its updates, and its stores. */

import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useRef,
  useSyncExternalStore,
} from "react";
import type { Base } from "./base.ts";
import type { ClientStatus, MusterClient } from "./client.ts";
import type { ResourceState, ResourceStore } from "./store.ts";
import type { Update } from "./update.ts";

const Context = createContext<MusterClient | null>(null);

/** Gives a client to all components below. Whoever made the client starts and stops it. */
export function MusterProvider(props: {
  readonly client: MusterClient;
  readonly children?: ReactNode;
}): ReactElement {
  return createElement(Context.Provider, { value: props.client }, props.children);
}

/** The client of the nearest MusterProvider. Throws where there is none. */
export function useMusterClient(): MusterClient {
  const client = useContext(Context);
  if (client === null) throw new Error("there is no MusterProvider above this component");
  return client;
}

/** How the connection is, and whether all that is watched is live. */
export function useSyncConnection(): ClientStatus {
  const client = useMusterClient();
  const subscribe = useCallback((listener: () => void) => client.subscribe(listener), [client]);
  const getStatus = () => client.status;
  return useSyncExternalStore(subscribe, getStatus, getStatus);
}

/** Watch a topic while the component is there, and hear each of its updates once; see `MusterClient.listen`. */
export function useSyncListener<T>(
  topic: string,
  listener: (update: Update<T>, base: Base<T>) => void,
): void {
  const client = useMusterClient();
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  }, [listener]);
  useEffect(() => client.listen<T>(topic, (update, base) => latest.current(update, base)), [client, topic]);
}

/** The state of a store, which is followed while the component is there. */
export function useResource<T>(store: ResourceStore<T>): ResourceState<T> {
  useEffect(() => store.watch(), [store]);
  return useSyncExternalStore(store.subscribe, store.getState, store.getState);
}
