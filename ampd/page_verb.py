"""ampd page, ampd layouts: where a phone finds the page; surfaces for other people's apps."""

import argparse
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ampd.config import load_config
from ampd.errors import CommandError
from ampd.help import LAYOUTS, PAGE


def add_verbs(
    verbs: Any, verb: Callable[..., Any], kinds: Mapping[str, Callable[[str], int]]
) -> None:
    """Add the verb to the command line; `verb` adds one; ampd.cli.KINDS."""
    page = verb(verbs, "page", show_page, "show where a phone or a browser finds the rack", PAGE)
    layouts = verb(
        verbs,
        "layouts",
        write_layouts,
        "write surfaces for Open Stage Control and TouchOSC",
        LAYOUTS,
    )
    layouts.add_argument(
        "folder", nargs="?", type=Path, default=Path(), metavar="FOLDER", help="default: here"
    )
    for parser in (page, layouts):
        parser.add_argument("--port", type=kinds["port"], metavar="N", help="the daemon's port")


def show_page(options: argparse.Namespace) -> int:
    """ampd page"""
    from ampd.client import ask  # noqa: PLC0415
    from ampd.control.announce import host_name, lan_addresses, page_address  # noqa: PLC0415

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


def write_layouts(options: argparse.Namespace) -> int:
    """ampd layouts [FOLDER]"""
    from ampd.client import ask  # noqa: PLC0415
    from ampd.control.layouts import open_stage_control, params_of, touch_osc  # noqa: PLC0415

    osc = load_config(options.config).osc
    state = json.loads(str(ask(osc.host, options.port or osc.port, "status")[0]))
    params = params_of(state)
    files = {"ampd.json": open_stage_control(params).encode(), "ampd.tosc": touch_osc(params)}
    for name, data in files.items():
        path = options.folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise CommandError(f"{path}: cannot be written ({error.strerror}).") from error
        print(path)
    return 0


def qr_code(text: str) -> str:
    """The text as a QR code of half-block characters, with the border that readers ask for."""
    import segno  # noqa: PLC0415

    out = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(out, border=2, compact=True)
    return out.getvalue()
