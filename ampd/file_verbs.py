"""ampd render | check | bench: what files are, sound like and cost, without a daemon."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ampd.config import Config, load_config
from ampd.errors import CommandError, EngineError
from ampd.help import BENCH, CHECK

if TYPE_CHECKING:
    from ampd.library import Library

Kinds: TypeAlias = Mapping[str, Callable[[str], int]]


def add_verbs(verbs: Any, verb: Callable[..., Any], kinds: Kinds) -> None:
    """Add the verbs to the command line; `verb` adds one; ampd.cli.KINDS."""
    render = verb(
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
        "--block", type=kinds["block"], default=64, metavar="N", help="frames at a time, default 64"
    )
    render.add_argument(
        "--no-resample",
        action="store_true",
        help="take IN's samples as they are, whatever rate the model was made for",
    )
    render.add_argument(
        "--isa", default="auto", metavar="X", help="auto, scalar, generic, avx2 ..."
    )
    _add_check(
        verb(verbs, "check", check_files, "say what each file is, and whether it plays", CHECK),
        kinds,
    )
    _add_bench(
        verb(verbs, "bench", bench_models, "measure what models cost on this machine", BENCH), kinds
    )


def _add_check(check: Any, kinds: Kinds) -> None:
    check.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="model, rig or ampd.toml"
    )
    check.add_argument(
        "--rate", type=kinds["rate"], default=48000, metavar="HZ", help="of the host, default 48000"
    )
    check.add_argument(
        "--no-cost", action="store_true", help="do not measure the cost: quicker for many files"
    )
    check.add_argument(
        "--force", action="store_true", help="let these models play however much time they take"
    )
    check.add_argument("--json", action="store_true", help="a list of objects, for programs")


def _add_bench(bench: Any, kinds: Kinds) -> None:
    bench.add_argument("files", type=Path, nargs="+", metavar="FILE", help="model files")
    bench.add_argument(
        "--block", type=kinds["block"], default=64, metavar="N", help="frames at a time, default 64"
    )
    bench.add_argument("--isa", default="auto", metavar="X", help="auto, scalar, generic, avx2 ...")
    bench.add_argument("--json", action="store_true", help="a list of objects, for programs")


def render_file(options: argparse.Namespace) -> int:
    """ampd render IN OUT"""
    from ampd.bank import plan_named  # noqa: PLC0415
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
        plan = plan_named(library, options.rig)
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
