// @vitest-environment happy-dom
import { act, useState } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import { MusterClient } from "../src/client.ts";
import { MusterProvider, useResource, useSyncConnection, useSyncListener } from "../src/react.ts";
import { createResourceStore, type ResourceStore } from "../src/store.ts";
import { FakeWorld, welcome } from "./support/fake-socket.ts";
import { render } from "./support/render.ts";
import { type Data, TopicLog } from "./support/topic-log.ts";

let world: FakeWorld;
let log: TopicLog;
let client: MusterClient;
let store: ResourceStore<Data>;

beforeEach(async () => {
  world = new FakeWorld();
  log = new TopicLog("3");
  log.append({ id: 1, value: 1 });
  client = new MusterClient({ url: "ws://muster/ws", token: "token", surroundings: world.surroundings });
  store = createResourceStore<Data>("servers", { client });
});

async function open(): Promise<void> {
  client.start();
  await vi.waitFor(() => expect(world.sockets).toHaveLength(1));
  world.socket.accept();
  world.socket.say(welcome());
  world.socket.take();
}

const say = (messages: readonly object[]) =>
  act(async () => {
    for (const message of messages) world.socket.say(message);
  });

test("useSyncConnection tells how the connection is", async () => {
  function Status() {
    const { connection, isLive } = useSyncConnection();
    return `${connection.phase} ${isLive}`;
  }
  const element = await render(
    <MusterProvider client={client}>
      <Status />
    </MusterProvider>,
  );
  expect(element.textContent).toBe("idle false");
  await act(open);
  expect(element.textContent).toBe("open true");
  await act(async () => client.stop());
  expect(element.textContent).toBe("idle false");
});

test("useResource follows the resource while a component shows it", async () => {
  await open();
  let setShown: (isShown: boolean) => void = () => undefined;
  function Servers() {
    const { items, isLoaded } = useResource(store);
    return isLoaded ? items.map(({ id, data }) => `${id}=${data.value}`).join(" ") : "loading";
  }
  function Page() {
    const [isShown, set] = useState(true);
    setShown = set;
    return isShown && <Servers />;
  }
  const element = await render(<Page />);
  expect(element.textContent).toBe("loading");
  expect(world.socket.take()).toEqual([{ op: "subscribe", topic: "servers", workspace: "w_1" }]);
  await say(log.answer(null));
  expect(element.textContent).toBe("r1=1");
  log.append({ id: 2, value: 2 });
  await say(log.singles(1, 2));
  expect(element.textContent).toBe("r1=1 r2=2");
  await act(async () => setShown(false));
  expect(world.socket.take()).toEqual([{ op: "unsubscribe", topic: "servers", workspace: "w_1" }]);
  client.stop();
});

test("useSyncListener calls the latest listener once for each update, while the component is there", async () => {
  await open();
  const heard: string[] = [];
  let setPrefix: (prefix: string) => void = () => undefined;
  function Listening() {
    const [prefix, set] = useState("a");
    setPrefix = set;
    useSyncListener<Data>("servers", ({ kind, version }) => heard.push(`${prefix} ${kind} ${version}`));
    return null;
  }
  await render(
    <MusterProvider client={client}>
      <Listening />
    </MusterProvider>,
  );
  expect(world.socket.take()).toHaveLength(1);
  await say(log.answer(null));
  await act(async () => setPrefix("b"));
  log.append({ id: 2, value: 2 });
  await say([...log.singles(1, 2), ...log.singles(1, 2)]);
  expect(heard).toEqual(["a all 1", "b changes 2"]);
  expect(world.socket.take()).toEqual([]);
  client.stop();
});

test("without a provider the hooks say what is missing", async () => {
  vi.spyOn(console, "error").mockReturnValue();
  function Status() {
    return useSyncConnection().connection.phase;
  }
  await expect(render(<Status />)).rejects.toThrow("there is no MusterProvider");
});
