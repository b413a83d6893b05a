"""Reads a body of metrics: which samples are good, as they will be stored, and what is wrong with the others. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from services.ingest.faults import UNREADABLE, fault_of, not_json
from services.ingest.messages import BadSample
from shared.errors import Malformed, MusterError, Rejected
from shared.operation import Draft
from shared.resources.metrics import MEASUREMENTS, Sample

MAX_SAMPLES = 1000
"""How many samples one request may carry."""

MAX_SKEW = timedelta(minutes=5)
"""A sample further in the future than this gets the server's time."""


class _KnownSample(Sample, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sample in which every name is known: as agents of our own version send it."""


class Batch(msgspec.Struct):
    """What a body held. `indexes[i]` is the place in the body of the sample in `drafts[i]`."""

    drafts: list[Draft]
    indexes: list[int]
    rejected: list[BadSample] = []
    skewed: int = 0
    with_unknown_fields: int = 0


class TooManySamples(MusterError):
    """The array is longer than `MAX_SAMPLES`: send it in parts."""

    code = "too_many_samples"


_BAD = "invalid_sample"

_decode_one = msgspec.json.Decoder(_KnownSample).decode
_decode_many = msgspec.json.Decoder(list[_KnownSample]).decode
_decode_lenient = msgspec.json.Decoder(Sample).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def read_batch(body: bytes, server_id: str, now: datetime) -> Batch:
    """Read one sample or an array of them, to become the server's latest.

    Raises Malformed when the body is no JSON, Rejected when the one sample in it is bad, and TooManySamples; of an
    array the bad ones are left out and reported.
    """
    reader = _Reader(server_id, now)
    if body.lstrip()[:1] == b"[":
        return reader.read_array(body)
    reader.take(0, reader.decode(body))
    return reader.batch


class _Reader:
    """Fills one batch."""

    def __init__(self, server_id: str, now: datetime) -> None:
        self.batch = Batch([], [])
        self._server_id = server_id
        self._now = now
        self._latest = now + MAX_SKEW

    def read_array(self, body: bytes) -> Batch:
        """Take all samples of an array at once; only where that fails, one by one."""
        try:
            samples: Sequence[Sample] = _decode_many(body)
        except UNREADABLE:
            return self._read_one_by_one(body)
        _check_count(len(samples))
        try:
            for index, sample in enumerate(samples):
                self.take(index, sample)
        except Rejected:
            self.batch = Batch([], [])
            return self._read_one_by_one(body)
        return _in_order_of_seq(self.batch)

    def _read_one_by_one(self, body: bytes) -> Batch:
        try:
            raw_samples = _decode_array(body)
        except UNREADABLE as error:
            raise not_json(error) from error
        _check_count(len(raw_samples))
        for index, raw in enumerate(raw_samples):
            try:
                self.take(index, self.decode(raw))
            except (Rejected, Malformed) as error:
                field = getattr(error, "field", None)
                message = f"{field}: {error}" if field else str(error)
                self.batch.rejected.append(BadSample(index, _BAD, message))
        return _in_order_of_seq(self.batch)

    def decode(self, body: bytes | msgspec.Raw) -> Sample:
        """Decode a sample, and count it when it has fields that are not known (they are dropped)."""
        try:
            return _decode_one(body)
        except UNREADABLE:
            pass
        try:
            sample = _decode_lenient(body)
        except UNREADABLE as error:
            raise fault_of(body, error, code=_BAD) from error
        self.batch.with_unknown_fields += 1
        return sample

    def take(self, index: int, sample: Sample) -> None:
        """Add a sample in its canonical form; raises Rejected when it cannot be stored."""
        if sample.cpu_percent is None and not _has_measurement(sample):
            raise Rejected("a sample needs at least one measurement", code=_BAD)
        if sample.ts.tzinfo is not UTC:
            sample = msgspec.structs.replace(sample, ts=_as_utc(sample.ts))
        if sample.ts > self._latest:
            sample = msgspec.structs.replace(sample, ts=self._now)
            self.batch.skewed += 1
        identity = (sample.boot_id, sample.seq) if sample.boot_id and sample.seq else None
        self.batch.drafts.append(Draft(id=self._server_id, action="put", data=_encode(sample), sample=identity))
        self.batch.indexes.append(index)


def _check_count(count: int) -> None:
    if count > MAX_SAMPLES:
        raise TooManySamples(f"{count} samples in one request, at most {MAX_SAMPLES} are taken")


def _as_utc(ts: datetime) -> datetime:
    try:
        return ts.astimezone(UTC)
    except OverflowError as error:
        raise Rejected("the time is outside of the calendar", code=_BAD, field="ts") from error


def _has_measurement(sample: Sample) -> bool:
    return any(getattr(sample, name) not in (None, {}, ()) for name in MEASUREMENTS)


def _in_order_of_seq(batch: Batch) -> Batch:
    """Put the samples of each boot in the order of `seq`: one after a later one would be taken for a repetition."""
    last: dict[str, int] = {}
    for draft in batch.drafts:
        boot_id, seq = draft.sample or ("", 0)
        if seq < last.get(boot_id, 0):
            break
        last[boot_id] = seq
    else:
        return batch
    boots: dict[str, int] = {}
    keys = []
    for place, draft in enumerate(batch.drafts):
        boot_id, seq = draft.sample or ("", 0)
        keys.append((boots.setdefault(boot_id, place), seq))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    batch.drafts = [batch.drafts[place] for place in order]
    batch.indexes = [batch.indexes[place] for place in order]
    return batch
