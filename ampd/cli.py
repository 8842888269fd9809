"""The verbs of the command line. Exit codes are those of ampd.errors.

Each verb imports what it needs when it runs, so that help comes at once and needs neither the
compiled engine nor libjack. Of the modules that add verbs only that of the verb that is asked for
is loaded.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ampd import __version__
from ampd.config import MAX_OUTPUTS, Config, load_config
from ampd.errors import AmpdError, CommandError, EngineError, LibraryError, UnreachableError
from ampd.help import BENCH, CHECK, EXAMPLES

if TYPE_CHECKING:
    from ampd.headstart import Headstart
    from ampd.library import Library

MAX_PORT = 65535
MAX_BLOCK_FRAMES = 8192
MIN_RATE_HZ, MAX_RATE_HZ = 8000, 768000
LOAD_LIMIT_S = 10.0

HERE = ("run", "ports", "status", "rigs", "load", "render", "check", "bench")
# Modules that add verbs, and which.
ADDERS: Mapping[str, tuple[str, ...]] = {
    "set_verb": ("set",),
    "live_verbs": ("snapshot", "sets", "tune", "panic"),
    "learn_verb": ("learn",),
    "page_verb": ("page", "pair", "layouts"),
    "watch_verb": ("watch",),
    "library_verbs": ("models", "irs"),
    "doctor_verb": ("doctor",),
    "rig_verbs": ("rig",),
    "explain_verb": ("explain",),
    "service_verb": ("install-service", "uninstall-service"),
}


def main(arguments: Sequence[str] | None = None, headstart: "Headstart | None" = None) -> int:
    """Run one verb and return the exit code. headstart: of `run`, what plays already."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = build_parser(words[0] if words else "").parse_args(words)
    options.headstart = headstart
    try:
        code: int = options.verb(options)
        sys.stdout.flush()
        return code
    except AmpdError as error:
        print(f"ampd: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe has left; Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build_parser(asked: str = "") -> argparse.ArgumentParser:
    """The command line for a verb that is asked for; for any other word all of it."""
    parser = argparse.ArgumentParser(
        prog="ampd",
        description="A guitar amp rack without a screen: models and rigs, live through JACK.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ampd {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    theirs = [module for module, names in ADDERS.items() if asked in names]
    if not theirs:
        _add_run(verbs)
        _add_remote(verbs)
        theirs = [] if asked in (*HERE, "--version") else list(ADDERS)
    for module in theirs:
        import_module(f"ampd.{module}").add_verbs(verbs, _verb, KINDS)
    if len(theirs) != 1:
        _add_offline(verbs)
    return parser


def _verb(verbs: Any, name: str, function: Any, text: str, epilog: str = "") -> Any:
    parser = verbs.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(verb=function)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings, in place of the ampd.toml found"
    )
    return parser


def _add_run(verbs: Any) -> None:
    run = _verb(
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
    run.add_argument("--osc-port", type=_port, metavar="N", help="UDP port for commands")
    _verb(verbs, "ports", list_ports, "list JACK's ports and mark those that ampd would use")


def _add_remote(verbs: Any) -> None:
    status = _verb(verbs, "status", show_status, "show what the running daemon does")
    status.add_argument("--json", action="store_true", help="the whole state as JSON")
    rigs = _verb(
        verbs, "rigs", show_rigs, "list the rigs, from the daemon or, without one, the folder"
    )
    load = _verb(verbs, "load", load_rig, "switch the running daemon to another rig")
    load.add_argument("name", metavar="NAME", help="a rig, as 'ampd rigs' lists them")
    for parser in (status, rigs, load):
        parser.add_argument("--port", type=_port, metavar="N", help="the daemon's OSC port")


def _add_offline(verbs: Any) -> None:
    render = _verb(
        verbs,
        "render",
        render_file,
        "send a sound file through a model or rig, without JACK",
        "OUT is a 32-bit float WAV at the rate of IN, as long as IN and lying on it: the latency\n"
        "is cut. --model is the bare net, with nothing around it; --rig is the whole chain as it\n"
        "plays live. A model made for another rate is resampled in and out, as it is live.",
    )
    render.add_argument("source", type=Path, metavar="IN", help="WAV, FLAC, OGG or AIFF")
    render.add_argument("target", type=Path, metavar="OUT", help="the WAV to write")
    what = render.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", type=Path, metavar="FILE", help="a model file")
    what.add_argument("--rig", metavar="NAME", help="a rig of the library")
    render.add_argument(
        "--block", type=_block, default=64, metavar="N", help="frames at a time, default 64"
    )
    render.add_argument(
        "--no-resample",
        action="store_true",
        help="take IN's samples as they are, whatever rate the model was made for",
    )
    render.add_argument(
        "--isa", default="auto", metavar="X", help="auto, scalar, generic, avx2 ..."
    )
    _add_check(verbs)
    _add_bench(verbs)


def _add_check(verbs: Any) -> None:
    check = _verb(verbs, "check", check_files, "say what each file is, and whether it plays", CHECK)
    check.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="model, rig or ampd.toml"
    )
    check.add_argument(
        "--rate", type=_rate, default=48000, metavar="HZ", help="of the host, default 48000"
    )
    check.add_argument(
        "--no-cost", action="store_true", help="do not measure the cost: quicker for many files"
    )
    check.add_argument(
        "--force", action="store_true", help="let these models play however much time they take"
    )
    check.add_argument("--json", action="store_true", help="a list of objects, for programs")


def _add_bench(verbs: Any) -> None:
    bench = _verb(verbs, "bench", bench_models, "measure what models cost on this machine", BENCH)
    bench.add_argument("files", type=Path, nargs="+", metavar="FILE", help="model files")
    bench.add_argument(
        "--block", type=_block, default=64, metavar="N", help="frames at a time, default 64"
    )
    bench.add_argument("--isa", default="auto", metavar="X", help="auto, scalar, generic, avx2 ...")
    bench.add_argument("--json", action="store_true", help="a list of objects, for programs")


def _port(text: str) -> int:
    return _bounded(text, 1, MAX_PORT)


def _block(text: str) -> int:
    return _bounded(text, 1, MAX_BLOCK_FRAMES)


def _rate(text: str) -> int:
    return _bounded(text, MIN_RATE_HZ, MAX_RATE_HZ)


def _bounded(text: str, low: int, high: int) -> int:
    if text.isascii() and text.isdigit() and low <= int(text) <= high:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")


KINDS: Mapping[str, Callable[[str], int]] = {"port": _port, "rate": _rate}


# --- verbs --------------------------------------------------------------------------------------


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


def show_status(options: argparse.Namespace) -> int:
    """ampd status"""
    from ampd.view import show_state  # noqa: PLC0415

    text = str(_ask(options, "status")[0])
    if options.json:
        print(text)
    else:
        show_state(json.loads(text))
    return 0


def show_rigs(options: argparse.Namespace) -> int:
    """ampd rigs"""
    from ampd.sets import assign_programs  # noqa: PLC0415
    from ampd.view import RigRow, show_rig_rows  # noqa: PLC0415

    try:
        state = json.loads(str(_ask(options, "status")[0]))
    except UnreachableError:
        library = _library(load_config(options.config))
        rigs, errors = library.load_rigs()
        programs, complaints = assign_programs(rigs)
        for text in complaints:
            print(f"ampd: {text}", file=sys.stderr)
        rows = [RigRow(name, programs.get(name), "", "") for name in programs]
        rows += [RigRow(name, None, "", text) for name, text in errors.items()]
        if not rows:
            raise LibraryError(f"{library.rigs_path}: there is no rig (NAME.yaml).") from None
    else:
        rows = [
            RigRow(
                rig["name"],
                rig["program"],
                "plays" if rig["name"] == state["rig"] else "ready" if rig["built"] else "",
                rig["error"],
            )
            for rig in state["rigs"]
        ]
    show_rig_rows(sorted(rows, key=lambda row: (row.program is None, row.program, row.name)))
    return 0


def load_rig(options: argparse.Namespace) -> int:
    """ampd load NAME"""
    print(_ask(options, "rig", [options.name])[0])
    return 0


def render_file(options: argparse.Namespace) -> int:
    """ampd render IN OUT"""
    from ampd.bank import plan_rig  # noqa: PLC0415
    from ampd.offline import RenderJob, render  # noqa: PLC0415
    from ampd.passports import Store  # noqa: PLC0415
    from ampd.rack import isas  # noqa: PLC0415
    from ampd.rehearsal import Levels  # noqa: PLC0415

    if options.isa != "auto" and options.isa not in isas():
        raise CommandError(
            f"--isa is {options.isa!r}, expected auto or one of {', '.join(isas())} here."
        )
    plan, levels = None, Levels()
    if options.rig is not None:
        config = load_config(options.config)
        library = _library(config)
        plan = plan_rig(library, library.load_rig(options.rig))
        levels = Levels(config.output_level, config.input_dbu, Store(config.paths.cache))
    done = render(
        RenderJob(
            options.source,
            options.target,
            options.model,
            plan,
            options.block,
            not options.no_resample,
            options.isa,
            levels,
        )
    )
    for note in done.notes:
        print(f"ampd: {note}", file=sys.stderr)
    print(
        f"{options.target}: {done.frames} frames, {done.channels} channel"
        f"{'s' if done.channels > 1 else ''}, {done.sample_rate_hz} Hz, peak {done.peak:.4f}"
    )
    return 0


def check_files(options: argparse.Namespace) -> int:
    """ampd check FILE..."""
    from ampd.passport import check_all, force  # noqa: PLC0415
    from ampd.passports import Store  # noqa: PLC0415
    from ampd.view import show_checks  # noqa: PLC0415

    config = load_config(options.config)
    library, store = _library(config), Store(config.paths.cache)
    rows = check_all(options.files, library, options.rate, not options.no_cost, store)
    if options.force:
        rows = (force(row, store) for row in rows)
    if options.json:
        found = list(rows)
        print(json.dumps([asdict(row) for row in found], indent=2))
        return 0 if all(row.ok for row in found) else 1
    return 0 if show_checks(rows, in_full=len(options.files) == 1) else 1


def bench_models(options: argparse.Namespace) -> int:
    """ampd bench FILE..."""
    from ampd.passport import bench  # noqa: PLC0415
    from ampd.view import show_costs  # noqa: PLC0415

    rows, code = [], 0
    for path in options.files:
        try:
            rows.append(asdict(bench(path, options.block, options.isa)))
        except EngineError as error:
            print(f"ampd: {error}", file=sys.stderr)
            code = error.exit_code
    if options.json:
        print(json.dumps(rows, indent=2))
    elif rows:
        show_costs(rows)
    return code


def _library(config: Config) -> "Library":
    from ampd.library import Library  # noqa: PLC0415

    return Library(config.paths.rigs, config.paths.models, config.paths.cabs)


def _ask(
    options: argparse.Namespace, path: str, arguments: Sequence[float | bool | str] = ()
) -> list[Any]:
    from ampd.client import ask  # noqa: PLC0415

    osc = load_config(options.config).osc
    answer = ask(osc.host, options.port or osc.port, path, arguments, LOAD_LIMIT_S)
    if not answer:
        raise UnreachableError(f"{osc.host}:{options.port or osc.port} gave an empty answer.")
    return list(answer)


if __name__ == "__main__":
    sys.exit(main())
