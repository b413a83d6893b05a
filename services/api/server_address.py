"""At which address a request found this installation. Pure.

What a client sends as `Host` ends up in a script that is run as root, so that only what can be an address is taken.
"""

import re

from shared.io.problem import HttpError

_HOST = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")


def server_address(public_url: str, host: str | None, forwarded_proto: str | None, scheme: str) -> str:
    """Return the URL of the installation, without a slash at its end; raises HttpError (400).

    `public_url`, where it is set, wins. `forwarded_proto` is of the proxy in front of us, which replaces a client's.
    """
    if public_url:
        return public_url.rstrip("/")
    if host is None or len(host) > 255 or not _HOST.fullmatch(host):  # noqa: PLR2004  (RFC 1035's bound)
        raise HttpError(400, "bad_request", "Host is no address of this installation")
    return f"{'https' if (forwarded_proto or scheme) == 'https' else 'http'}://{host}"
