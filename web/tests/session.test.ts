import { RetryLater, SignedOut } from "muster-client";
import { beforeEach, expect, test, vi } from "vitest";
import { FakeStorage } from "../../clients/js/tests/support/fake-storage.ts";
import { type Exclusive, Session } from "../src/session.ts";
import { FakeApi, problem, tokens } from "./support/fake-api.ts";

const LOGIN = "/api/v1/auth/login";
const REFRESH = "/api/v1/auth/refresh";
const LOGOUT = "/api/v1/auth/logout";

let api: FakeApi;
let storage: FakeStorage;
let exclusively: Exclusive;

beforeEach(() => {
  vi.spyOn(console, "error").mockReturnValue();
  api = new FakeApi();
  vi.stubGlobal("fetch", api.fetch);
  storage = new FakeStorage();
  let last: Promise<unknown> = Promise.resolve();
  exclusively = (task) => {
    const mine = last.then(task, task);
    last = mine;
    return mine;
  };
});

/** The session of one tab; all tabs share the storage and the lock. */
const openTab = () => new Session(storage, exclusively);

async function signedIn(expiresInS = 900): Promise<Session> {
  const session = openTab();
  api.on(LOGIN, () => tokens("1", expiresInS));
  await session.signIn("ada@example.org", "secret");
  api.calls.length = 0;
  return session;
}

/** An api that spends each refresh token once, as the real one does, and ends the session on the second use. */
function refreshOnce(): void {
  const spent = new Set<unknown>();
  api.on(REFRESH, async ({ body }) => {
    const { refresh_token } = body as { refresh_token: string };
    if (spent.has(refresh_token)) return problem(401, { detail: "spent" });
    spent.add(refresh_token);
    await Promise.resolve();
    return tokens(String(spent.size + 1));
  });
}

test("signing in gives a token, and survives a reload", async () => {
  const session = await signedIn();
  expect(await session.token(null)).toBe("access 1");
  expect(openTab().getState()).toEqual({ kind: "signed-in" });
});

test("a wrong password is told in the words of the server, and nobody is signed in", async () => {
  const session = openTab();
  api.on(LOGIN, () => problem(401, { detail: "the e-mail address or the password is wrong" }));
  await expect(session.signIn("ada@example.org", "x")).rejects.toThrow(
    "The e-mail address or the password is wrong.",
  );
  expect(session.getState()).toEqual({ kind: "signed-out", notice: null });
});

test("an answer that is none signs nobody in", async () => {
  const session = openTab();
  api.on(LOGIN, () => Response.json({ access_token: 1 }));
  await expect(session.signIn("ada@example.org", "x")).rejects.toThrow("could not be understood");
  expect(storage.length).toBe(0);
});

test("a token that is about to expire is refreshed first", async () => {
  const session = await signedIn(29);
  refreshOnce();
  expect(await session.token(null)).toBe("access 2");
});

test("a token that was refused is not given again", async () => {
  const session = await signedIn();
  refreshOnce();
  expect(await session.token("access 1")).toBe("access 2");
});

test("many who need a token at once cause one refresh", async () => {
  const session = await signedIn();
  refreshOnce();
  const given = await Promise.all(Array.from({ length: 5 }, () => session.token("access 1")));
  expect(new Set(given)).toEqual(new Set(["access 2"]));
  expect(api.calls.map(({ path }) => path)).toEqual([REFRESH]);
});

test("many who need a token at once cause one refresh without locks, too", async () => {
  exclusively = (task) => task();
  const session = await signedIn();
  refreshOnce();
  await Promise.all(Array.from({ length: 5 }, () => session.token("access 1")));
  expect(api.calls).toHaveLength(1);
});

test("several tabs that need a token at once cause one refresh", async () => {
  await signedIn();
  refreshOnce();
  const tabs = [openTab(), openTab(), openTab()];
  const given = await Promise.all(tabs.map((tab) => tab.token("access 1")));
  expect(given).toEqual(["access 2", "access 2", "access 2"]);
  expect(api.calls).toHaveLength(1);
});

