/** What programs build on: a client that follows topics of a Muster server. */

export { type ClientOptions, type ClientStatus, SyncClient } from "./client.ts";
export type { ConnectionState, Surroundings } from "./connection.ts";
export { ProtocolFault, RetryLater, SignedOut } from "./errors.ts";
export type { TokenSource } from "./link.ts";
export type * from "./protocol.ts";
