// @vitest-environment happy-dom
import { MusterProvider } from "muster-client/react";
import { act } from "react";
import { expect, test, vi } from "vitest";
import { FakeStorage } from "../../../clients/js/tests/support/fake-storage.ts";
import { render } from "../../../clients/js/tests/support/render.ts";
import { Session } from "../../src/session.ts";
import { FleetCounts } from "../../src/ui/FleetCounts.tsx";
import { FleetPage } from "../../src/ui/FleetPage.tsx";
import { Header } from "../../src/ui/Header.tsx";
import { FakeFleet, server } from "../support/fleet.ts";

async function page(fleet: FakeFleet, signOut = () => undefined): Promise<HTMLElement> {
  return render(
    <MusterProvider client={fleet.client}>
      <Header chooseWorkspace={() => undefined} signOut={signOut}>
        <FleetCounts store={fleet.store} />
      </Header>
      <FleetPage store={fleet.store} session={new Session(new FakeStorage())} />
    </MusterProvider>,
  );
}

const told = (element: HTMLElement) => [
  element.querySelector("header")?.dataset.connection,
  element.querySelector('[role="status"]')?.textContent,
];

test("the header tells in words whether what is shown is live", async () => {
  const fleet = new FakeFleet();
  const element = await page(fleet);
  expect(told(element)).toEqual(["reconnecting", "Connecting…"]);
  await act(async () => fleet.open([server("a")], []));
  expect(told(element)).toEqual(["live", "Live"]);
  await act(async () => fleet.world.socket.end(1006));
  await act(async () => fleet.frame());
  expect(told(element)).toEqual(["reconnecting", "Reconnecting…"]);
});

test("the header counts the machines by status", async () => {
  const fleet = new FakeFleet();
  await fleet.open([server("a", {}, 1), server("b", {}, 2), server("c", { status: "offline" }, 3)], []);
  const element = await page(fleet);
  const counts = [...element.querySelectorAll("[data-count]")].map((count) => count.textContent);
  expect(counts).toEqual(["2 online", "1 offline", "0 unknown"]);
});

test("a lost connection is told with the time of what is shown, and can be tried at once", async () => {
  const fleet = new FakeFleet();
  await fleet.open([server("a")], []);
  const element = await page(fleet);
  expect(element.querySelector(".notice")).toBeNull();
  await act(async () => fleet.world.socket.end(1006));
  await act(async () => fleet.frame());
  expect(element.querySelector(".notice")?.textContent).toMatch(
    /^The connection was lost\. What you see is from .+\. Trying again/,
  );
  await act(async () => element.querySelector<HTMLElement>(".notice button")?.click());
  await vi.waitFor(() => expect(fleet.world.sockets).toHaveLength(2));
});

test("a click signs out", async () => {
  const signOut = vi.fn();
  const element = await page(new FakeFleet(), signOut);
  element.querySelector<HTMLElement>(".sign-out")?.click();
  expect(signOut).toHaveBeenCalledTimes(1);
});
