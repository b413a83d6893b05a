"""Where a Muster server listens, from the one address that a person knows. Pure."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

_SYNC_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_HTTP_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_SYNC_PATH = "/ws"


def sync_url(url: str) -> str:
    """Return the address of the sync endpoint: `wss://host/ws` for `https://host`; raises ValueError."""
    parts = _split(url)
    path = parts.path.rstrip("/")
    path = path if path.endswith(_SYNC_PATH) else path + _SYNC_PATH
    return urlunsplit((_SYNC_SCHEMES[parts.scheme], parts.netloc, path, "", ""))


def http_url(url: str, path: str) -> str:
    """Return the address of an HTTP path beside the sync endpoint; raises ValueError."""
    parts = _split(url)
    base = parts.path.rstrip("/").removesuffix(_SYNC_PATH)
    return urlunsplit((_HTTP_SCHEMES[parts.scheme], parts.netloc, base + path, "", ""))


def is_loopback(url: str) -> bool:
    """Whether the address is of this machine itself, to which no proxy leads."""
    host = _split(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in _SYNC_SCHEMES or not parts.hostname:
        raise ValueError(f"{url!r} is no address such as https://muster.example.org")
    _ = parts.port  # raises ValueError for what is none
    return parts
