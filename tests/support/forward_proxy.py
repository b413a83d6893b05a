"""An HTTP proxy on loopback, of the kind that companies have: it forwards plain requests and opens tunnels."""

from __future__ import annotations

import http.client
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

AUTHORIZATION = "Basic YWRhOnMzY3JldC8="
USER_INFO = "ada:s3cret%2F"


class ForwardProxy:
    """Runs from `start` to `stop`. `forwarded` and `tunnels` have what it was asked for; it may refuse tunnels."""

    def __init__(self) -> None:
        self.forwarded: list[str] = []
        self.tunnels: list[str] = []
        self.refuses_tunnels = False
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """What an environment names it by."""
        return f"http://{USER_INFO}@127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is open ends with its other side."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], proxy: ForwardProxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_CONNECT(self) -> None:
        self.server.proxy.tunnels.append(self.path)
        self.close_connection = True
        if self.server.proxy.refuses_tunnels or self.headers.get("Proxy-Authorization") != AUTHORIZATION:
            self.send_error(403)
            return
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as target:
            self.send_response(200)
            self.end_headers()
            _relay(self.connection, target)

    def do_POST(self) -> None:
        self.server.proxy.forwarded.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Proxy-Authorization") != AUTHORIZATION:
            self.send_error(407)
            return
        url = urlsplit(self.path)
        connection = http.client.HTTPConnection(url.netloc)
        headers = {name: value for name, value in self.headers.items() if name != "Proxy-Authorization"}
        connection.request("POST", url.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the signature is http.server's
        """Say nothing."""


def _relay(one: socket.socket, other: socket.socket) -> None:
    ways = {one: other, other: one}
    while True:
        for ready in select.select(list(ways), [], [])[0]:
            try:
                data = ready.recv(65_536)
                ways[ready].sendall(data)
            except OSError:
                return
            if not data:
                return
