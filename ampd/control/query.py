"""OSCQuery: the tree of addresses as JSON over HTTP, values over a WebSocket; and the page.

The WebSocket takes LISTEN and IGNORE as text, and OSC packets as binary frames, which are treated
as those of UDP and TCP are; changes come back as binary OSC.  PATH_CHANGED says that another rig
with other addresses plays.  A browser may open it only from a page of this very server, so that no
page of somewhere else turns the knobs of a box in the same room.

Source: OSCQuery proposal, github.com/Vidvox/OSCQueryProposal.
"""

import asyncio
import ipaddress
import json
import logging
from collections.abc import Mapping
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from ampd import __version__
from ampd.codes import code
from ampd.control.hub import Hub
from ampd.control.osc import Reception
from ampd.control.packet import MAX_DATAGRAM, encode
from ampd.control.params import ROOT, Answer, Param, norm_of, read, rows
from ampd.errors import AmpdError
from ampd.session import Session
from ampd.upload import MAX_BYTES as MAX_UPLOAD

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024
UPLOAD_TYPE = "application/octet-stream"
MAX_UNSENT = 2000  # messages to one WebSocket that does not read
PING_PERIOD_S = 10.0
ACCESS = {"r": 1, "w": 2, "rw": 3, "event": 1, "call": 2}
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

Node = dict[str, Any]


def tree(session: Session, hub: Hub) -> Node:
    """The whole namespace as OSCQuery has it, values included."""
    root: Node = {"FULL_PATH": "/", "ACCESS": 0, "DESCRIPTION": "ampd", "CONTENTS": {}}
    state = session.state
    for param in rows(state):
        _place(root, param, read(param, state, hub.machine), _choices(param, session))
        if param.is_number:
            norm = norm_of(param)
            _place(root, norm, read(norm, state, hub.machine), ())
    return root


def _choices(param: Param, session: Session) -> tuple[str, ...]:
    return param.choices(session.state) if param.choices is not None else ()


def _place(root: Node, param: Param, value: Answer | None, choices: tuple[str, ...]) -> None:
    node, path = root, ""
    for name in param.address.strip("/").split("/"):
        path += f"/{name}"
        contents = node.setdefault("CONTENTS", {})
        node = contents.setdefault(name, {"FULL_PATH": path, "ACCESS": 0})
    node |= {"ACCESS": ACCESS[param.access], "DESCRIPTION": param.text}
    node["TYPE"] = _types(param, value)
    if param.access in ("rw", "r") and value is not None and param.path != "status":
        node["VALUE"] = list(value)
    if param.is_number:
        node |= _number_attributes(param)
    elif choices:
        node["RANGE"] = [{"VALS": list(choices)}]
    if param.unit:
        node["UNIT"] = [param.unit]


def _types(param: Param, value: Answer | None) -> str:
    if param.types == "s...":
        return "s" * (len(value) if value is not None else 1)
    return param.types or "N"


def _number_attributes(param: Param) -> Node:
    is_truth = param.types == "T"
    range_: Node = {"MIN": param.minimum, "MAX": param.maximum}
    if param.taper == "toggle":
        range_ = {"VALS": [False, True] if is_truth else [0, 1]}
    default = bool(param.default) if is_truth else param.default
    return {
        "RANGE": [range_],
        "CLIPMODE": ["both"],
        "TAPER": param.taper,
        "DEFAULT_VALUE": [default],
    }


def find_node(root: Node, path: str) -> Node | None:
    """The node at `path`, None where there is none."""
    node = root
    for name in path.strip("/").split("/"):
        if name:
            node = node.get("CONTENTS", {}).get(name)
            if node is None:
                return None
    return node


class WsPeer:
    """A WebSocket that messages go to; one that does not read is closed."""

    def __init__(self, socket: web.WebSocketResponse, name: str) -> None:
        self._socket = socket
        self._name = name
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
        return self._name


class QueryServer:
    """HTTP and WebSocket. setup() makes it ready; `protocol` serves a connection then."""

    def __init__(self, session: Session, hub: Hub, reception: Reception) -> None:
        self.port = 0
        self._session = session
        self._hub = hub
        self._reception = reception
        self._sockets: set[WsPeer] = set()
        self._runner: web.AppRunner | None = None
        self._page = _page_files()
        self._uploading = asyncio.Lock()  # one file in memory at a time

    async def setup(self) -> None:
        """Make ready to serve."""
        app = web.Application(client_max_size=MAX_UPLOAD)
        app.router.add_get("/page/{name}", self._serve_page)
        app.router.add_post("/save", self._save)
        app.router.add_post("/upload/{name}", self._upload)
        app.router.add_get("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        self._hub.on_tree_change(self._tree_changed)

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
        if (request.content_length or 0) > MAX_BODY:
            return _json({"error": f"expected at most {MAX_BODY} bytes"}, 413)
        try:
            document = await request.json()
            name = document["name"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return _json({"error": 'expected {"name": NAME}'}, 400)
        try:
            return _json({"name": await self._session.save_rig(str(name))})
        except AmpdError as error:
            return _json({"error": str(error)}, 409)

    async def _upload(self, request: web.Request) -> web.Response:
        """POST the bytes of a model or cab. From the page alone, and from this machine alone."""
        if not _same_origin(request) or request.content_type != UPLOAD_TYPE:
            return _json({"error": "only ampd's own page may upload"}, 403)
        if not _is_local(request):
            return _json({"error": "files are taken from the machine itself alone"}, 403)
        if self._uploading.locked():
            return _json({"error": "another file is on its way; send it again"}, 409)
        async with self._uploading:
            data = await request.read()
            try:
                name = await self._session.store(request.match_info["name"], data)
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
        peer = WsPeer(socket, f"ws {request.remote}")
        self._sockets.add(peer)
        try:
            async for message in socket:
                if message.type == WSMsgType.BINARY:
                    self._reception.receive(message.data, peer)
                elif message.type == WSMsgType.TEXT:
                    self._take_text(message.data, peer)
        finally:
            self._sockets.discard(peer)
            self._hub.forget(peer)
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


def _is_local(request: web.Request) -> bool:
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def _same_origin(request: web.Request) -> bool:
    """Whether it comes from no browser, or from a page of this server, reached by a name that no
    stranger can point here."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    host = request.headers.get("Host", "")
    return urlsplit(origin).netloc == host and _is_own_name(urlsplit(f"//{host}").hostname or "")


def _is_own_name(name: str) -> bool:
    if name == "localhost" or name.endswith(".local") or "." not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
