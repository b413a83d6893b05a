// @vitest-environment happy-dom
import { act, Profiler } from "react";
import { beforeEach, expect, test } from "vitest";
import { render } from "../../../clients/js/tests/support/render.ts";
import { ServerRow } from "../../src/ui/ServerRow.tsx";
import { ServerTable } from "../../src/ui/ServerTable.tsx";
import { FakeFleet, sample, server } from "../support/fleet.ts";

const GIB = 1024 ** 3;
const BUSY = {
  cpu_percent: 42.04,
  mem_used: 3 * GIB,
  mem_total: 4 * GIB,
  disk_used: 99 * GIB,
  disk_total: 100 * GIB,
  net_rx_rate: 1_200_000,
  net_tx_rate: 340,
  uptime_s: 90_000,
};

let fleet: FakeFleet;

beforeEach(() => {
  fleet = new FakeFleet();
  return fleet.open(
    [
      server("s_web", { name: "web10", hostname: "web10.example.org", tags: ["prod"] }, 1),
      server("s_db", { name: "web2", status: "offline", last_seen: "2020-01-01T00:00:00Z" }, 2),
      server("s_new", { name: "new" }, 3),
    ],
    [sample("s_web", BUSY, 1), sample("s_db", BUSY, 2)],
  );
});

/** The text of each cell of a row, by its field. */
function cells(page: HTMLElement, id: string): Record<string, string> {
  const found = page.querySelectorAll<HTMLElement>(`[data-server-id="${id}"] > [data-field]`);
  return Object.fromEntries([...found].map((cell) => [cell.dataset.field, cell.textContent]));
}

const rows = (page: HTMLElement) =>
  [...page.querySelectorAll<HTMLElement>("[data-server-id]")].map((row) => row.dataset.serverId);

test("an online server shows what its latest sample says", async () => {
  const page = await render(<ServerTable store={fleet.store} />);
  expect(cells(page, "s_web")).toEqual({
    status: "online",
    name: "web10web10.example.orgprod",
    cpu: "42.0%",
    memory: "3.0 / 4.0 GiB75%",
    disk: "99.0 / 100 GiB99%",
    network: "↓1.2 MB/s↑340 B/s",
    uptime: "1 d 1 h",
    "last-seen": "now",
  });
  expect(page.querySelector('[data-field="disk"] .bar')?.getAttribute("data-level")).toBe("critical");
});

test("an offline server shows no value as if it were live", async () => {
  const page = await render(<ServerTable store={fleet.store} />);
  const { cpu, memory, disk, network, uptime } = cells(page, "s_db");
  expect([cpu, memory, disk, network, uptime]).toEqual(["–", "–", "–", "–", "–"]);
  expect(cells(page, "s_db")["last-seen"]).toMatch(/^\d+ d ago$/);
  expect(page.querySelector('[data-server-id="s_db"] .bar')).toBeNull();
});

test("a server that has sent nothing yet shows dashes", async () => {
  const page = await render(<ServerTable store={fleet.store} />);
  expect(cells(page, "s_new")).toMatchObject({ status: "online", cpu: "–", network: "–" });
});

test("rows stand in the order of their names, and turn with a click", async () => {
  const page = await render(<ServerTable store={fleet.store} />);
  expect(rows(page)).toEqual(["s_new", "s_db", "s_web"]);
  await act(async () => page.querySelector<HTMLElement>('[data-column="name"] button')?.click());
  expect(rows(page)).toEqual(["s_web", "s_db", "s_new"]);
  expect(page.querySelector('[data-column="name"]')?.getAttribute("aria-sort")).toBe("descending");
});

test("where there is no room for heads, rows are ordered by what is chosen, and turn", async () => {
  const page = await render(<ServerTable store={fleet.store} />);
  await act(async () => page.querySelector<HTMLElement>(".narrow-sort button")?.click());
  expect(rows(page)).toEqual(["s_web", "s_db", "s_new"]);
  const select = page.querySelector<HTMLSelectElement>(".narrow-sort select");
  if (select === null) throw new Error("there is nothing to choose from");
  await act(async () => {
    select.value = "last-seen";
    select.dispatchEvent(new Event("change", { bubbles: true }));
  });
  expect(page.querySelector('[data-column="last-seen"]')?.getAttribute("aria-sort")).toBe("descending");
  expect(page.querySelector(".narrow-sort button")?.getAttribute("aria-label")).toBe("Sort ascending");
});

test("a new sample is shown, and redraws no other row", async () => {
  const drawn: string[] = [];
  const page = await render(
    ["s_web", "s_db", "s_new"].map((id) => (
      <Profiler key={id} id={id} onRender={(row) => drawn.push(row)}>
        <table>
          <tbody>
            <ServerRow store={fleet.store} id={id} />
          </tbody>
        </table>
      </Profiler>
    )),
  );
  drawn.length = 0;
  fleet.change("metrics", sample("s_web", { ...BUSY, cpu_percent: 7 }, 3));
  await act(async () => fleet.frame());
  expect(cells(page, "s_web").cpu).toBe("7.0%");
  expect(drawn).toEqual(["s_web"]);
});

test("a server that goes offline loses its values at once", async () => {
  const page = await render(<ServerTable store={fleet.store} />);
  fleet.change("servers", server("s_web", { name: "web10", status: "offline" }, 4));
  await act(async () => fleet.frame());
  expect(cells(page, "s_web")).toMatchObject({ status: "offline", cpu: "–", "last-seen": "never" });
});
