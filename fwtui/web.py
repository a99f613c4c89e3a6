"""The screen in a browser, by textual-serve: on loopback, behind a random token that is part of every address."""

from __future__ import annotations

import functools
import hmac
import logging
import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from textual_serve.server import Server

TOKEN_BYTES = 16
CONTENT = "default-src 'self' 'unsafe-inline' data: blob:; connect-src 'self' {}"
"""Nothing is loaded from elsewhere (textual-serve's page asks for a font)."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PrivateServer(Server):  # type: ignore[misc]
    """textual-serve's server, of which nothing can be reached without the token: neither page, files nor websocket.

    Args:
        argv: the program that is shown, anew for each browser tab.
        host: the address to listen on.
        port: the port; 0 for a free one.

    Raises:
        OSError: the address cannot be listened on.
    """

    def __init__(self, argv: Sequence[str], host: str, port: int) -> None:
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self._socket = socket.create_server((host, port), family=_family(host))
        port = self._socket.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        super().__init__(shlex.join(argv), host, port, title="fwtui", public_url=f"http://{shown}:{port}")

    @property
    def url(self) -> str:
        """What is opened in the browser."""
        return f"{self.public_url}/{self.token}/"

    async def _make_app(self) -> web.Application:
        inner = await super()._make_app()
        guard = web.middleware(functools.partial(_guard, self.token, self.public_url))
        app = web.Application(middlewares=[guard])
        app.add_subapp(f"/{self.token}/", inner)
        return app

    async def on_startup(self, app: web.Application) -> None:
        print(f"{self.url}\nopen it in a browser; Ctrl+C ends the server, never a run", flush=True)

    def initialize_logging(self) -> None:
        logging.basicConfig(level=logging.WARNING, format="fwtui: %(message)s", stream=sys.stderr)
        logging.getLogger("aiohttp.access").disabled = True  # its lines would hold the token

    def run(self) -> None:
        """Serve until Ctrl+C."""
        self.initialize_logging()
        web.run_app(self._make_app(), sock=self._socket, print=lambda *words: None, access_log=None)


async def _guard(token: str, site: str, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what has no token, and pages of other sites that got hold of one."""
    given = request.path.split("/")[1]
    if not hmac.compare_digest(given.encode(), token.encode()) or request.headers.get("Origin") not in (None, site):
        raise web.HTTPForbidden(text="fwtui: the address lacks its token; `fwtui serve` printed the whole one\n")
    response = await handler(request)
    if not response.prepared:
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        response.headers["Content-Security-Policy"] = CONTENT.format(site.replace("http", "ws", 1))
    return response


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
