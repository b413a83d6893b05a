/** What to tell a person about something that failed. */

import { RetryLater, SignedOut } from "muster-client";
import { Problem, Unreachable } from "../http.ts";

export function messageOf(failure: unknown): string {
  const kinds = [Problem, Unreachable, RetryLater, SignedOut];
  if (failure instanceof Error && kinds.some((kind) => failure instanceof kind)) return failure.message;
  console.error("muster:", failure);
  return "Something went wrong in this page. Reload it, then try again.";
}
