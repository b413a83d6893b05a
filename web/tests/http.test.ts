import { beforeEach, expect, test, vi } from "vitest";
import { Problem, post, Unreachable } from "../src/http.ts";
import { FakeApi, problem } from "./support/fake-api.ts";

let api: FakeApi;

beforeEach(() => {
  api = new FakeApi();
  vi.stubGlobal("fetch", api.fetch);
});

/** The error that a POST to `/x` ends with. */
async function failure(response: Response): Promise<Problem> {
  api.on("/x", () => response);
  const error: unknown = await post("/x", {}).catch((thrown: unknown) => thrown);
  if (!(error instanceof Problem)) throw new Error(`not a Problem: ${String(error)}`);
  return error;
}

test("a body is sent as JSON and the answer read", async () => {
  api.on("/x", () => Response.json({ b: 2 }));
  expect(await post("/x", { a: 1 }, { "X-Workspace": "w_1" })).toEqual({ b: 2 });
  expect(api.calls[0]).toMatchObject({
    body: { a: 1 },
    headers: { "content-type": "application/json", "x-workspace": "w_1" },
  });
});

test("nothing is sent and nothing read where there is no body", async () => {
  api.on("/x", () => new Response(null, { status: 204 }));
  expect(await post("/x", null)).toBeNull();
  expect(api.calls[0]?.headers).not.toHaveProperty("content-type");
});

test("a problem says what its detail says, as a sentence", async () => {
  const error = await failure(
    problem(401, { title: "Unauthorized", detail: "the password is wrong", code: "wrong_credentials" }),
  );
  expect([error.status, error.code, error.message]).toEqual([
    401,
    "wrong_credentials",
    "The password is wrong.",
  ]);
});

test("a problem without a detail names the fields that are wrong", async () => {
  const errors = [{ field: "email", message: "is no address" }, { message: "too much" }];
  expect((await failure(problem(400, { title: "Bad Request", errors }))).message).toBe(
    "Email: is no address; too much.",
  );
});

test("a problem with neither says its title", async () => {
  expect((await failure(problem(403, { title: "Forbidden", detail: "" }))).message).toBe("Forbidden.");
});

test("an error page of a proxy is told by its status", async () => {
  const error = await failure(new Response("<h1>Bad gateway</h1>", { status: 502 }));
  expect([error.message, error.isPassing]).toEqual(["Muster answered with an error (502).", true]);
});

test.each([
  ["7", 7_000],
  [new Date(Date.now() + 60_000).toUTCString(), expect.closeTo(60_000, -4)],
  ["soon", null],
])("Retry-After: %s is understood", async (header, expected) => {
  expect((await failure(problem(429, {}, { "Retry-After": header }))).retryAfterMs).toEqual(expected);
});

test("no answer at all is unreachable", async () => {
  await expect(post("/nowhere", {})).rejects.toThrow(Unreachable);
});
