// @vitest-environment happy-dom
import { afterEach, expect, test, vi } from "vitest";
import { watchPage } from "../src/page.ts";

const listener = vi.fn();
let stop: () => void = () => undefined;

function watch(visibility: DocumentVisibilityState): void {
  listener.mockClear();
  see(visibility);
  stop = watchPage(listener);
}

function see(visibility: DocumentVisibilityState): void {
  vi.spyOn(document, "visibilityState", "get").mockReturnValue(visibility);
}

afterEach(() => stop());

test.each([
  ["the network is back", () => window.dispatchEvent(new Event("online")), "online"],
  ["the page becomes visible", () => document.dispatchEvent(new Event("visibilitychange")), "visible"],
  ["the page is restored", () => window.dispatchEvent(new Event("pageshow")), "visible"],
])("when %s, it is told until the watch is stopped", (_, happen, sign) => {
  watch("visible");
  expect(listener).not.toHaveBeenCalled();
  happen();
  expect(listener.mock.calls).toEqual([[sign]]);
  stop();
  happen();
  expect(listener).toHaveBeenCalledTimes(1);
});

test("a page that becomes hidden is told", () => {
  watch("visible");
  see("hidden");
  document.dispatchEvent(new Event("visibilitychange"));
  expect(listener.mock.calls).toEqual([["hidden"]]);
});

test("a page that is hidden from the beginning is told at once", () => {
  watch("hidden");
  expect(listener.mock.calls).toEqual([["hidden"]]);
});

test("without a page there is nothing to be told", () => {
  vi.stubGlobal("window", undefined);
  watch("hidden");
  expect(listener).not.toHaveBeenCalled();
});
