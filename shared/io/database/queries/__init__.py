"""Named queries: each `.sql` file beside this one is a group, each query in it a method that takes a connection.

`queries("accounts").find_user(connection, email=…)`; the form of the files is aiosql's.
"""

from functools import cache
from pathlib import Path
from typing import Any

import aiosql


@cache
def queries(group: str) -> Any:  # noqa: ANN401  (aiosql makes the methods at run time)
    """Load the group of queries in `<group>.sql`."""
    return aiosql.from_path(Path(__file__).parent / f"{group}.sql", "asyncpg", mandatory_parameters=False)
