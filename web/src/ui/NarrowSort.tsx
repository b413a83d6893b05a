/** How a table is ordered where the screen has no room for the heads of its columns. */

type Direction = "ascending" | "descending";

interface NarrowSortProps<Value extends string> {
  readonly options: readonly { readonly value: Value; readonly label: string }[];
  readonly value: Value;
  readonly direction: Direction;
  readonly choose: (value: Value) => void;
  readonly setDirection: (direction: Direction) => void;
}

export function NarrowSort<Value extends string>(props: NarrowSortProps<Value>) {
  const { options, value, direction, choose, setDirection } = props;
  const other = direction === "ascending" ? "descending" : "ascending";
  return (
    <div className="narrow-sort">
      <label>
        Sort by{" "}
        <select value={value} onChange={(event) => choose(event.target.value as Value)}>
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      </label>
      <button
        className="button"
        type="button"
        aria-label={`Sort ${other}`}
        onClick={() => setDirection(other)}
      >
        {direction === "ascending" ? "↑" : "↓"}
      </button>
    </div>
  );
}
