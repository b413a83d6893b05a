/** The way to every page: the fleet, and each resource that it does not show already. */

import { useEffect, useRef } from "react";
import { TOPICS } from "../fleet/store.ts";
import { pathOf } from "../place.ts";
import { descriptorOf, RESOURCE_NAMES } from "../resources/descriptors.ts";
import { Link } from "./Link.tsx";

const OTHERS = RESOURCE_NAMES.filter((name) => !TOPICS.some((topic) => topic === name));

export function Menu({ path }: { readonly path: string }) {
  const menu = useRef<HTMLElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is current depends on the path
  useEffect(() => {
    menu.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [path]);
  return (
    <nav className="menu" aria-label="Pages" ref={menu}>
      <ul>
        <li>
          <Link to="/" isCurrent={path === "/"}>
            Servers
          </Link>
        </li>
        {OTHERS.map((name) => (
          <li key={name}>
            <Link to={pathOf(name)} isCurrent={path === pathOf(name)}>
              {descriptorOf(name).label}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}
