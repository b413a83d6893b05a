/**
 * The errors of the sync client, named by what the caller must do.
 *
 * - `ProtocolFault`: the server said something that the protocol does not know; drop the connection.
 * - `SignedOut`: no token is to be had any more; a person must sign in again.
 * - `Refused`: the server does not give us what was asked for, and asking again does not help.
 * - `RetryLater`: a passing fault; try again, after `afterMs` where the server named a time.
 */

export class ProtocolFault extends Error {
  override readonly name = "ProtocolFault";
}

/** Thrown by a `TokenSource` when a person must sign in again. */
export class SignedOut extends Error {
  override readonly name = "SignedOut";
}

/** Thrown by a `TokenSource` when a token could not be had just now. */
export class RetryLater extends Error {
  override readonly name = "RetryLater";
  /** How long to wait, in milliseconds; null when nobody said. */
  readonly afterMs: number | null;

  constructor(message: string, afterMs: number | null = null) {
    super(message);
    this.afterMs = afterMs;
  }
}

/** Why a topic is not given to us, in the server's words. */
export class Refused extends Error {
  override readonly name = "Refused";
  /** `forbidden`, `unknown_topic`, `bad_request` or `unauthenticated`. */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}
