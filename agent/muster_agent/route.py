"""The way to the server: its address, the proxy before it, and the authorities that vouch for it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import socket
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import certifi

from muster_agent.errors import SettingsError

CONNECT_TIMEOUT_S = 5.0
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy; `authorization` is empty where it asks for none."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What a request to the proxy carries."""
        return {"Proxy-Authorization": self.authorization} if self.authorization else {}


class Route:
    """Opens connections to one server.

    Proxies of the environment (`HTTPS_PROXY`, `NO_PROXY`, …) and `SSL_CERT_FILE` and `SSL_CERT_DIR` are respected.
    Raises SettingsError when the proxy is of a kind that is not known.
    """

    def __init__(self, server_url: str) -> None:
        url = urlsplit(server_url)
        self.is_secure = url.scheme == "https"
        self.host = url.hostname or ""
        self.port = url.port or PORTS[url.scheme]
        self.authority = url.netloc
        self.path = url.path
        self.proxy = proxy_of(url.scheme, self.host, self.port)
        self._context: ssl.SSLContext | None = None

    def open(self, timeout_s: float, *, is_tunnel: bool) -> socket.socket:
        """Connect, by a tunnel through the proxy where `is_tunnel` or TLS ask for one. Raises OSError."""
        if self.proxy is None:
            return self._secured(socket.create_connection((self.host, self.port), timeout_s))
        try:
            if not (is_tunnel or self.is_secure):
                return socket.create_connection((self.proxy.host, self.proxy.port), timeout_s)
            tunnel = self._tunnel(self.proxy, timeout_s)
        except OSError as error:
            raise ConnectionError(f"by the proxy {self.proxy.host}:{self.proxy.port}: {error}") from error
        return self._secured(tunnel)

    def target(self, path: str) -> str:
        """Give what a plain request for `path` asks for: a proxy that forwards it wants the whole URL."""
        path = self.path + path
        return f"http://{self.authority}{path}" if self._is_forwarded else path

    def request_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Give a plain request's headers: its own, the host, and what the proxy wants."""
        forwarded = self.proxy.headers if self.proxy and self._is_forwarded else {}
        return {"Host": self.authority, **headers, **forwarded}

    @property
    def _is_forwarded(self) -> bool:
        return self.proxy is not None and not self.is_secure

    def _tunnel(self, proxy: Proxy, timeout_s: float) -> socket.socket:
        connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=timeout_s)
        connection.set_tunnel(self.host, self.port, proxy.headers)
        try:
            connection.connect()
        except http.client.HTTPException as error:
            connection.close()
            raise ConnectionError(f"it does not answer as a proxy ({type(error).__name__})") from error
        opened, connection.sock = connection.sock, None
        return opened

    def _secured(self, plain: socket.socket) -> socket.socket:
        # Each request and answer is small: none waits for the acknowledgement of the one before.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.is_secure:
            return plain
        if self._context is None:
            self._context = tls_context()
        try:
            return self._context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def proxy_of(scheme: str, host: str, port: int) -> Proxy | None:
    """Give the proxy that the environment names for a server. Raises SettingsError where it cannot be used."""
    if sys.platform == "linux" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    # Loaded where there is a proxy, for it costs half a megabyte; other systems name one elsewhere.
    import urllib.request  # noqa: PLC0415

    proxies = urllib.request.getproxies()
    text = proxies.get(scheme) or proxies.get("all")
    if not text or urllib.request.proxy_bypass(f"{host}:{port}") or urllib.request.proxy_bypass(host):
        return None
    url = urlsplit(text if "://" in text else f"http://{text}")
    with contextlib.suppress(ValueError):
        if url.scheme == "http" and url.hostname:
            return Proxy(url.hostname, url.port or PORTS["http"], _basic(url.username, url.password))
    raise SettingsError("the proxy of the environment is not one such as http://proxy.example.org:3128")


def tls_context() -> ssl.SSLContext:
    """Trust the authorities of `SSL_CERT_FILE` or `SSL_CERT_DIR`, or else those that Mozilla trusts."""
    file, directory = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file:
        context = ssl.create_default_context(cafile=file)
    elif directory:
        context = ssl.create_default_context(capath=directory)
    else:
        context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _basic(username: str | None, password: str | None) -> str:
    if username is None:
        return ""
    text = f"{unquote(username)}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(text.encode()).decode()
