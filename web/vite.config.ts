import react from "@vitejs/plugin-react";
import { defaultClientConditions, defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

/** The origin of a running `muster up`; `npm run dev` lends its data to the page under development. */
const MUSTER = "http://localhost:8000";

export default defineConfig({
  plugins: [react()],
  // The client library as its sources are, so that it need not be built before the page.
  resolve: { conditions: ["muster-source", ...defaultClientConditions] },
  ssr: { resolve: { conditions: ["muster-source", ...defaultServerConditions] } },
  build: {
    target: "es2023",
    // Every asset stays a file of its own, so that a content security policy needs no `data:` and no `unsafe-inline`.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "/api": MUSTER,
      // The broadcaster admits only origins that it knows, and does not know the development server.
      "/ws": { target: MUSTER, ws: true, rewriteWsOrigin: true },
    },
  },
  test: {
    include: ["tests/**/*.test.{ts,tsx}"],
    restoreMocks: true,
    unstubGlobals: true,
  },
});
