/** The way through a list that is too long to be drawn as a whole. */

interface PartsProps {
  /** Which part is shown, from 0. */
  readonly part: number;
  readonly rows: number;
  /** How many records there are in all. */
  readonly count: number;
  readonly show: (part: number) => void;
}

export function Parts({ part, rows, count, show }: PartsProps) {
  const first = part * rows + 1;
  const last = Math.min(count, first + rows - 1);
  function go(to: number) {
    show(to);
    window.scrollTo(0, 0);
  }
  return (
    <nav className="parts" aria-label="Parts of the list">
      <button className="button" type="button" disabled={part === 0} onClick={() => go(part - 1)}>
        Previous
      </button>
      <p>
        {first.toLocaleString("en")}–{last.toLocaleString("en")} of {count.toLocaleString("en")}
      </p>
      <button className="button" type="button" disabled={last >= count} onClick={() => go(part + 1)}>
        Next
      </button>
    </nav>
  );
}
