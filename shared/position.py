"""A place in the change log: the epoch and the sequence number of an entry."""

from typing import Self

import msgspec

from shared.errors import Malformed


class Position(msgspec.Struct, frozen=True, order=True):
    """Where an entry stands in its partition's log; it is the entry's stream id `<epoch>-<seq>`.

    Within an epoch `seq` is dense: 0 opens the epoch, the first change set is 1.
    """

    epoch: int
    seq: int

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read `<epoch>-<seq>`; raises Malformed."""
        if isinstance(text, bytes):
            text = text.decode("ascii", "replace")
        epoch, dash, seq = text.partition("-")
        if not (dash and epoch.isdecimal() and seq.isdecimal()):
            raise Malformed(f"{text!r} is no position of the form <epoch>-<seq>")
        return cls(int(epoch), int(seq))

    def follows(self, earlier: "Position") -> bool:
        """Whether nothing can lie between `earlier` and this one: the next `seq`, or the start of a later epoch."""
        if self.epoch == earlier.epoch:
            return self.seq == earlier.seq + 1
        return self.epoch > earlier.epoch and self.seq == 0

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"
