/** The package as others get it: built, found by its name, read by the compiler and run by Node.js. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

function run(...command: readonly string[]): string {
  try {
    return execFileSync(process.execPath, command, { cwd: ROOT, encoding: "utf8" });
  } catch (error) {
    throw new Error(String((error as { readonly stdout?: unknown }).stdout), { cause: error });
  }
}

const TSC = fileURLToPath(new URL("bin/tsc", import.meta.resolve("typescript/package.json")));

beforeAll(() => {
  run(TSC, "-p", "tsconfig.build.json");
}, 60_000);

test("Node.js finds the package by its name, and what it exports", () => {
  const script = `
    const { MusterClient, createResourceStore } = await import("muster-client");
    const { useResource } = await import("muster-client/react");
    const client = new MusterClient({ url: "ws://localhost/ws", token: "t" });
    const store = createResourceStore("servers", { client });
    console.log(client.status.connection.phase, store.getState().items.length, typeof useResource);
  `;
  expect(run("--input-type=module", "--eval", script).trim()).toBe("idle 0 function");
});

test("the library itself needs no other package, React only its own part", () => {
  const { dependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8"));
  expect(dependencies).toBeUndefined();
  const script = `
    import { registerHooks } from "node:module";
    registerHooks({ resolve: (name, context, next) => {
      if (name === "react") throw new Error("react was asked for");
      return next(name, context);
    } });
    await import("muster-client");
    console.log(await import("muster-client/react").catch(({ message }) => message));
  `;
  expect(run("--input-type=module", "--eval", script).trim()).toBe("react was asked for");
});

test("a program that uses the package passes the compiler", () => {
  expect(run(TSC, "-p", "tests/consumer")).toBe("");
});
