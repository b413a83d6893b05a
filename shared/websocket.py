"""Messages as a server writes them to a WebSocket (RFC 6455, 5.2)."""

FINAL_TEXT = 0x81
"""The first byte of a text message in one frame."""


def framed(payload: bytes, first_byte: int = FINAL_TEXT) -> bytes:
    """Return a message as one frame, without a mask."""
    size = len(payload)
    if size < 126:  # noqa: PLR2004  (the length in 7, 16 or 64 bits)
        head = bytes((first_byte, size))
    elif size < 2**16:
        head = bytes((first_byte, 126)) + size.to_bytes(2)
    else:
        head = bytes((first_byte, 127)) + size.to_bytes(8)
    return head + payload
