"""ampd doctor: what keeps this machine from real time, and what mends it."""

import argparse
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ampd.config import Config, load_config
from ampd.errors import UnreachableError
from ampd.help import DOCTOR

if TYPE_CHECKING:
    from ampd.doctor import Check, Server

LIMIT_S = 3.0  # for a server that hangs
STYLES = {"good": "green", "warn": "yellow", "bad": "bold red", "unknown": "dim"}


def add_verbs(
    verbs: Any, verb: Callable[..., Any], kinds: Mapping[str, Callable[[str], int]]
) -> None:
    """Add the verb to the command line; `verb` adds one; ampd.cli.KINDS."""
    parser = verb(
        verbs, "doctor", examine_machine, "say what keeps this machine from real time", DOCTOR
    )
    parser.add_argument("--json", action="store_true", help="a list of objects, for programs")
    parser.add_argument("--port", type=kinds["port"], metavar="N", help="the daemon's OSC port")


def examine_machine(options: argparse.Namespace) -> int:
    """ampd doctor"""
    from ampd.doctor import examine, network, powers, verdict  # noqa: PLC0415

    config = load_config(options.config)
    server = _by_daemon(config, options.port) or _by_ourselves(config)
    checks = examine(Path("/"), powers(), server, config.paths.models, config.paths.cache)
    checks.append(network(config.control.lan, config.control.networks))
    if options.json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        show_checks(checks)
    return verdict(checks)


def show_checks(checks: list["Check"]) -> None:
    """A line a check, and below it what mends it; in a pipe all in one line, with tabs."""
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        for check in checks:
            print("\t".join((check.verdict, check.name, check.found, check.fix)).rstrip())
        return
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark = f"[{STYLES[check.verdict]}]{check.verdict:<7}[/]"
        console.print(f"{mark} {check.name:<{width}}  {escape(check.found)}")
        if check.fix:
            console.print(f"{'':<7} [cyan]fix: {escape(check.fix)}[/]")
    bad = sum(check.verdict == "bad" for check in checks)
    warn = sum(check.verdict == "warn" for check in checks)
    print(f"\n{bad} bad, {warn} to be mended if there are dropouts")


def _by_daemon(config: Config, port: int | None) -> "Server | None":
    """What a running daemon sees; None where there is none, or it has no server either."""
    from ampd.client import Client  # noqa: PLC0415
    from ampd.doctor import Server, processes  # noqa: PLC0415

    try:
        with Client(config.osc.host, port or config.osc.port) as client:
            state = json.loads(str(client.ask("status", limit_s=LIMIT_S)[0]))
    except UnreachableError:
        if port is not None:
            raise
        return None
    jack = state["jack"]
    if jack["state"] != "running":
        return None
    running = processes(Path("/"))
    only_pipewire = "pipewire" in running and not running & {"jackd", "jackdbus"}
    return Server(
        kind="pipewire" if only_pipewire else "jack",
        sample_rate_hz=jack["sample_rate_hz"],
        period_frames=jack["period_frames"],
        realtime=jack["realtime"],
        load=state["load"],
        xruns=jack["xruns"],
    )


def _by_ourselves(config: Config) -> "Server":
    """What a short-lived client of our own sees."""
    from ampd.doctor import Server  # noqa: PLC0415

    try:
        from ampd.rack import JackError, JackHost  # noqa: PLC0415
    except ImportError as error:
        return Server(reason=f"the engine cannot be loaded ({error})")
    found: list[Server] = []

    def look() -> None:
        host = JackHost()
        try:
            host.open(f"{config.jack.client_name}-doctor", config.jack.server_name)
            try:
                rate_hz, frames = host.sample_rate_hz, host.period_frames
                found.append(Server(_kind(), "", rate_hz, frames, host.is_realtime))
            finally:
                host.close()
        except JackError as error:
            found.append(Server(reason=str(error)))

    thread = threading.Thread(target=look, name="doctor", daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    hangs = f"it has not answered within {LIMIT_S:g} s: it hangs, restart it"
    return found[0] if found else Server(reason=hangs)


def _kind() -> str:
    """Whose libjack this machine gives us: the file that a process has mapped tells."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        maps = ""
    libraries = [line.split()[-1] for line in maps.splitlines() if "libjack.so" in line]
    return "pipewire" if any("pipewire" in path for path in libraries) else "jack"
