import { expect, test } from "vitest";
import { BY_NAME, type Column, order, type Sort, turned } from "../../src/fleet/order.ts";
import { byId, sample, server } from "../support/fleet.ts";

const NO_SAMPLES = byId<object>();
const sorted = (column: Column, direction: Sort["direction"]): Sort => ({ column, direction });

test("names are ordered as people read them", () => {
  const names = ["web10", "web2", "Web1", "db", "web1"];
  const servers = byId(...names.map((name, i) => server(`s${i}`, { name })));
  const read = (sort: Sort) => order(servers, NO_SAMPLES, sort).map((id) => servers.get(id)?.data.name);
  expect(read(BY_NAME)).toEqual(["db", "Web1", "web1", "web2", "web10"]);
  expect(read(sorted("name", "descending"))).toEqual(["web10", "web2", "Web1", "web1", "db"]);
});

test("servers of the same name keep one order", () => {
  const servers = byId(server("b", { name: "x" }), server("a", { name: "x" }));
  expect(order(servers, NO_SAMPLES, BY_NAME)).toEqual(["a", "b"]);
});

test("the status orders online, unknown, offline", () => {
  const servers = byId(
    server("a", { status: "offline" }),
    server("b", { status: "unknown" }),
    server("c", { status: "online" }),
  );
  expect(order(servers, NO_SAMPLES, sorted("status", "ascending"))).toEqual(["c", "b", "a"]);
});

test.each(["ascending", "descending"] as const)(
  "%s by a measurement, servers without a current one come last, by name",
  (direction) => {
    const servers = byId(
      server("gone", { status: "offline" }),
      server("high"),
      server("idle", { name: "0 no sample" }),
      server("low"),
    );
    const samples = byId(
      sample("gone", { cpu_percent: 50 }),
      sample("high", { cpu_percent: 90 }),
      sample("low", { cpu_percent: 1 }),
    );
    const live = direction === "ascending" ? ["low", "high"] : ["high", "low"];
    expect(order(servers, samples, sorted("cpu", direction))).toEqual([...live, "idle", "gone"]);
  },
);

test.each<[Column, object, object]>([
  ["memory", { mem_used: 1, mem_total: 100 }, { mem_used: 1, mem_total: 10 }],
  ["disk", { disk_used: 1, disk_total: 100 }, { disk_used: 1, disk_total: 10 }],
  ["network", { net_rx_rate: 5, net_tx_rate: 1 }, { net_tx_rate: 7 }],
  ["uptime", { uptime_s: 5 }, { uptime_s: 50 }],
])("%s is ordered by what it shows", (column, less, more) => {
  const samples = byId(sample("more", more), sample("less", less));
  const servers = byId(server("more"), server("less"));
  expect(order(servers, samples, sorted(column, "ascending"))).toEqual(["less", "more"]);
});

test("last seen puts those that are here first, those never seen last", () => {
  const servers = byId(
    server("never", { status: "offline", last_seen: null }),
    server("long ago", { status: "offline", last_seen: "2024-01-01T00:00:00Z" }),
    server("just gone", { status: "offline", last_seen: "2025-01-01T00:00:00Z" }),
    server("here", { last_seen: "2023-01-01T00:00:00Z" }),
  );
  expect(order(servers, NO_SAMPLES, sorted("last-seen", "descending"))).toEqual([
    "here",
    "just gone",
    "long ago",
    "never",
  ]);
});

test("the head of the sorted column turns it, another one starts where people look first", () => {
  expect(turned(BY_NAME, "name")).toEqual(sorted("name", "descending"));
  expect(turned(BY_NAME, "cpu")).toEqual(sorted("cpu", "descending"));
  expect(turned(sorted("cpu", "descending"), "status")).toEqual(sorted("status", "ascending"));
});
