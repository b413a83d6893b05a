// @vitest-environment happy-dom
import { afterEach, expect, test, vi } from "vitest";
import { onWake } from "../src/wake.ts";

const listener = vi.fn();
let stop: () => void = () => undefined;

function listen(visibility: DocumentVisibilityState): void {
  listener.mockClear();
  vi.spyOn(document, "visibilityState", "get").mockReturnValue(visibility);
  stop = onWake(listener);
}

afterEach(() => stop());

test.each([
  ["the network is back", () => window.dispatchEvent(new Event("online"))],
  ["the page becomes visible", () => document.dispatchEvent(new Event("visibilitychange"))],
  ["the page is restored", () => window.dispatchEvent(new Event("pageshow"))],
])("when %s, the listener is called until it is stopped", (_, happen) => {
  listen("visible");
  happen();
  expect(listener).toHaveBeenCalledTimes(1);
  stop();
  happen();
  expect(listener).toHaveBeenCalledTimes(1);
});

test("a page that becomes hidden wakes nobody", () => {
  listen("hidden");
  document.dispatchEvent(new Event("visibilitychange"));
  expect(listener).not.toHaveBeenCalled();
});
