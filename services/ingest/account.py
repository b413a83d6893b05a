"""What a sender may still send, counted in samples: each request costs one, and more for what there is in it.

One that is not in debt is let in, and pays for all that its request turns out to be, if need be by owing it: so that
no request is too dear ever to be taken, no work is for nothing, and none is free because it ended in an error.
"""

from services.ingest.rates import Rates
from shared.io.problem import HttpError

BYTES_A_SAMPLE = 1000
"""A body costs as much as a sample for each so many bytes, besides the samples in it, and so does what is decoded."""

RECORD_COST = 20
"""What a message that is written into records costs, in samples."""


class Account:
    """One sender's; `who` is it in the words of an error, such as “this agent”."""

    __slots__ = ("_key", "_rates", "_who")

    def __init__(self, rates: Rates, key: str, who: str) -> None:
        self._rates = rates
        self._key = key
        self._who = who

    def let_in(self, size_bytes: int = 0) -> None:
        """Take what a message of this size costs, but for what is in it; raises HttpError (429)."""
        wait_s = self._rates.take(self._key, 1 + size_bytes // BYTES_A_SAMPLE)
        if wait_s:
            raise self._too_much(wait_s)

    def weigh(self, size_bytes: int) -> None:
        """Take what a body costs that was read after its request was let in.

        Raises HttpError (429) when others of the sender's have got it into debt meanwhile.
        """
        if size_bytes >= BYTES_A_SAMPLE:
            self.require_no_debt()
            self.charge(size_bytes // BYTES_A_SAMPLE)

    def require_no_debt(self) -> None:
        """Raise HttpError (429) while the sender owes something."""
        wait_s = self._rates.owed_s(self._key)
        if wait_s:
            raise self._too_much(wait_s)

    def charge(self, samples: int) -> None:
        """Take what something costs, in any case."""
        self._rates.charge(self._key, samples)

    def _too_much(self, wait_s: float) -> HttpError:
        return HttpError(429, "too_many_requests", f"{self._who} sends too much", retry_after_s=wait_s)
