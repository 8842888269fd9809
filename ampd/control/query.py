"""OSCQuery: the tree of addresses as JSON over HTTP, values over a WebSocket; and the page.

The WebSocket takes LISTEN and IGNORE as text, and OSC packets as binary frames, which are treated
as those of UDP and TCP are; changes come back as binary OSC.  PATH_CHANGED says that another rig
with other addresses plays, RIGHTS that this one is a guest.  Nothing is served under a name that a
stranger can point here, and a browser may open the socket only from a page of this very server, so
that no page of somewhere else turns the knobs of a box in the same room.  A browser that showed the
pairing token keeps a cookie in its place.

Source: OSCQuery proposal, github.com/Vidvox/OSCQueryProposal.
"""

import asyncio
import ipaddress
import json
import logging
import socket as sockets
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web
from aiohttp.http import HttpProcessingError

from ampd import __version__
from ampd.codes import code
from ampd.control.gate import HOW_TO_PAIR, Gate, Place, Rights
from ampd.control.hub import Hub
from ampd.control.limits import Buckets, Hush
from ampd.control.namespace import Node, find_node, tree
from ampd.control.osc import Reception
from ampd.control.packet import MAX_DATAGRAM, encode
from ampd.control.params import ROOT, Answer
from ampd.errors import AmpdError
from ampd.session import Session
from ampd.upload import MAX_BYTES as MAX_UPLOAD

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024
UPLOAD_TYPE = "application/octet-stream"
MAX_UNSENT = 2000  # messages to one WebSocket that does not read
PING_PERIOD_S = 10.0
KEEPALIVE_S = 15.0  # of a connection without a request
UPLOAD_LIMIT_S = 120.0
REQUESTS_PER_S, REQUEST_BURST = 20, 60  # of one machine of the network
COOKIE_AGE_S = 400 * 24 * 3600  # as long as browsers keep one
HTTP_LIMIT = 429
ATTRIBUTES = (
    "FULL_PATH",
    "CONTENTS",
    "DESCRIPTION",
    "TYPE",
    "ACCESS",
    "VALUE",
    "RANGE",
    "UNIT",
    "CLIPMODE",
    "DEFAULT_VALUE",
    "TAPER",
)
EXTENSIONS = ("ACCESS", "VALUE", "RANGE", "DESCRIPTION", "UNIT", "CLIPMODE", "LISTEN")
PAGE_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class WsPeer:
    """A WebSocket that messages go to; one that does not read is closed."""

    is_known = True

    def __init__(
        self, socket: web.WebSocketResponse, place: Place, rights: Rights, hush: Hush
    ) -> None:
        self.place = place
        self.rights = rights
        self._socket = socket
        self._hush = hush
        self._unsent: asyncio.Queue[bytes | str] = asyncio.Queue(MAX_UNSENT)
        self._writer = asyncio.create_task(self._write(), name="websocket")

    def send(self, address: str, arguments: Answer) -> None:
        self._put(encode(address, arguments))

    def tell(self, command: str, data: object) -> None:
        """Send a notice of the server as JSON."""
        self._put(json.dumps({"COMMAND": command, "DATA": data}))

    def end(self) -> None:
        """Send nothing more."""
        self._writer.cancel()

    def _put(self, what: bytes | str) -> None:
        if self._writer.done():
            return
        try:
            self._unsent.put_nowait(what)
        except asyncio.QueueFull:
            if self._hush.has_room():
                log.warning("%s does not read; it is let go.", self, extra=code("CLIENT-SLOW"))
            self._writer.cancel()

    async def _write(self) -> None:
        try:
            while True:
                what = await self._unsent.get()
                if isinstance(what, bytes):
                    await self._socket.send_bytes(what)
                else:
                    await self._socket.send_str(what)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the reading side sees the end
        finally:
            if not self._socket.closed:
                asyncio.get_running_loop().create_task(self._socket.close())

    def __str__(self) -> str:
        return f"ws {self.place[0]}"


