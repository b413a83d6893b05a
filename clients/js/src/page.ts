/** What happens to the page that a client runs in: its network returns, it is seen, it is hidden. */

export type PageSign =
  /** The network is back. */
  | "online"
  /** A person sees the page. */
  | "visible"
  /** Nobody does. */
  | "hidden";

/**
 * Call `listener` with every sign of the page, and at once if it is hidden already; returns the way to stop.
 * Outside of a browser there is no page, and nothing is ever told.
 */
export function watchPage(listener: (sign: PageSign) => void): () => void {
  if (typeof window === "undefined" || typeof document === "undefined") return () => undefined;
  const onOnline = () => listener("online");
  const onVisibility = () => listener(document.visibilityState === "visible" ? "visible" : "hidden");
  const onRestored = () => {
    if (document.visibilityState === "visible") listener("visible");
  };
  window.addEventListener("online", onOnline);
  window.addEventListener("pageshow", onRestored);
  document.addEventListener("visibilitychange", onVisibility);
  if (document.visibilityState === "hidden") listener("hidden");
  return () => {
    window.removeEventListener("online", onOnline);
    window.removeEventListener("pageshow", onRestored);
    document.removeEventListener("visibilitychange", onVisibility);
  };
}
