/** A link to another page of ours, which needs no loading. */

import type { MouseEvent, ReactNode } from "react";
import { go } from "../place.ts";

interface LinkProps {
  readonly to: string;
  readonly isCurrent?: boolean;
  readonly children: ReactNode;
}

export function Link({ to, isCurrent = false, children }: LinkProps) {
  function follow(event: MouseEvent) {
    // Whoever asks for a new tab or a download gets it from the browser.
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  }
  return (
    <a href={to} onClick={follow} {...(isCurrent && { "aria-current": "page" })}>
      {children}
    </a>
  );
}
