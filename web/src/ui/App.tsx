/** Shows a workspace to whoever is signed in, and the way in to everyone else. */

import { useSyncExternalStore } from "react";
import type { Session } from "../session.ts";
import { SignIn } from "./SignIn.tsx";
import { WorkspacePage } from "./WorkspacePage.tsx";

export function App({ session }: { readonly session: Session }) {
  const state = useSyncExternalStore(session.subscribe, session.getState);
  if (state.kind === "signed-in") return <WorkspacePage session={session} />;
  return <SignIn notice={state.notice} signIn={(email, password) => session.signIn(email, password)} />;
}
