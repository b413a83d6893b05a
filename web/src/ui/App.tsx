/** Shows the fleet to whoever is signed in, and the way in to everyone else. */

import { useSyncExternalStore } from "react";
import type { Session } from "../session.ts";
import { FleetPage } from "./FleetPage.tsx";
import { SignIn } from "./SignIn.tsx";

export function App({ session }: { readonly session: Session }) {
  const state = useSyncExternalStore(session.subscribe, session.getState);
  if (state.kind === "signed-in") return <FleetPage session={session} />;
  return <SignIn notice={state.notice} signIn={(email, password) => session.signIn(email, password)} />;
}
