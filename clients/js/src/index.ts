/** What programs build on: a client that follows topics of a Muster server, and stores on top of it. */

export type { Base } from "./base.ts";
export { type ClientOptions, type ClientStatus, MusterClient } from "./client.ts";
export type { ConnectionState } from "./connection.ts";
export { ProtocolFault, Refused, RetryLater, SignedOut } from "./errors.ts";
export type { TokenSource } from "./link.ts";
export type { PageSign } from "./page.ts";
export type { KeyValueStorage } from "./persistence.ts";
export type * from "./protocol.ts";
export {
  createResourceStore,
  type PersistOptions,
  type ResourceState,
  ResourceStore,
  type StoreOptions,
} from "./store.ts";
export type { WatchOptions } from "./subscription.ts";
export type { Socket, SocketConstructor, Surroundings } from "./surroundings.ts";
export type { TopicState } from "./topic.ts";
export type { Update } from "./update.ts";
