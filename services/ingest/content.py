"""Undoes the encoding of a body (gzip, zstd) within bounds of size, memory and time, whatever its headers promise.

A body may hold several gzip members or zstd frames one after another, as RFC 1952 and RFC 8878 have it: what they hold
is joined. The work is done in slices, between which others have their turn.
"""

import asyncio
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from services.ingest.account import BYTES_A_SAMPLE, Account
from shared.errors import Malformed
from shared.io.problem import HttpError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_DECODED_BYTES = 4_000_000
"""How large a body may be once its encoding is undone, where a door says nothing else."""

MAX_MEMBERS = 64
"""How many members or frames a body may have: an empty one costs its sender nothing, and us something."""

MAX_AT_ONCE = 4
"""How many bodies are decoded at once: zstd takes the memory of its window for each."""

_SLICE_BYTES = 65_536
_WINDOW_LOG = 23
"""8 MB is what every decoder for HTTP has to support, and no encoder may exceed (RFC 9659)."""


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decoder with the methods that all newer ones have."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        decoded = self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)
        # without a tail, there may still be more to come of what it has taken in
        self.needs_input = len(decoded) < max_length
        return decoded


def _zstd() -> _Decoder:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})


_DECODERS: Mapping[bytes, Callable[[], _Decoder]] = {b"gzip": _Gzip, b"x-gzip": _Gzip, b"zstd": _zstd}
ENCODINGS = frozenset(_DECODERS)
"""The values of `Content-Encoding` that are taken."""

ACCEPTED = (("Accept-Encoding", "gzip, zstd"),)
"""Headers of the answer to a body with another encoding, RFC 7694."""


def decoded_slices(body: bytes, encoding: bytes) -> Iterator[bytes]:
    """Yield what an encoded body holds, in slices of at most 64 kB, empty ones among them; raises Malformed."""
    decoder, members = _DECODERS[encoding](), 1
    try:
        for at in range(0, len(body), _SLICE_BYTES):
            data = body[at : at + _SLICE_BYTES]
            while True:
                if decoder.eof:
                    if not data:
                        break
                    members += 1
                    if members > MAX_MEMBERS:
                        raise Malformed(f"the body has more than {MAX_MEMBERS} members of {encoding.decode()}")
                    decoder = _DECODERS[encoding]()
                yield decoder.decompress(data, _SLICE_BYTES)
                data = decoder.unused_data if decoder.eof else b""
                if not data and (decoder.eof or decoder.needs_input):
                    break
    except (zlib.error, zstd.ZstdError, EOFError) as error:
        raise Malformed(f"the body is not {encoding.decode()}, or is damaged: {error}") from error
    if not decoder.eof:
        raise Malformed(f"the body breaks off in the middle of its {encoding.decode()}")


class ContentDecoder:
    """Decodes bodies, few at once; one for each process."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)

    async def decode(
        self, body: bytes, encoding: bytes, account: Account, limit_bytes: int = MAX_DECODED_BYTES
    ) -> bytes:
        """Return what a body of one of ENCODINGS holds, at the expense of its sender, however that ends.

        Raises Malformed, and HttpError: 413 for more than the limit, 429 when the sender was in debt when it was its
        turn.
        """
        parts: list[bytes] = []
        size_bytes = 0
        async with self._turns:
            account.require_no_debt()
            try:
                for part in decoded_slices(body, encoding):
                    size_bytes += len(part)
                    if size_bytes > limit_bytes:
                        raise _holds_too_much(limit_bytes)
                    parts.append(part)
                    await asyncio.sleep(0)
            finally:
                account.charge(size_bytes // BYTES_A_SAMPLE)
        return b"".join(parts)


def _holds_too_much(limit_bytes: int) -> HttpError:
    return HttpError(413, "too_large", f"a body has at most {limit_bytes} bytes here once it is decoded")
