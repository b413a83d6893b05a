/** The way in: email and password. */

import { type SubmitEvent, useId, useRef, useState } from "react";
import { messageOf } from "./failure.ts";
import { Logo } from "./Logo.tsx";

interface SignInProps {
  /** Why the person is here, where they did not ask for it. */
  readonly notice: string | null;
  readonly signIn: (email: string, password: string) => Promise<void>;
}

export function SignIn({ notice, signIn }: SignInProps) {
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const password = useRef<HTMLInputElement>(null);
  const errorId = useId();

  async function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    if (isBusy) return;
    const fields = new FormData(event.currentTarget);
    setIsBusy(true);
    setError(null);
    try {
      await signIn(String(fields.get("email")).trim(), String(fields.get("password")));
    } catch (failure) {
      setError(messageOf(failure));
      setIsBusy(false);
      password.current?.select();
    }
  }

  const described = error === null ? {} : { "aria-invalid": true, "aria-describedby": errorId };
  return (
    <main className="sign-in">
      <form className="sign-in-card" onSubmit={(event) => void submit(event)}>
        <h1 className="brand">
          <Logo />
          Muster
        </h1>
        <p className="sign-in-lead">{notice ?? "Sign in to see your machines."}</p>
        <label className="field">
          Email
          <input
            name="email"
            type="email"
            autoComplete="username"
            required={true}
            // biome-ignore lint/a11y/noAutofocus: the form is all there is on this page
            autoFocus={true}
            {...described}
          />
        </label>
        <label className="field">
          Password
          <input
            ref={password}
            name="password"
            type="password"
            autoComplete="current-password"
            required={true}
            {...described}
          />
        </label>
        <p className="sign-in-error" id={errorId} role="alert">
          {error}
        </p>
        <button className="button is-primary" type="submit" aria-disabled={isBusy}>
          {isBusy ? "Signing in…" : "Sign in"}
        </button>
      </form>
    </main>
  );
}
