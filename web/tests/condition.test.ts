import type { ClientStatus, Welcome } from "muster-client";
import { expect, test } from "vitest";
import { HOME, welcome } from "../../clients/js/tests/support/fake-socket.ts";
import { condition, explanation } from "../src/condition.ts";
import { FakeFleet } from "./support/fleet.ts";

const view = (status: Partial<ClientStatus>) => {
  const start = new FakeFleet().store.getView();
  return { ...start, isLoaded: true, status: { ...start.status, ...status } };
};

const OPEN = { phase: "open", welcome: welcome() as Welcome } as const;
const WAITING = { phase: "waiting", retryAtMs: 0, isPaced: false } as const;
const REFUSAL = { op: "error", code: "forbidden", message: "not yours" } as const;

test.each<[string, Partial<ClientStatus>, boolean, string, string | null]>([
  ["all is well", { connection: OPEN, workspace: HOME, isLive: true }, true, "live", null],
  [
    "all is well although the browser believes in no network",
    { connection: OPEN, workspace: HOME, isLive: true },
    false,
    "live",
    null,
  ],
  [
    "something is being caught up",
    { connection: OPEN, workspace: HOME },
    true,
    "reconnecting",
    "Catching up.",
  ],
  ["the connection broke", { connection: WAITING }, true, "reconnecting", "The connection was lost."],
  ["there is no network", { connection: WAITING }, false, "offline", "This device has no network."],
  [
    "the server will not have us",
    { connection: { phase: "stopped", reason: "forbidden" } },
    true,
    "offline",
    "The server refused this connection. You may have lost access; reload the page to try again.",
  ],
  [
    "a topic is refused",
    { connection: OPEN, workspace: HOME, refusal: REFUSAL },
    true,
    "offline",
    "Muster does not show you this workspace: not yours",
  ],
  [
    "the person is in no workspace",
    { connection: OPEN, workspace: null },
    true,
    "offline",
    "You are not a member of any workspace yet.",
  ],
])("when %s, the page says so", (_, status, hasNetwork, expected, text) => {
  expect(condition(view(status).status, hasNetwork)).toBe(expected);
  expect(explanation(view(status), hasNetwork)).toBe(text);
});

test("a refusal for now is not one for good", () => {
  const refusal = { ...REFUSAL, code: "unavailable" };
  expect(condition(view({ connection: OPEN, workspace: HOME, refusal }).status, true)).toBe("reconnecting");
});
