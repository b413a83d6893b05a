/** When a browser page should look after its connection at once: the network or the person has come back. */

/** Call `listener` on `online` and when the page becomes visible or is restored; returns the way to stop. */
export function onWake(listener: () => void): () => void {
  const onVisible = () => {
    if (document.visibilityState === "visible") listener();
  };
  window.addEventListener("online", listener);
  window.addEventListener("pageshow", onVisible);
  document.addEventListener("visibilitychange", onVisible);
  return () => {
    window.removeEventListener("online", listener);
    window.removeEventListener("pageshow", onVisible);
    document.removeEventListener("visibilitychange", onVisible);
  };
}
