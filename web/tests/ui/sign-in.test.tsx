// @vitest-environment happy-dom
import { act } from "react";
import { expect, test, vi } from "vitest";
import { render } from "../../../clients/js/tests/support/render.ts";
import { Problem } from "../../src/http.ts";
import { SignIn } from "../../src/ui/SignIn.tsx";

function fill(page: HTMLElement, name: string, value: string): void {
  const input = page.querySelector<HTMLInputElement>(`input[name="${name}"]`);
  if (input === null) throw new Error(`there is no input ${name}`);
  input.value = value;
}

async function submit(page: HTMLElement): Promise<void> {
  fill(page, "email", " ada@example.org ");
  fill(page, "password", " a secret ");
  await act(async () => page.querySelector("form")?.requestSubmit());
}

test("the form hands over the email, trimmed, and the password as it was typed", async () => {
  const signIn = vi.fn(() => Promise.resolve());
  await submit(await render(<SignIn notice={null} signIn={signIn} />));
  expect(signIn.mock.calls).toEqual([["ada@example.org", " a secret "]]);
});

test("an error is told beside the fields, which keep what was typed", async () => {
  const signIn = () => Promise.reject(new Problem(401, "bad", "Email or password is wrong.", null));
  const page = await render(<SignIn notice={null} signIn={signIn} />);
  await submit(page);
  const alert = page.querySelector('[role="alert"]');
  const email = page.querySelector<HTMLInputElement>('input[name="email"]');
  expect(alert?.textContent).toBe("Email or password is wrong.");
  expect(email?.getAttribute("aria-describedby")).toBe(alert?.id);
  expect(email?.value).toContain("ada@example.org");
});

test("a second click while the first is under way is not a second sign-in", async () => {
  const signIn = vi.fn(() => new Promise<void>(() => undefined));
  const page = await render(<SignIn notice={null} signIn={signIn} />);
  await submit(page);
  await submit(page);
  expect(signIn).toHaveBeenCalledTimes(1);
  expect(page.querySelector("button")?.textContent).toBe("Signing in…");
});

test("a session that ended says so", async () => {
  const page = await render(<SignIn notice="Your session has ended." signIn={() => Promise.resolve()} />);
  expect(page.textContent).toContain("Your session has ended.");
});
