"""`ampd-train`: the trainer's commands."""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from trainer import cli_inspect
from trainer import train as training
from trainer.architectures import build_network
from trainer.data import Pair, load_pair
from trainer.errors import RecipeError, TrainerError
from trainer.evaluate import as_json, as_row, evaluate
from trainer.export import export
from trainer.fields import nearest
from trainer.files import prepare_folder
from trainer.recipe import SECTIONS, Recipe, all_keys, load_recipe, shipped_recipes

ABOUT = """\
Teach a net to sound like your gear, from two recordings: the dry guitar, and the same take as it
came out of the gear. What comes out is a model file that the amp rack and the plugin play."""

EXAMPLES = """\
examples
  ampd-train train realtime --model.name plexi --data.input di.wav --data.target plexi.wav
  ampd-train train my.yaml --minutes 20 --training.seed 1
  ampd-train inspect di.wav plexi.wav --recipe realtime
  ampd-train evaluate models/plexi/plexi.json di.wav plexi.wav --start 480000

exit codes
  0 done (also when Ctrl-C ended a run that had found weights to keep)   1 anything else
  2 the command line or the recipe   3 a recording   4 a model file or checkpoint
  5 a run without a result   130 stopped before there was a result"""

TRAIN_ABOUT = """\
Trains the net of a recipe and writes models/NAME/NAME.nam and, for a residual_wavenet, NAME.json.
runs/NAME/ then holds best_model.pt, checkpoints/ for --resume, losses.csv and TensorBoard's events.

The recordings: WAV, FLAC or AIFF of the same take. Three minutes of varied playing are plenty:
soft and loud, single notes and chords, and pauses. Record below full scale. The doctor looks at
them first (ampd-train inspect), repairs what it safely can and says so.
A recipe says what to do; every key of it can be given here as --section.key VALUE (YAML values:
3, true, [0, 480000]). Ctrl-C ends the run early and keeps the best weights so far."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except TrainerError as error:
        print(f"ampd-train: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ampd-train: stopped", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    options, unknown = _parser().parse_known_args(arguments)
    for word in unknown:
        key = word.removeprefix("--").partition("=")[0]
        raise RecipeError(
            f"{word}: no such option of ampd-train {options.command}"
            + (nearest(key, all_keys()) if "." in key else "; see --help")
        )
    commands = {
        "train": _train,
        "export": _export,
        "evaluate": _evaluate,
        "inspect": cli_inspect.run_inspect,
    }
    return commands[options.command](options)


def _train(options: argparse.Namespace) -> int:
    overrides = {k: v for k in all_keys() if (v := getattr(options, k)) is not None}
    if options.minutes is not None:
        overrides |= {"training.minutes": options.minutes, "training.steps": "0"}
        overrides["training.cpu_seconds"] = "0"
    if options.target_esr is not None:
        overrides["training.target_esr"] = options.target_esr
    if options.device is not None:
        overrides["training.device"] = options.device
    recipe = load_recipe(options.recipe, overrides)
    console = Console(stderr=True)
    ready = None if options.no_doctor else cli_inspect.treat(recipe, console)
    pair = load_pair(recipe, ready)
    for folder in (recipe.paths.run, recipe.paths.models):
        prepare_folder(Path(folder))
    _announce(recipe, pair, console)
    outcome = _train_with_bar(recipe, pair, console, options.resume)
    ends = {
        "budget": "budget used up",
        "target": f"VALID ESR {recipe.training.target_esr:g} reached",
        "patience": f"no better validation in {recipe.training.patience}",
        "stopped": "stopped by hand",
    }
    print(f"{outcome.steps} steps, {ends[outcome.reason]}; best weights in {outcome.checkpoint}")
    test = "no TEST split" if outcome.esr_test is None else f"TEST ESR {outcome.esr_test:.5f}"
    print(f"VALID ESR {outcome.esr_valid:.5f}, {test}")
    return _write_models(outcome.checkpoint, None, "all")


def _announce(recipe: Recipe, pair: Pair, console: Console) -> None:
    for warning in pair.warnings:
        console.print(f"warning: {warning}", highlight=False, markup=False, soft_wrap=True)
    net = build_network(recipe.model)
    seconds = len(pair.input) / pair.sample_rate_hz
    console.print(
        f"{recipe.model.name}: {seconds:.1f} s at {pair.sample_rate_hz} Hz; receptive field "
        f"{net.receptive_field_frames} frames, latency {net.after_frames} frames, "
        f"{net.mac_per_sample} MAC/sample",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _train_with_bar(recipe: Recipe, pair: Pair, console: Console, resume: bool) -> training.Outcome:
    columns = "ESR {task.fields[esr]}  best {task.fields[best]}  {task.fields[left]} s left"
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(columns),
        console=console,
    )
    with bar:
        task = bar.add_task("training", total=1.0, esr="-", best="-", left="-")

        def report(progress: training.Progress) -> None:
            bar.update(
                task,
                completed=progress.share,
                esr=_figure(progress.esr_valid),
                best=_figure(progress.esr_best),
                left=f"{progress.seconds_left:.0f}",
            )
            if progress.note:
                console.print(progress.note, highlight=False, markup=False, soft_wrap=True)

        return training.train(recipe, pair, report, resume)


def _figure(value: float) -> str:
    return f"{value:.5f}" if math.isfinite(value) else "-"


def _export(options: argparse.Namespace) -> int:
    return _write_models(options.checkpoint, options.out, options.format)


def _write_models(checkpoint: Path, folder: Path | None, kind: str) -> int:
    written = export(checkpoint, folder, kind)
    for path in written:
        print(f"wrote {path} ({path.stat().st_size} bytes)")
    if kind == "all" and not any(path.suffix == ".nam" for path in written):
        print("no .nam: this net is not causal, and .nam cannot say that; it is for offline use")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    figures = evaluate(
        options.model, options.input, options.target, options.start, options.end, options.delay
    )
    print(as_json(figures) if options.json else as_row(figures))
    return 0


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "ampd-train", description=ABOUT, epilog=EXAMPLES, formatter_class=raw, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(
        commands.add_parser(
            "train",
            help="two recordings -> model files",
            description=TRAIN_ABOUT,
            usage="ampd-train train RECIPE [--minutes M] [--target-esr E] [--resume] [--device D] "
            "[--no-doctor] [--SECTION.KEY VALUE ...]",
            formatter_class=raw,
            allow_abbrev=False,
        )
    )
    export_parser = commands.add_parser(
        "export",
        help="a checkpoint -> model files",
        description="Writes the model files of a checkpoint, and reads them back to prove them.",
        allow_abbrev=False,
    )
    export_parser.add_argument("checkpoint", type=Path, help="best_model.pt of a run")
    export_parser.add_argument(
        "--out", type=Path, help="folder; default: the recipe's paths.models"
    )
    export_parser.add_argument("--format", choices=("all", "json", "nam"), default="all")
    _add_evaluate(
        commands.add_parser(
            "evaluate",
            help="how far a model is from a recording",
            description="Prints one row of figures, computed in float64. ESR is the energy of the "
            "error over the energy of the recording: 0.01 is -20 dB.",
            allow_abbrev=False,
        )
    )
    cli_inspect.add_inspect(
        commands.add_parser(
            "inspect",
            help="what is wrong with two recordings, before training",
            description=cli_inspect.ABOUT,
            formatter_class=raw,
            allow_abbrev=False,
        )
    )
    return parser


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe", help=f"a YAML file, or one that is built in: {', '.join(shipped_recipes())}"
    )
    parser.add_argument("--minutes", help="budget; the schedule fills it (training.minutes)")
    parser.add_argument("--target-esr", help="VALID ESR that is enough (training.target_esr)")
    parser.add_argument(
        "--resume", action="store_true", help="go on from the newest of paths.run/checkpoints"
    )
    parser.add_argument("--device", help="cpu, cuda or mps (training.device)")
    parser.add_argument(
        "--no-doctor", action="store_true", help="take the recordings as they are, or refuse them"
    )
    for section, kind in SECTIONS.items():
        group = parser.add_argument_group(f"{section}: {(kind.__doc__ or '').rstrip('.')}")
        for field in dataclasses.fields(kind):
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            shown = f"; default {json.dumps(default)}" if default != "" else ""
            text = f"{field.metadata['text']}{shown}".replace("%", "%%")
            group.add_argument(f"--{section}.{field.name}", metavar="VALUE", help=text)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help=".json or .nam")
    parser.add_argument("input", type=Path, metavar="IN", help="the dry recording")
    parser.add_argument("target", type=Path, metavar="OUT", help="the gear's recording")
    parser.add_argument(
        "--start", type=int, default=0, help="first frame; what precedes is history"
    )
    parser.add_argument("--end", type=int, help="frame after the last; default: the file's end")
    parser.add_argument("--delay", type=int, default=0, help="frames that OUT lags behind IN")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")


if __name__ == "__main__":
    sys.exit(main())
