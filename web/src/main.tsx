/** Starts the page. */

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Session } from "./session.ts";
import "./styles/base.css";
import "./styles/sign-in.css";
import "./styles/fleet.css";
import "./styles/rows.css";
import "./styles/servers.css";
import "./styles/records.css";
import "./styles/narrow.css";
import { App } from "./ui/App.tsx";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");

const session = new Session(localStorage);
window.addEventListener("storage", () => session.reread());

createRoot(root).render(
  <StrictMode>
    <App session={session} />
  </StrictMode>,
);
