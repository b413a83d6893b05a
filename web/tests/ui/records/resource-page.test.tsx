// @vitest-environment happy-dom
import { MusterProvider } from "muster-client/react";
import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import { FakeStorage } from "../../../../clients/js/tests/support/fake-storage.ts";
import { render } from "../../../../clients/js/tests/support/render.ts";
import { RESOURCES } from "../../../src/resources/generated.ts";
import { Session } from "../../../src/session.ts";
import { ResourcePage } from "../../../src/ui/records/ResourcePage.tsx";
import { FakeApi, problem, tokens } from "../../support/fake-api.ts";
import { FakeResource, press, write } from "../../support/resource.ts";

const WEBSITES = "/api/v1/websites";
const SHOP = { id: "ws_1", version: 1, data: website("shop.example.org", { cname: "old.example.net" }) };
const BLOG = { id: "ws_2", version: 2, data: website("blog.example.org") };

let api: FakeApi;
let websites: FakeResource;
let page: HTMLElement;

function website(domain: string, more: object = {}) {
  const fields = { domains: [], cname: "", line_group_id: "", line_group: "", https_enabled: true };
  return { primary_domain: domain, ...fields, status: "active", ...more };
}

beforeEach(async () => {
  api = new FakeApi();
  vi.stubGlobal("fetch", api.fetch);
  api.on("/api/v1/auth/login", () => tokens("1"));
  const session = new Session(new FakeStorage(), (task) => task());
  await session.signIn("ada@example.org", "secret");
  api.calls.length = 0;
  websites = new FakeResource("websites");
  page = await render(
    <MusterProvider client={websites.client}>
      <ResourcePage descriptor={RESOURCES.websites} session={session} />
    </MusterProvider>,
  );
});

async function shown(role = "owner"): Promise<void> {
  await websites.connect(role);
  await websites.snapshot(SHOP, BLOG);
}

const names = () => [...page.querySelectorAll("tbody th[data-field]")].map((cell) => cell.textContent);
const cell = (id: string, field: string) =>
  page.querySelector(`[data-record-id="${id}"] [data-field="${field}"]`)?.textContent;
const input = (name: string) => page.querySelector(`dialog [name="${name}"]`);
const faultOf = (name: string) =>
  page.querySelector(`dialog [data-field="${name}"] .field-fault`)?.textContent;
const isOpen = () => page.querySelector("dialog") !== null;

test("before the records have come, none are said to be none", async () => {
  expect(page.querySelector(".loading")?.textContent).toBe("Getting the websites…");
  await websites.connect();
  await websites.snapshot();
  expect(page.querySelector(".empty")?.textContent).toContain("No websites yet");
});

test("records that are refused are not waited for", async () => {
  await websites.connect();
  await websites.refuse("these are not yours");
  expect(page.querySelector('[role="alert"]')?.textContent).toBe("these are not yours");
});

test("records stand in order, and every change is shown at once", async () => {
  await shown();
  expect(names()).toEqual(["blog.example.org", "shop.example.org"]);
  await websites.change("ws_1", website("a.example.org", { https_enabled: false }));
  expect(names()).toEqual(["a.example.org", "blog.example.org"]);
  expect(cell("ws_1", "https_enabled")).toBe("No");
  await websites.change("ws_2", null);
  expect(names()).toEqual(["a.example.org"]);
});

test("a lost connection is told, and what was seen stays", async () => {
  await shown();
  await act(async () => websites.world.socket.end(1006));
  expect(page.querySelector(".notice")?.textContent).toMatch(
    /^The connection was lost\. What you see is from .+\. Trying again/,
  );
  expect([names().length, page.querySelector("main")?.dataset.stale]).toEqual([2, "true"]);
});

test("a search leaves what contains the text", async () => {
  await shown();
  await write(page.querySelector('input[type="search"]'), "OLD.");
  expect(names()).toEqual(["shop.example.org"]);
  await write(page.querySelector('input[type="search"]'), "nowhere");
  expect(page.querySelector("main .loading")?.textContent).toBe("No website contains “nowhere”.");
});

test("of a long list a part is drawn", async () => {
  await websites.connect();
  const item = (n: number) => ({ id: `ws_${n}`, version: n + 1, data: website(`site${n}.example.org`) });
  await websites.snapshot(...Array.from({ length: 250 }, (_, n) => item(n)));
  expect([names().length, names()[0]]).toEqual([100, "site0.example.org"]);
  await press(page, "Next");
  await press(page, "Next");
  expect([names().length, names()[0]]).toEqual([50, "site200.example.org"]);
  expect(page.querySelector(".parts p")?.textContent).toBe("201–250 of 250");
});

