"""ampd run | ports: the daemon itself, and the ports that it would use."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ampd.config import MAX_OUTPUTS, load_config
from ampd.errors import AmpdError, CommandError


def add_verbs(
    verbs: Any, verb: Callable[..., Any], kinds: Mapping[str, Callable[[str], int]]
) -> None:
    """Add the verbs to the command line; `verb` adds one; ampd.cli.KINDS."""
    run = verb(
        verbs,
        "run",
        run_daemon,
        "play live through JACK until stopped",
        "Without a JACK server it waits for one. SIGTERM and Ctrl-C stop it cleanly.",
    )
    what = run.add_mutually_exclusive_group()
    what.add_argument("--rig", metavar="NAME", help="start with this rig")
    what.add_argument("--model", type=Path, metavar="FILE", help="play this one model file")
    run.add_argument("--input", metavar="PORT", help="JACK port of the guitar (a pattern)")
    run.add_argument(
        "--output",
        metavar="PORT",
        nargs="+",
        action="extend",
        help="JACK port to play to: once for the left, twice for left and right",
    )
    run.add_argument("--osc-port", type=kinds["port"], metavar="N", help="UDP port for commands")
    verb(verbs, "ports", list_ports, "list JACK's ports and mark those that ampd would use")


def run_daemon(options: argparse.Namespace) -> int:
    """ampd run"""
    import logging  # noqa: PLC0415

    from ampd.codes import code  # noqa: PLC0415
    from ampd.journal import begin_log  # noqa: PLC0415

    log = logging.getLogger(__name__)
    begin_log()
    try:
        return _run(options)
    except AmpdError as error:
        log.error(str(error), extra=code("START"))
        return error.exit_code


def _run(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from ampd.daemon import Start, run  # noqa: PLC0415

    config = load_config(options.config)
    jack, osc = config.jack, config.osc
    if options.input is not None:
        jack = replace(jack, input=options.input)
    if options.output is not None:
        if len(options.output) > MAX_OUTPUTS:
            raise CommandError(
                f"--output names {len(options.output)} ports, expected at most {MAX_OUTPUTS}."
            )
        jack = replace(jack, outputs=tuple(options.output))
    if options.osc_port is not None:
        osc = replace(osc, port=options.osc_port)
    start = Start(options.rig or "", options.model)
    clean = asyncio.run(run(replace(config, jack=jack, osc=osc), start, options.headstart))
    if not clean:
        print("ampd: libjack hangs; leaving without it.", file=sys.stderr)
        sys.stderr.flush()
        os._exit(0)
    return 0


def list_ports(options: argparse.Namespace) -> int:
    """ampd ports"""
    from ampd.supervisor import list_ports as ask_for_ports  # noqa: PLC0415
    from ampd.view import show_ports  # noqa: PLC0415
    from ampd.wiring import choose_links  # noqa: PLC0415

    config = load_config(options.config)
    ports = ask_for_ports(config.jack)
    links = choose_links(ports, config.jack, config.jack.client_name)
    show_ports(ports, [(link.source, link.destination) for link in links])
    return 0