test("without locks, a tab that was slower than another with the same refresh token stays signed in", async () => {
  exclusively = (task) => task();
  const session = await signedIn();
  refreshOnce();
  const [first, second] = await Promise.allSettled([session.token("access 1"), openTab().token("access 1")]);
  expect(first).toEqual({ status: "fulfilled", value: "access 2" });
  expect(second).toMatchObject({ status: "rejected", reason: expect.any(RetryLater) });
  expect(await openTab().token("access 1")).toBe("access 2");
});

test("a refresh token that is not taken any more ends the session, and says so", async () => {
  const session = await signedIn();
  api.on(REFRESH, () => problem(401, { detail: "revoked" }));
  await expect(session.token("access 1")).rejects.toThrow(SignedOut);
  expect(session.getState()).toEqual({
    kind: "signed-out",
    notice: "Your session has ended. Please sign in again.",
  });
  expect(storage.length).toBe(0);
});

test.each([
  ["a server in trouble", () => problem(503, {}, { "Retry-After": "4" }), 4_000],
  ["a server that is busy", () => problem(429, {}), null],
])("%s does not end the session", async (_, answer, afterMs) => {
  const session = await signedIn();
  api.on(REFRESH, answer);
  await expect(session.token("access 1")).rejects.toMatchObject({ name: "RetryLater", afterMs });
  expect(session.getState()).toEqual({ kind: "signed-in" });
  refreshOnce();
  expect(await session.token("access 1")).toBe("access 2");
});

test("no network does not end the session", async () => {
  const session = await signedIn();
  await expect(session.token("access 1")).rejects.toThrow(RetryLater);
  expect(session.getState()).toEqual({ kind: "signed-in" });
});

test("signing out forgets the tokens at once and has the server revoke them", async () => {
  const session = await signedIn();
  api.on(LOGOUT, () => new Response(null, { status: 204 }));
  const done = session.signOut();
  expect(session.getState()).toEqual({ kind: "signed-out", notice: null });
  expect(storage.length).toBe(0);
  await done;
  expect(api.calls).toMatchObject([{ path: LOGOUT, headers: { authorization: "Bearer access 1" } }]);
});

test("signing out with a token that has expired revokes the session all the same", async () => {
  const session = await signedIn(0);
  refreshOnce();
  api.on(LOGOUT, () => new Response(null, { status: 204 }));
  await session.signOut();
  expect(api.calls.at(-1)).toMatchObject({ path: LOGOUT, headers: { authorization: "Bearer access 2" } });
  expect(storage.length).toBe(0);
});

test("a sign-out that the server does not hear of is told", async () => {
  const session = await signedIn();
  await session.signOut();
  expect(session.getState()).toEqual({
    kind: "signed-out",
    notice: "You are signed out in this browser, but the server could not be told.",
  });
});

test("a refresh under way while the person signs out does not sign them in again", async () => {
  const session = await signedIn();
  const answer = Promise.withResolvers<Response>();
  api.on(REFRESH, () => answer.promise);
  api.on(LOGOUT, () => new Response(null, { status: 204 }));
  const refresh = session.token("access 1");
  await vi.waitFor(() => expect(api.calls).toHaveLength(1));
  await session.signOut();
  answer.resolve(tokens("2"));
  await expect(refresh).rejects.toThrow(SignedOut);
  expect(storage.length).toBe(0);
  expect(session.getState()).toEqual({ kind: "signed-out", notice: null });
});

test("what another tab does is followed", async () => {
  const here = openTab();
  const listener = vi.fn();
  here.subscribe(listener);
  const there = await signedIn();
  here.reread();
  expect(here.getState()).toEqual({ kind: "signed-in" });
  api.on(LOGOUT, () => new Response(null, { status: 204 }));
  await there.signOut();
  here.reread();
  here.reread();
  expect(here.getState()).toEqual({ kind: "signed-out", notice: null });
  expect(listener).toHaveBeenCalledTimes(2);
});

test("a request is made as the person, in the workspace", async () => {
  const session = await signedIn();
  api.on("/api/v1/enrolment-tokens", () => Response.json({ token: "t" }, { status: 201 }));
  expect(
    await session.request({ method: "POST", path: "/api/v1/enrolment-tokens", body: { uses: 1 } }, "w_1"),
  ).toEqual({ token: "t" });
  expect(api.calls).toMatchObject([{ headers: { authorization: "Bearer access 1", "x-workspace": "w_1" } }]);
});