test("a viewer sees the records and nothing to change them with", async () => {
  await shown("viewer");
  expect(names()).toHaveLength(2);
  expect([...page.querySelectorAll("button")].map((button) => button.textContent)).not.toContain("Edit");
  expect(page.textContent).not.toMatch(/Add|Delete/);
});

test("a new record is sent with all its fields", async () => {
  await shown();
  api.on(WEBSITES, () => Response.json({ id: "ws_3", version: 3 }, { status: 201 }));
  await press(page, "Add website");
  await write(input("primary_domain"), "new.example.org");
  await press(page, "Save");
  expect(api.calls).toMatchObject([
    { method: "POST", path: WEBSITES, body: website("new.example.org"), headers: { "x-workspace": "w_1" } },
  ]);
  expect([isOpen(), page.querySelector('[role="status"]')?.textContent]).toEqual([
    false,
    "The website was saved.",
  ]);
});

test("what had no answer is sent again under the same key, what was changed since under another", async () => {
  await shown();
  await press(page, "Add website");
  await write(input("primary_domain"), "new.example.org");
  await press(page, "Save");
  expect(page.querySelector("dialog [role=alert]")?.textContent).toMatch(/could not be reached/);
  await press(page, "Save");
  await write(input("primary_domain"), "newer.example.org");
  await press(page, "Save");
  const [first, second, third] = api.calls.map(({ headers }) => headers["idempotency-key"]);
  expect(second).toBe(first);
  expect(third).not.toBe(first);
});

test("what the page finds wrong is said at its field and sent nowhere", async () => {
  await shown();
  await press(page, "Add website");
  await write(input("cname"), "NO DOMAIN");
  await press(page, "Save");
  expect([faultOf("primary_domain"), faultOf("cname")]).toEqual([
    "This is needed.",
    "This is not in the right form.",
  ]);
  expect(document.activeElement).toBe(input("primary_domain"));
  const described = input("cname")?.getAttribute("aria-describedby")?.split(" ")[0] ?? "";
  expect(document.getElementById(described)?.textContent).toBe("This is not in the right form.");
  expect(api.calls).toEqual([]);
});

test("what the server finds wrong is said at its field, once", async () => {
  await shown();
  const errors = [{ field: "primary_domain", message: "another record has it" }];
  api.on(WEBSITES, () => problem(409, { detail: "another record has it", errors }));
  await press(page, "Add website");
  await write(input("primary_domain"), "shop.example.org");
  await press(page, "Save");
  expect(faultOf("primary_domain")).toBe("Another record has it.");
  expect(input("primary_domain")?.getAttribute("aria-invalid")).toBe("true");
  expect(page.querySelector("dialog [role=alert]")?.textContent).toBe("");
});

test("an edit sends what was changed, for the version that was seen", async () => {
  await shown();
  api.on(`${WEBSITES}/ws_1`, () => Response.json({}));
  await press(page, "Edit shop.example.org");
  await write(input("status"), "paused");
  await press(page, "Save");
  expect(api.calls).toMatchObject([
    { method: "PATCH", body: { status: "paused" }, headers: { "if-match": '"1"' } },
  ]);
  expect(isOpen()).toBe(false);
});

/** Edit the CNAME that somebody else changes meanwhile. */
async function lose(): Promise<void> {
  await shown();
  const theirs = {
    id: "ws_1",
    ...website("shop.example.org", { cname: "their.example.net", status: "paused" }),
  };
  api.on(`${WEBSITES}/ws_1`, ({ method, headers }) => {
    if (method === "GET") return Response.json({ ...theirs, version: 7 });
    return headers["if-match"] === '"7"' ? Response.json({}) : problem(412, { detail: "version 7 now" });
  });
  await press(page, "Edit shop.example.org");
  await write(input("cname"), "my.example.net");
  await press(page, "Save");
}

test("an edit that lost shows what has changed, and can be saved upon it", async () => {
  await lose();
  const rows = [...page.querySelectorAll(".differences tbody tr")].map((row) =>
    [...row.children].map((child) => child.textContent),
  );
  expect(rows).toEqual([
    ["CNAME", "old.example.net", "their.example.net", "my.example.net"],
    ["Status", "active", "paused", "paused"],
  ]);
  await press(page, "Save mine");
  expect(api.calls.at(-1)).toMatchObject({
    body: { cname: "my.example.net" },
    headers: { "if-match": '"7"' },
  });
  expect(isOpen()).toBe(false);
});

