// @vitest-environment happy-dom
import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import { FakeStorage } from "../../../clients/js/tests/support/fake-storage.ts";
import { render } from "../../../clients/js/tests/support/render.ts";
import { Session } from "../../src/session.ts";
import { NoServers } from "../../src/ui/NoServers.tsx";
import { FakeApi, problem, tokens } from "../support/fake-api.ts";
import { FakeFleet } from "../support/fleet.ts";

const TOKENS = "/api/v1/enrolment-tokens";

let api: FakeApi;
let page: HTMLElement;

beforeEach(async () => {
  api = new FakeApi();
  vi.stubGlobal("fetch", api.fetch);
  api.on("/api/v1/auth/login", () => tokens("1"));
  const session = new Session(new FakeStorage(), (task) => task());
  await session.signIn("ada@example.org", "secret");
  const fleet = new FakeFleet();
  await fleet.open([], []);
  page = await render(<NoServers store={fleet.store} session={session} />);
});

/** What the api answers for a token that was made. */
const added =
  (server = "https://muster.example.org") =>
  () =>
    Response.json(
      { id: "t", token: "m_1", server, install_line: `install from ${server} with m_1` },
      { status: 201 },
    );

const createToken = () => act(async () => page.querySelector("button")?.click());

test("a token is made for one machine of this workspace, and the line that the server gives for it is shown", async () => {
  api.on(TOKENS, added());
  await createToken();
  expect(page.querySelector("pre")?.textContent).toBe("install from https://muster.example.org with m_1");
  expect(api.calls.at(-1)).toMatchObject({
    headers: { "x-workspace": "w_1", authorization: "Bearer access 1" },
    body: { uses: 1, expires_in_s: 3600 },
  });
});

test("a person who may not make tokens is told so", async () => {
  api.on(TOKENS, () => problem(403, { detail: "viewers may not do this" }));
  await createToken();
  expect(page.querySelector('[role="alert"]')?.textContent).toBe("Viewers may not do this.");
});

test("the line can be copied once it has its token", async () => {
  const copied: string[] = [];
  vi.spyOn(navigator.clipboard, "writeText").mockImplementation(async (text) => {
    copied.push(text);
  });
  expect(page.textContent).not.toContain("Copy the line");
  api.on(TOKENS, added());
  await createToken();
  const buttons = [...page.querySelectorAll("button")];
  await act(async () => buttons.find((button) => button.textContent === "Copy the line")?.click());
  expect(copied).toEqual([page.querySelector("pre")?.textContent]);
  expect(page.textContent).toContain("Copied");
});

test.each([
  ["http://localhost:8000", true],
  ["http://127.0.0.1:8000", true],
  ["http://[::1]:8000", true],
  ["https://muster.example.org", false],
])("for %s it is told whether other machines reach this address", async (server, isWarned) => {
  api.on(TOKENS, added(server));
  await createToken();
  expect(page.textContent?.includes("is this machine alone")).toBe(isWarned);
});