class Journal(logging.Filter):
    """What aiohttp would log of a bad request with a traceback, as one line; a fault of ours as
    one of ours."""

    def __init__(self, hush: Hush) -> None:
        super().__init__()
        self._hush = hush

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            if self._hush.has_room():
                sender = record.args[0] if isinstance(record.args, tuple) and record.args else "?"
                what = type(error).__name__
                log.warning("HTTP from %s dropped: %s", sender, what, extra=code("HTTP-DROPPED"))
        elif record.levelno >= logging.WARNING and self._hush.has_room():
            log.error(record.getMessage(), exc_info=record.exc_info, extra=code("INTERNAL"))
        return False


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class QueryServer:
    """HTTP and WebSocket. setup() makes it ready; `protocol` serves a connection then."""

    def __init__(
        self, session: Session, hub: Hub, reception: Reception, gate: Gate, hush: Hush
    ) -> None:
        self.port = 0
        self._gate = gate
        self._hush = hush
        self._requests = Buckets(REQUESTS_PER_S, REQUEST_BURST)
        self._session = session
        self._hub = hub
        self._reception = reception
        self._sockets: set[WsPeer] = set()
        self._runner: web.AppRunner | None = None
        self._page = _page_files()
        self._uploading = asyncio.Lock()  # one file in memory at a time

    async def setup(self) -> None:
        """Make ready to serve."""
        app = web.Application(client_max_size=MAX_UPLOAD, middlewares=[self._admit])
        app.router.add_get("/page/{name}", self._serve_page)
        app.router.add_post("/pair", self._pair)
        app.router.add_post("/save", self._save)
        app.router.add_post("/upload/{name}", self._upload)
        app.router.add_get("/{path:.*}", self._serve)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=1.0,
            keepalive_timeout=KEEPALIVE_S,
            logger=_logger(self._hush),
        )
        await self._runner.setup()
        self._hub.on_tree_change(self._tree_changed)
        self._gate.on_renewal(self._end_paired)

    async def close(self) -> None:
        """End every WebSocket and request."""
        for peer in list(self._sockets):
            peer.end()
        if self._runner is not None:
            await self._runner.cleanup()

    def protocol(self) -> asyncio.Protocol:
        """What serves one new connection."""
        assert self._runner is not None
        assert self._runner.server is not None
        return self._runner.server()

    # --- who asks -------------------------------------------------------------------------------

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What holds for every request."""
        if not _is_own_name(_host(request)):
            return _json({"error": "ask by an address, localhost or a .local name"}, 403)
        is_here = self._rights(request) is Rights.LOCAL
        if not is_here and not self._requests.take(request.remote):
            return _json({"error": f"at most {REQUESTS_PER_S} requests a second"}, HTTP_LIMIT)
        return await handler(request)

    def _rights(self, request: web.Request) -> Rights:
        rights = self._gate.rights_of(request.remote or "") or Rights.GUEST
        is_paired = self._gate.is_cookie(request.cookies.get(self._cookie_name, ""))
        return max(rights, Rights.PAIRED) if is_paired else rights

    @property
    def _cookie_name(self) -> str:
        return f"ampd-{self.port}"  # browsers tell hosts apart, not ports

    async def _pair(self, request: web.Request) -> web.Response:
        """POST {"token": TOKEN}: a cookie for the browser that knows it. From the page alone."""
        if not _same_origin(request):
            return _json({"error": "only ampd's own page may pair"}, 403)
        try:
            token = str((await _small_document(request))["token"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return _json({"error": 'expected {"token": TOKEN}'}, 400)
        cookie = self._gate.cookie_for(token)
        if not cookie:
            if self._hush.has_room():
                log.warning("%s: a wrong token.", request.remote, extra=code("PAIR-REFUSED"))
            return _json({"error": "this is not the box's token; `ampd page` shows it"}, 403)
        response = _json({"paired": True})
        response.set_cookie(
            self._cookie_name, cookie, max_age=COOKIE_AGE_S, httponly=True, samesite="Strict"
        )
        return response

    def _end_paired(self) -> None:
        """Whoever was paired comes back as a guest."""
        for peer in self._sockets:
            if peer.rights is Rights.PAIRED:
                peer.end()

    # --- HTTP -----------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(request)
        query = list(request.query)
        if "HOST_INFO" in query:
            return _json(self._host_info(request))
        if not query and request.path == "/" and "text/html" in request.headers.get("Accept", ""):
            return self._page_response("index.html")
        node = find_node(tree(self._session, self._hub), request.path)
        if node is None:
            return _json({"error": f"{request.path}: there is no such address"}, 404)
        if not query:
            return _json(node)
        if len(query) > 1 or query[0] not in ATTRIBUTES:
            return _json({"error": f"expected one of HOST_INFO, {', '.join(ATTRIBUTES)}"}, 400)
        if query[0] not in node:
            return web.Response(status=204)
        return _json({query[0]: node[query[0]]})

    def _host_info(self, request: web.Request) -> Node:
        extensions = dict.fromkeys(EXTENSIONS, True) | {"PATH_CHANGED": True}
        return {
            "NAME": "ampd",
            "VERSION": __version__,
            "OSC_PORT": self.port,
            "OSC_TRANSPORT": "UDP",
            "WS_PORT": self.port,
            "EXTENSIONS": extensions,
        }

    async def _serve_page(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._page:
            return _json({"error": f"{name[:80]}: there is no such file"}, 404)
        return self._page_response(name)

    def _page_response(self, name: str) -> web.Response:
        content_type = PAGE_TYPES["." + name.rpartition(".")[2]]
        response = web.Response(
            body=self._page[name], content_type=content_type, headers=PAGE_HEADERS
        )
        response.charset = "utf-8"
        response.enable_compression()
        return response

    async def _save(self, request: web.Request) -> web.Response:
        """POST {"name": NAME}: keep what plays as a new rig. From the page alone."""
        if not _same_origin(request) or request.content_type != "application/json":
            return _json({"error": "only ampd's own page may save, as JSON"}, 403)
        if self._rights(request) < Rights.PAIRED:
            return _json({"error": f"save: {HOW_TO_PAIR}"}, 403)
        try:
            name = (await _small_document(request))["name"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return _json({"error": 'expected {"name": NAME}'}, 400)
        try:
            return _json({"name": await self._session.save_rig(str(name))})
        except AmpdError as error:
            return _json({"error": str(error)}, 409)

    async def _upload(self, request: web.Request) -> web.Response:
        """POST the bytes of a model or cab. From the page alone, here or paired."""
        if not _same_origin(request) or request.content_type != UPLOAD_TYPE:
            return _json({"error": "only ampd's own page may upload"}, 403)
        if self._rights(request) < Rights.PAIRED:
            return _json({"error": f"upload: {HOW_TO_PAIR}"}, 403)
        if self._uploading.locked():
            return _json({"error": "another file is on its way; send it again"}, 409)
        async with self._uploading:
            try:
                async with asyncio.timeout(UPLOAD_LIMIT_S):
                    data = await request.read()
                name = await self._session.store(request.match_info["name"], data)
            except TimeoutError:
                return _json({"error": f"it took over {UPLOAD_LIMIT_S:g} s to come"}, 408)
            except AmpdError as error:
                return _json({"error": str(error)}, 409)
            return _json({"name": name})

    # --- WebSocket ------------------------------------------------------------------------------

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        if not _same_origin(request):
            return _json({"error": "a page of another server may not come in here"}, 403)
        socket = web.WebSocketResponse(
            heartbeat=PING_PERIOD_S, max_msg_size=MAX_DATAGRAM, compress=False
        )
        await socket.prepare(request)
        peername = request.get_extra_info("peername") or ("", 0)
        peer = WsPeer(socket, (peername[0], peername[1]), self._rights(request), self._hush)
        self._sockets.add(peer)
        if peer.rights is Rights.GUEST:
            peer.tell("RIGHTS", "guest")
        try:
            async for message in socket:
                if message.type == WSMsgType.BINARY:
                    self._reception.receive(message.data, peer)
                elif message.type == WSMsgType.TEXT and self._reception.has_turn(peer):
                    self._take_text(message.data, peer)
                if pause_s := self._reception.pause_s(peer, 1):
                    await asyncio.sleep(pause_s)
        finally:
            self._sockets.discard(peer)
            self._hub.hang_up(peer)
            peer.end()
        return socket

    def _take_text(self, text: str, peer: WsPeer) -> None:
        try:
            request = json.loads(text)
            command, address = request["COMMAND"], request["DATA"]
            if command not in ("LISTEN", "IGNORE") or not isinstance(address, str):
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            self._reception.complain(peer, "found no LISTEN or IGNORE of an address")
            return
        try:
            self._hub.listen(peer, address, command == "LISTEN")
        except AmpdError as error:
            peer.send(f"{ROOT}error", (address[:255], str(error)))

    def _tree_changed(self) -> None:
        for peer in self._sockets:
            peer.tell("PATH_CHANGED", ROOT.rstrip("/"))


def _logger(hush: Hush) -> logging.Logger:
    """What the HTTP server logs to; it ends with the server, as one that has a name would not."""
    found = logging.Logger("http")
    found.addFilter(Journal(hush))
    return found


def _page_files() -> Mapping[str, bytes]:
    """The files of the page, by name, in memory: they are small and few."""
    folder = resources.files("ampd.control").joinpath("page")
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if file.is_file() and "." + file.name.rpartition(".")[2] in PAGE_TYPES
    }


def _json(document: object, status: int = 200) -> web.Response:
    return web.json_response(document, status=status, headers={"Cache-Control": "no-cache"})


async def _small_document(request: web.Request) -> Any:
    """A request's JSON. Raises ValueError, RecursionError."""
    data = bytearray()
    async for part in request.content.iter_chunked(4096):
        data += part
        if len(data) > MAX_BODY:
            raise ValueError
    return json.loads(data)


def _host(request: web.Request) -> str:
    """The name by which the server was asked, without its port."""
    try:
        return urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        return "."


def _same_origin(request: web.Request) -> bool:
    """Whether it comes from no browser, or from a page of this server."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    return origin.partition("://")[2] == request.headers.get("Host", "")


def _is_own_name(name: str) -> bool:
    if name in ("localhost", sockets.gethostname().lower()) or name.endswith(".local"):
        return True
    if "." not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