test("an edit that lost can give way", async () => {
  await lose();
  await press(page, "Take theirs");
  expect((input("cname") as HTMLInputElement).value).toBe("their.example.net");
  expect(page.querySelector(".differences")).toBeNull();
  await write(input("status"), "active");
  await press(page, "Save");
  expect(api.calls.at(-1)).toMatchObject({ body: { status: "active" }, headers: { "if-match": '"7"' } });
});

test("an edit of what is gone says so", async () => {
  await shown();
  api.on(`${WEBSITES}/ws_1`, () => problem(404, { detail: "there is no ws_1" }));
  await press(page, "Edit shop.example.org");
  await write(input("cname"), "my.example.net");
  await press(page, "Save");
  expect(page.querySelector("dialog [role=alert]")?.textContent).toBe(
    "Somebody deleted this website meanwhile.",
  );
});

test("what was written is not thrown away by one key", async () => {
  await shown();
  await press(page, "Edit shop.example.org");
  await write(input("cname"), "my.example.net");
  await press(page, "Cancel");
  expect(page.querySelector("dialog [role=alert]")?.textContent).toBe("You have not saved what you changed.");
  await press(page, "Keep editing");
  expect((input("cname") as HTMLInputElement).value).toBe("my.example.net");
  await press(page, "Cancel");
  await press(page, "Discard");
  expect([isOpen(), api.calls]).toEqual([false, []]);
});

test("a record is deleted after a question, at the version that was asked about", async () => {
  await shown();
  api.on(`${WEBSITES}/ws_2`, () => new Response(null, { status: 204 }));
  await press(page, "Delete blog.example.org");
  expect(api.calls).toEqual([]);
  await press(page, "Delete");
  expect(api.calls).toMatchObject([{ method: "DELETE", headers: { "if-match": '"2"' } }]);
  expect(page.querySelector('[role="status"]')?.textContent).toBe("blog.example.org was deleted.");
  expect(document.activeElement).toBe(page.querySelector("h2"));
});

test("a deletion can be undone", async () => {
  await shown();
  api.on(`${WEBSITES}/ws_2`, () => new Response(null, { status: 204 }));
  api.on(`${WEBSITES}/ws_2/changes?limit=1`, () =>
    Response.json({ items: [{ version: 3, action: "deleted" }] }),
  );
  api.on(`${WEBSITES}/ws_2/revert`, () => Response.json({}));
  await press(page, "Delete blog.example.org");
  await press(page, "Delete");
  await press(page, "Undo");
  expect(api.calls.at(-1)).toMatchObject({ path: `${WEBSITES}/ws_2/revert`, body: { version: 3 } });
  expect(page.querySelector('[role="status"]')?.textContent).toBe("blog.example.org is back.");
  expect(page.textContent).not.toContain("Undo");
});

test("a deletion that cannot be undone says so, and can be tried again", async () => {
  await shown();
  api.on(`${WEBSITES}/ws_2`, () => new Response(null, { status: 204 }));
  await press(page, "Delete blog.example.org");
  await press(page, "Delete");
  await press(page, "Undo");
  expect(page.querySelector('[role="status"]')?.textContent).toMatch(/could not be reached/);
  expect(page.textContent).toContain("Undo");
});

test("a record that somebody has changed meanwhile is asked about again", async () => {
  await shown();
  api.on(`${WEBSITES}/ws_2`, ({ method, headers }) => {
    if (method === "GET")
      return Response.json({ id: "ws_2", version: 9, ...website("blog.example.org", { cname: "x" }) });
    return headers["if-match"] === '"9"' ? new Response(null, { status: 204 }) : problem(412, {});
  });
  await press(page, "Delete blog.example.org");
  await press(page, "Delete");
  expect(page.querySelector(".differences tbody")?.textContent).toBe("CNAME–x");
  await press(page, "Delete all the same");
  expect(isOpen()).toBe(false);
});

test("a reference is shown by what the other record is known by, once that is there", async () => {
  const tables = new FakeResource("dining_tables");
  const session = new Session(new FakeStorage(), (task) => task());
  const shownTables = await render(
    <MusterProvider client={tables.client}>
      <ResourcePage descriptor={RESOURCES.dining_tables} session={session} />
    </MusterProvider>,
  );
  const zoneOf = () => shownTables.querySelector('[data-field="zone_id"]')?.textContent;
  await tables.connect();
  await tables.snapshot({ id: "dt_1", version: 1, data: { name: "1", zone_id: "z_1" } });
  expect(zoneOf()).toBe("z_1");
  await tables.snapshotOf("zones", { id: "z_1", version: 1, data: { name: "Terrace" } });
  expect(zoneOf()).toBe("Terrace");
});
