"""permessage-deflate (RFC 7692) at the client's end, on zlib alone."""

from __future__ import annotations

import zlib

TAIL = b"\x00\x00\xff\xff"


class Deflate:
    """What was agreed in the handshake; `parameters` is what the server has answered."""

    def __init__(self, parameters: dict[str, str | None]) -> None:
        known = {
            "server_no_context_takeover",
            "client_no_context_takeover",
            "server_max_window_bits",
            "client_max_window_bits",
        }
        assert known >= set(parameters), f"unknown parameters in {parameters}"
        self.parameters = parameters
        self._own_bits = int(parameters.get("client_max_window_bits") or 15)
        self._server_bits = int(parameters.get("server_max_window_bits") or 15)
        self._compressor = self._new_compressor()
        self._inflater = zlib.decompressobj(-self._server_bits)

    def _new_compressor(self) -> zlib._Compress:
        return zlib.compressobj(wbits=-max(9, self._own_bits))

    def compress(self, payload: bytes) -> bytes:
        """Compress a message of ours."""
        if "client_no_context_takeover" in self.parameters:
            self._compressor = self._new_compressor()
        compressed = self._compressor.compress(payload) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        assert compressed.endswith(TAIL)
        return compressed[: -len(TAIL)] or b"\x00"

    def inflate(self, payload: bytes) -> bytes:
        """Decompress a message of the server, with nothing but this message where the context is not taken over."""
        assert not payload.endswith(TAIL), "the end that section 7.2.1 leaves out was sent"
        if "server_no_context_takeover" in self.parameters:
            self._inflater = zlib.decompressobj(-self._server_bits)
        return self._inflater.decompress(payload + TAIL)


def agreed(header: str) -> Deflate | None:
    """Read the Sec-WebSocket-Extensions that a server has answered; None when it is empty."""
    if not header:
        return None
    name, *parameters = (part.strip() for part in header.split(";"))
    assert name == "permessage-deflate", f"nobody offered {header}"
    pairs = [parameter.partition("=")[::2] for parameter in parameters]
    assert len({key for key, _ in pairs}) == len(pairs), f"a parameter is repeated in {header}"
    return Deflate({key: value.strip('"') or None for key, value in pairs})
