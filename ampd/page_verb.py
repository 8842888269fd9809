"""ampd page, pair, layouts: where a phone finds the page and how it pairs; surfaces for other
people's apps."""

import argparse
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ampd.config import load_config
from ampd.errors import CommandError
from ampd.help import LAYOUTS, PAGE, PAIR


def add_verbs(
    verbs: Any, verb: Callable[..., Any], kinds: Mapping[str, Callable[[str], int]]
) -> None:
    """Add the verbs to the command line; `verb` adds one; ampd.cli.KINDS."""
    page = verb(verbs, "page", show_page, "show where a phone or a browser finds the rack", PAGE)
    pair = verb(verbs, "pair", show_token, "show the pairing token, or make another one", PAIR)
    pair.add_argument("--new", action="store_true", help="another token: who was paired is a guest")
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
    layouts.add_argument(
        "--paired", action="store_true", help="with the pairing token in every address"
    )
    for parser in (page, pair, layouts):
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
    token = ask(config.osc.host, port, "pair")[0]
    print(qr_code(f"{page_address(addresses[0], port)}#pair={token}"), end="")
    for host in (*addresses, host_name()):
        print(f"{page_address(host, port)}#pair={token}")
    print(
        "Who opens one of these is paired and may turn every knob. Without what stands behind #\n"
        "it is a guest's: rigs, snapshots, mute and tuner."
    )
    return 0


def show_token(options: argparse.Namespace) -> int:
    """ampd pair [--new]"""
    print(_token(options, new=options.new))
    return 0


def _token(options: argparse.Namespace, new: bool = False) -> str:
    """The daemon's pairing token. Raises CommandError where it has none."""
    from ampd.client import ask, listens_at  # noqa: PLC0415

    host, port = listens_at(options.config, options.port)
    return str(ask(host, port, "pair", ["new"] if new else [])[0])


def write_layouts(options: argparse.Namespace) -> int:
    """ampd layouts [FOLDER] [--paired]"""
    from ampd.client import ask, listens_at  # noqa: PLC0415
    from ampd.control.layouts import open_stage_control, params_of, touch_osc  # noqa: PLC0415

    host, port = listens_at(options.config, options.port)
    state = json.loads(str(ask(host, port, "status")[0]))
    params = params_of(state)
    prefix = f"{_token(options)}/" if options.paired else ""
    files = {
        "ampd.json": open_stage_control(params, prefix).encode(),
        "ampd.tosc": touch_osc(params, prefix),
    }
    for name, data in files.items():
        path = options.folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            if options.paired:
                path.chmod(0o600)
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
