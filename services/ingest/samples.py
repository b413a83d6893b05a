"""Reads a body of metrics: which samples are good, as they will be stored, and what is wrong with the others. Pure."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import le
from typing import TypeVar

import msgspec

from services.ingest.faults import fault_of, not_json
from services.ingest.items import MAX_SAMPLES, TooManySamples, items_of
from services.ingest.messages import BadSample
from shared.errors import Malformed, Rejected
from shared.names import is_id
from shared.operation import Draft
from shared.resources.metrics import MEASUREMENTS, Sample
from shared.validation import UNREADABLE, decode

MAX_SKEW = timedelta(minutes=5)
"""A sample further in the future than this gets the server's time."""

MAX_SAMPLE_BYTES = 66_560
"""How large a sample may be as it is stored. Agents keep to 64 KiB as they write it, which may be a little shorter."""


class KnownSample(Sample, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sample in which every name is known: as agents of our own version send it."""


class Batch(msgspec.Struct):
    """What a body held."""

    drafts: list[Draft]
    last: Sample | None = None
    """The last one that is taken, as it was sent."""
    rejected: list[BadSample] = []
    skewed: int = 0
    with_unknown_fields: int = 0


UNIDENTIFIED = ("", 0)
_BAD, _LARGE = "invalid_sample", "too_large_sample"
_Found = TypeVar("_Found")

_decode_one = msgspec.json.Decoder(KnownSample).decode
_decode_many = msgspec.json.Decoder(list[KnownSample]).decode
_decode_known_names = msgspec.json.Decoder(
    msgspec.defstruct(
        "_KnownNames",
        [(name, msgspec.Raw, msgspec.Raw()) for name in Sample.__struct_fields__],
        forbid_unknown_fields=True,
    )
).decode
_encode = msgspec.json.Encoder().encode


def read_batch(body: bytes, server_id: str, now: datetime) -> Batch:
    """Read one sample or an array of them, to become the server's latest.

    Raises Malformed when the body is no JSON, Rejected when the one sample in it is bad, and TooManySamples; of an
    array the bad ones are left out and reported.
    """
    reader = _Reader(server_id, now)
    if body.lstrip()[:1] == b"[":
        return reader.read_array(body)
    reader.take([reader.decode(body)])
    return reader.batch


def batch_of(samples: Sequence[Sample], server_id: str, now: datetime) -> Batch:
    """Make a batch of samples that are decoded already.

    Raises TooManySamples; the bad ones are left out and reported.
    """
    return _Reader(server_id, now).batch_of(samples)


def batch_of_each(raw_samples: Sequence[msgspec.Raw], server_id: str, now: datetime) -> Batch:
    """Make a batch of samples of which some may be no samples at all; else as `batch_of`."""
    return _Reader(server_id, now).read_one_by_one(raw_samples)


class _Reader:
    """Fills one batch."""

    def __init__(self, server_id: str, now: datetime) -> None:
        self.batch = Batch([])
        self._server_id = server_id
        self._now = now
        self._latest = now + MAX_SKEW

    def read_array(self, body: bytes) -> Batch:
        """Take all samples of an array at once; only where that fails, one by one."""
        try:
            samples: Sequence[Sample] = _decode_many(body)
        except UNREADABLE:
            try:
                return self.read_one_by_one(items_of(body))
            except UNREADABLE as error:
                raise not_json(error) from error
        return self.batch_of(samples)

    def batch_of(self, samples: Sequence[Sample]) -> Batch:
        """Take all samples at once; only where that fails, one by one."""
        _check_count(len(samples))
        try:
            self.take(samples)
        except Rejected:
            self.batch = Batch([])
            return self._each(samples, lambda sample: sample)
        return _in_order_of_seq(self.batch)

    def read_one_by_one(self, raw_samples: Sequence[msgspec.Raw]) -> Batch:
        """Take those that are good, and report the others."""
        _check_count(len(raw_samples))
        return self._each(raw_samples, self.decode)

    def _each(self, found: Sequence[_Found], sample_of: Callable[[_Found], Sample]) -> Batch:
        for index, one in enumerate(found):
            try:
                self.take([sample_of(one)])
            except (Rejected, Malformed) as error:
                field = getattr(error, "field", None)
                message = f"{field}: {error}" if field else str(error)
                code = error.code if isinstance(error, Rejected) else _BAD
                self.batch.rejected.append(BadSample(index, code, message))
        return _in_order_of_seq(self.batch)

    def decode(self, body: bytes | msgspec.Raw) -> Sample:
        """Decode a sample, and count it when it has fields that are not known (they are dropped)."""
        try:
            return _decode_one(body)
        except UNREADABLE:
            pass
        try:
            sample = decode(body, Sample)
            self.batch.with_unknown_fields += _has_unknown_fields(body)
        except UNREADABLE as error:
            raise fault_of(body, error, code=_BAD) from error
        return sample

    def take(self, samples: Iterable[Sample]) -> None:
        """Add samples in their canonical form; raises Rejected at the first one that cannot be stored."""
        server_id, latest, drafts = self._server_id, self._latest, self.batch.drafts
        boot_id, sample = "", None
        for sample in samples:
            if sample.boot_id != boot_id:
                boot_id = sample.boot_id
                _check_form(boot_id)
            if sample.cpu_percent is None and not _has_measurement(sample):
                raise Rejected("a sample needs at least one measurement", code=_BAD)
            taken = sample
            if sample.ts.tzinfo is not UTC or sample.ts > latest:
                taken = self._at_a_good_time(sample)
            data = _encode(taken)
            if len(data) > MAX_SAMPLE_BYTES:
                raise Rejected(f"it has {len(data):,} bytes, at most {MAX_SAMPLE_BYTES:,} are kept", code=_LARGE)
            identity = (boot_id, sample.seq) if boot_id and sample.seq else UNIDENTIFIED
            drafts.append(Draft(id=server_id, action="put", data=data, sample=identity))
        self.batch.last = sample

    def _at_a_good_time(self, sample: Sample) -> Sample:
        """Return the sample with its time in UTC, and not in the future."""
        try:
            ts = sample.ts.astimezone(UTC)
        except OverflowError as error:
            raise Rejected("the time is outside of the calendar", code=_BAD, field="ts") from error
        if ts > self._latest:
            ts = self._now
            self.batch.skewed += 1
        return msgspec.structs.replace(sample, ts=ts)


def _has_unknown_fields(body: bytes | msgspec.Raw) -> bool:
    """Whether this JSON object has names that no sample has."""
    try:
        _decode_known_names(body)  # ends at the first one: how many there are is up to whoever sent them
    except msgspec.ValidationError:
        return True
    return False


def _check_form(boot_id: str) -> None:
    if boot_id and not is_id(boot_id):
        raise Rejected("`boot_id` has letters, digits, `_` and `-` only", code=_BAD, field="boot_id")


def _check_count(count: int) -> None:
    if count > MAX_SAMPLES:
        raise TooManySamples(f"{count} samples in one request, at most {MAX_SAMPLES} are taken")


def _has_measurement(sample: Sample) -> bool:
    return any(getattr(sample, name) not in (None, {}, ()) for name in MEASUREMENTS)


def _in_order_of_seq(batch: Batch) -> Batch:
    """Put the samples of each boot in the order of `seq`: one after a later one would be late, for history alone."""
    if len(batch.drafts) == 1:
        return batch
    identities = [draft.sample or UNIDENTIFIED for draft in batch.drafts]
    if all(map(le, identities, identities[1:])):
        return batch
    first: dict[str, int] = {}
    keys = [(first.setdefault(boot_id, place), seq) for place, (boot_id, seq) in enumerate(identities)]
    batch.drafts = [batch.drafts[place] for place in sorted(range(len(keys)), key=keys.__getitem__)]
    return batch
