/** Resources for the tests of their pages: a connection whose server the test plays. */

import { type Item, MusterClient } from "muster-client";
import { act } from "react";
import { FakeWorld, HOME, welcome } from "../../../clients/js/tests/support/fake-socket.ts";
import type { Fields } from "../../src/resources/descriptor.ts";

export class FakeResource {
  readonly world = new FakeWorld();
  readonly client: MusterClient;
  readonly #name: string;
  #version = 0;

  constructor(name: string) {
    const { surroundings } = this.world;
    this.#name = name;
    this.client = new MusterClient({ url: "ws://muster/ws", token: "token", surroundings });
  }

  /** The connection is there, for a person of this role. */
  async connect(role = "owner"): Promise<void> {
    await act(async () => {
      this.client.start();
    });
    await act(async () => {
      this.world.socket.accept();
      this.world.socket.say(welcome(900, [{ ...HOME, role }]));
    });
  }

  /** All records come. */
  async snapshot(...items: readonly Item<Fields>[]): Promise<void> {
    this.#version = Math.max(0, ...items.map(({ version }) => version));
    await this.snapshotOf(this.#name, ...items);
  }

  /** All records of another resource come, to which these refer. */
  async snapshotOf(topic: string, ...items: readonly Item<Fields>[]): Promise<void> {
    const version = Math.max(0, ...items.map((item) => item.version));
    const rest = { workspace: HOME.id, epoch: "1", part: 1, parts: 1 };
    await act(async () => {
      this.world.socket.say({ op: "snapshot", topic, version, items, ...rest });
    });
  }

  /** One record is changed, made, or with null deleted. */
  async change(id: string, data: Fields | null): Promise<void> {
    const prev = this.#version;
    this.#version += 1;
    const change = { id, action: data === null ? "deleted" : "updated", version: this.#version, data };
    const rest = { workspace: HOME.id, epoch: "1", prev, version: this.#version };
    await act(async () => {
      this.world.socket.say({ op: "changes", topic: this.#name, changes: [change], ...rest });
    });
  }

  /** The topic is not given to this person. */
  async refuse(message: string): Promise<void> {
    await act(async () => {
      this.world.socket.say({
        op: "error",
        code: "forbidden",
        message,
        topic: this.#name,
        workspace: HOME.id,
      });
    });
  }
}

/** Write into an input as a person does. */
export async function write(input: Element | null, text: string): Promise<void> {
  if (!(input instanceof HTMLElement)) throw new Error("there is no such input");
  // React tells a person's input from its own by the setter that it puts before this one.
  const setter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(input), "value")?.set;
  await act(async () => {
    setter?.call(input, text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

/** Press the button of this name, as it is read out. */
export async function press(page: HTMLElement, name: string): Promise<void> {
  const buttons = [...page.querySelectorAll("button")];
  const button = buttons.find((each) => (each.getAttribute("aria-label") ?? each.textContent) === name);
  if (button === undefined) throw new Error(`there is no button ${name}`);
  await act(async () => button.click());
}
