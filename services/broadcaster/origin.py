"""Which web pages may open a WebSocket (RFC 6455, 10.2): those of this server, and those of the allow-list. Pure."""

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def normal_origin(text: str) -> str:
    """Return `scheme://host[:port]` without a default port, in lower case; empty for what is no origin of a page."""
    try:
        parts = urlsplit(text.strip().lower())
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or _has_more(parts):
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    suffix = "" if port is None or port == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"


def _has_more(parts: SplitResult) -> bool:
    return bool(parts.path or parts.query or parts.fragment or parts.username or parts.password)


def is_allowed_origin(origin: str | None, host: str, allowed: Collection[str]) -> bool:
    """Tell whether a handshake with this `Origin` and `Host` may go on.

    Programs send no Origin. The scheme of the own origin is not compared: a proxy may end the encryption.
    `allowed` holds normal origins.
    """
    if origin is None:
        return True
    normal = normal_origin(origin)
    if not normal:
        return False
    scheme, _, _ = normal.partition("://")
    return normal == normal_origin(f"{scheme}://{host}") or normal in allowed
