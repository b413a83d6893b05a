"""Messages of a stream are read as far as they can be, and answers are whole frames."""

import json
from typing import Any

import msgspec
import pytest

from services.ingest.messages import BadSample, MetricsTaken
from services.ingest.stream.messages import (
    LooseMetrics,
    Metrics,
    Unusable,
    acknowledgement,
    read_message,
    refusal,
)
from shared.errors import Malformed, NotFound, Rejected, RetryLater
from shared.io.problem import HttpError
from tests.support.websocket_frames import decode

SAMPLE = {"ts": "2026-01-02T03:04:05Z", "cpu_percent": 1.5}


def metrics(*samples: object) -> str:
    return json.dumps({"op": "metrics", "seq": 7, "samples": samples})


def payload(frame: bytes) -> Any:  # noqa: ANN401  (JSON)
    found = decode(bytearray(frame))
    assert found is not None
    message, size = found
    assert size == len(frame)
    return json.loads(message.payload)


def test_good_samples_are_decoded_with_their_message() -> None:
    read = read_message(metrics(SAMPLE, SAMPLE))
    assert isinstance(read, Metrics)
    assert [1.5, 1.5] == [sample.cpu_percent for sample in read.samples]


@pytest.mark.parametrize("other", [SAMPLE | {"new": 1}, {"ts": 1}, 5, None, [], "é"])
def test_samples_are_told_apart_where_one_is_not_as_declared(other: object) -> None:
    read = read_message(metrics(SAMPLE, other))
    assert isinstance(read, LooseMetrics)
    assert [SAMPLE, other] == [msgspec.json.decode(raw) for raw in read.samples]


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ('{"op":"metrics","seq":7,"samples":{}}', "invalid", "samples"),
        ('{"op":"metrics","seq":7}', "invalid", "samples"),
        ('{"op":"handshake","seq":7}', "invalid", "boot_id"),
        ('{"op":"handshake","seq":7,"boot_id":"b","os":{"name":5}}', "invalid", "os.name"),
        ('{"op":"config","seq":7}', "unknown_op", "op"),
    ],
)
def test_message_with_a_wrong_field_says_which(text: str, code: str, field: str) -> None:
    read = read_message(text)
    assert isinstance(read, Unusable)
    assert isinstance(read.error, Rejected)
    assert (7, code, field) == (read.seq, read.error.code, read.error.field)


@pytest.mark.parametrize("text", ["", "{", '{"op":"status","seq":1}}', '{"op":"status","seq":1.5}', '{"seq":1}'])
def test_what_is_no_message_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        read_message(text)


def test_acknowledgement_says_what_became_of_samples() -> None:
    assert {"op": "ack", "seq": 3} == payload(acknowledgement(3))
    bad = BadSample(1, "invalid_sample", 'a "quoted" word')
    taken = payload(acknowledgement(3, MetricsTaken(2, [bad])))
    assert {"op": "ack", "seq": 3, "accepted": 2, "rejected": [msgspec.to_builtins(bad)]} == taken
    assert [] == payload(acknowledgement(3, MetricsTaken(2, [])))["rejected"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NotFound("none", code="unknown_server"), {"code": "unknown_server", "message": "none"}),
        (Rejected("bad", code="invalid", field="os"), {"code": "invalid", "message": "os: bad"}),
        (RetryLater("wait", retry_after_s=3), {"code": "unavailable", "message": "wait", "retry_after_s": 3}),
        (HttpError(413, "too_many_samples", "many"), {"code": "too_many_samples", "message": "many"}),
        (
            HttpError(429, "too_many_requests", "fast", retry_after_s=1.5),
            {"code": "too_many_requests", "message": "fast", "retry_after_s": 1.5},
        ),
    ],
)
def test_refusal_says_whether_to_try_again(error: Any, told: dict[str, object]) -> None:  # noqa: ANN401  (any error)
    assert {"op": "error", "seq": 5, **told} == payload(refusal(5, error))
