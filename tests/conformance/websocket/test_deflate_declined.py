"""Offers of extensions that a server must not agree to, or need not; the connection then goes on without (RFC 7692)."""

from __future__ import annotations

import pytest

from tests.support.raw_websocket import raw_websocket
from tests.support.websocket_frames import RSV1, text
from tests.support.websocket_vectors import expect_failure

_DECLINED = (
    "x-unknown",
    "permessage-bzip2",
    "permessage-deflate; unknown",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=7",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_max_window_bits=010",
    "permessage-deflate; client_max_window_bits=16",
    # section 7.1.2.1: a window of 8 bits is one that zlib cannot compress with
    "permessage-deflate; server_max_window_bits=8",
)


@pytest.mark.parametrize("offers", ["", *_DECLINED])
async def test_without_agreement_nothing_is_compressed(echo_port: int, offers: str) -> None:
    async with raw_websocket(echo_port, offers=offers) as client:
        assert client.deflate is None
        message = text("the same again and again " * 100)
        await client.send(message)
        assert message == await client.receive()
        await client.send(text("x", reserved=RSV1))
        await expect_failure(client, 1002)
