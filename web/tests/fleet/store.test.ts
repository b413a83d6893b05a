import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeFleet, sample, server } from "../support/fleet.ts";

let fleet: FakeFleet;
let stop: () => void;

beforeEach(async () => {
  vi.useFakeTimers();
  fleet = new FakeFleet();
  stop = await fleet.open(
    [server("a", {}, 1), server("b", { status: "offline" }, 2)],
    [sample("a", { cpu_percent: 1 })],
  );
});

afterEach(() => {
  stop();
  vi.useRealTimers();
});

test("any number of changes between two frames of the screen are one notification", () => {
  const listener = vi.fn();
  fleet.store.subscribe(listener);
  for (let version = 2; version <= 100; version += 1) {
    fleet.change("metrics", sample("a", { cpu_percent: version }, version));
  }
  expect(listener).not.toHaveBeenCalled();
  expect(fleet.pendingFrames).toBe(1);
  fleet.frame();
  expect(listener).toHaveBeenCalledTimes(1);
  expect(fleet.store.getView().samples.get("a")?.data.cpu_percent).toBe(100);
});

test("records that did not change stay the same objects", () => {
  const before = fleet.store.getView();
  fleet.change("metrics", sample("a", { cpu_percent: 2 }, 2));
  fleet.frame();
  const after = fleet.store.getView();
  expect(after.servers).toBe(before.servers);
  expect(after.counts).toBe(before.counts);
  expect(after.samples.get("a")).not.toBe(before.samples.get("a"));
});

test("servers are counted by status", () => {
  fleet.change("servers", server("c", { status: "unknown" }, 3));
  fleet.frame();
  expect(fleet.store.getView().counts).toEqual({ online: 1, offline: 1, unknown: 1 });
});

test("a broken connection keeps what was seen, with the time it is from", () => {
  const sinceMs = Date.now();
  vi.advanceTimersByTime(5_000);
  fleet.world.socket.end(1006);
  fleet.frame();
  expect(fleet.store.getView()).toMatchObject({
    isLoaded: true,
    liveMs: sinceMs,
    status: { isLive: false },
  });
  expect(fleet.store.getView().servers.size).toBe(2);
});

test("a fleet is not taken for empty before all its records have come", () => {
  expect(new FakeFleet().store.getView().isLoaded).toBe(false);
});
