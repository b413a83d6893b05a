"""Prints what was measured."""

import msgspec


class Row(msgspec.Struct, frozen=True):
    """A line of a table: what was measured, and its figures in words."""

    name: str
    figures: tuple[str, ...]
    target: str = ""


def show(title: str, columns: tuple[str, ...], rows: list[Row], notes: list[str] | None = None) -> None:
    """Print a table; `title` stands over the names."""
    width = max(24, len(title), *(len(row.name) for row in rows)) + 2
    print(f"\n{title:{width}}" + "".join(f"{column:>16}" for column in columns))
    for row in rows:
        target = f"   (target: {row.target})" if row.target else ""
        print(f"{row.name:{width}}" + "".join(f"{figure:>16}" for figure in row.figures) + target)
    for note in notes or []:
        print(f"  {note}")
    print(end="", flush=True)
