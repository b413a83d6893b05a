"""What time it is for the history: by PostgreSQL's clock, as far as samples confirm it.

What is closed or dropped stays so. The clock of one worker, or of the whole host, may jump ahead; agents have others.
"""

import datetime as dt

import msgspec
from asyncpg import Pool

from shared.io.database.queries import queries

UNCONFIRMED = dt.timedelta(days=1)
"""By so much the clock may be ahead of all that was heard."""


class Present(msgspec.Struct, frozen=True):
    """What the clock says, and the time of the newest sample of all servers; without any, of the last change."""

    clock: dt.datetime
    newest: dt.datetime | None

    @property
    def is_confirmed(self) -> bool:
        """Whether something was heard that is about as new."""
        return self.newest is None or self.clock <= self.newest + UNCONFIRMED

    @property
    def moment(self) -> dt.datetime:
        """The time up to which there is anything to close or to count from."""
        return self.clock if self.newest is None else min(self.clock, self.newest + UNCONFIRMED)


async def read_present(pool: Pool) -> Present:
    """Ask PostgreSQL."""
    row = await queries("rollups").present(pool)
    return Present(row["clock"], row["newest"])
