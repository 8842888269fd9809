"""ampd page: where a phone finds the page, as an address and as a code to be photographed."""

import argparse
import io
from collections.abc import Callable
from typing import Any

from ampd.config import load_config
from ampd.help import PAGE


def add_page(verbs: Any, verb: Callable[..., Any], port: Callable[[str], int]) -> None:
    """Add the verb to the command line; `verb` adds one, `port` reads a port."""
    page = verb(verbs, "page", show_page, "show where a phone or a browser finds the rack", PAGE)
    page.add_argument("--port", type=port, metavar="N", help="the daemon's port")


def show_page(options: argparse.Namespace) -> int:
    """ampd page"""
    from ampd.control.announce import host_name, lan_addresses, page_address  # noqa: PLC0415
    from ampd.control.osc import ask  # noqa: PLC0415

    config = load_config(options.config)
    port = options.port or config.osc.port
    ask(config.osc.host, port, "ping", answer_path="pong")
    addresses = lan_addresses() if config.control.lan else []
    if not addresses:
        print(page_address(config.osc.host, port))
        print(
            "Only this machine can open it. With 'lan = true' under [control] in ampd.toml\n"
            "phones and tablets of the same network can, too."
        )
        return 0
    best = page_address(addresses[0], port)
    print(qr_code(best), end="")
    for host in (*addresses, host_name()):
        print(page_address(host, port))
    return 0


def qr_code(text: str) -> str:
    """The text as a QR code of half-block characters, with the border that readers ask for."""
    import segno  # noqa: PLC0415

    out = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(out, border=2, compact=True)
    return out.getvalue()
