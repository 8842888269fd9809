"""`ampd-train train`."""

import argparse
import dataclasses
import json
import math
from collections.abc import Collection
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from trainer import train as training
from trainer.architectures import build_network
from trainer.commands.export import write_models
from trainer.commands.inspect import treat
from trainer.commands.report import report_run
from trainer.data import Pair, load_pair
from trainer.devices import find_device
from trainer.errors import RecipeError
from trainer.files import prepare_folder
from trainer.fit import Place, parse_place, widest_net
from trainer.recipe import SECTIONS, Recipe, all_keys, load_recipe, shipped_recipes

NAME = "train"
HELP = "two recordings -> model files"
ABOUT = """\
Trains the net of a recipe and writes models/NAME/NAME.nam and, for a residual_wavenet, NAME.json.
runs/NAME/ then holds best_model.pt, checkpoints/ for --resume, losses.csv, TensorBoard's events and
report/index.html: a verdict, figures, pictures, and the sound of what the model gets wrong.

The recordings: WAV, FLAC or AIFF of the same take. Three minutes of varied playing are plenty:
soft and loud, single notes and chords, and pauses. Record below full scale. The doctor looks at
them first (ampd-train inspect), repairs what it safely can and says so.
--fit pi4@64 takes the widest net of the recipe that a Raspberry Pi 4 can play in blocks of 64
frames, on 40 % of one core (two play while one rig fades into the next): an estimate, on the
careful side. --fit this@32:10 measures it here, and allows 10 %.
A recipe says what to do; every key of it can be given here as --section.key VALUE (YAML values:
3, true, [0, 480000]). Ctrl-C ends the run early and keeps the best weights so far."""

USAGE = (
    "ampd-train train RECIPE [--minutes M] [--target-esr E] [--resume] [--device D] "
    "[--fit HOST@FRAMES[:PERCENT]] [--no-doctor] [--no-report] [--SECTION.KEY VALUE ...]"
)

BUDGETS = ("training.minutes", "training.cpu_seconds", "training.steps")
ENDS = {
    "budget": "budget used up",
    "target": "the VALID ESR asked for is reached",
    "patience": "no better validation for as long as the recipe's patience",
    "stopped": "stopped by hand",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe, what is said often, and every key of a recipe."""
    parser.usage = USAGE
    parser.add_argument(
        "recipe", help=f"a YAML file, or one that is built in: {', '.join(shipped_recipes())}"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the newest of paths.run/checkpoints"
    )
    parser.add_argument(
        "--fit",
        type=parse_place,
        metavar="HOST@FRAMES[:PERCENT]",
        help="the widest net that this, pi4 or pi5 can play (model.channels)",
    )
    parser.add_argument(
        "--no-report", action="store_true", help="leave out the page; ampd-train report makes it"
    )
    add_recipe_keys(parser)


def add_recipe_keys(parser: argparse.ArgumentParser, left_out: Collection[str] = ()) -> None:
    """What is said often, and --section.key VALUE for every key of a recipe but those left out."""
    parser.add_argument("--minutes", help="budget; the schedule fills it (training.minutes)")
    parser.add_argument("--target-esr", help="VALID ESR that is enough (training.target_esr)")
    parser.add_argument("--device", help="auto, cpu, cuda or mps (training.device)")
    parser.add_argument(
        "--no-doctor", action="store_true", help="take the recordings as they are, or refuse them"
    )
    for section, kind in SECTIONS.items():
        group = parser.add_argument_group(f"{section}: {(kind.__doc__ or '').rstrip('.')}")
        for field in dataclasses.fields(kind):
            if f"{section}.{field.name}" in left_out:
                continue
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            shown = f"; default {json.dumps(default)}" if default != "" else ""
            text = f"{field.metadata['text']}{shown}".replace("%", "%%")
            group.add_argument(f"--{section}.{field.name}", metavar="VALUE", help=text)


def given_overrides(options: argparse.Namespace) -> dict[str, str]:
    """What the command line says of a recipe, as section.key -> text."""
    overrides = {k: v for k in all_keys() if (v := getattr(options, k, None)) is not None}
    # A budget that is asked for here wins over the one that the recipe has.
    if any(key in overrides for key in BUDGETS):
        overrides = {**dict.fromkeys(BUDGETS, "0"), **overrides}
    if options.minutes is not None:
        overrides |= {**dict.fromkeys(BUDGETS, "0"), "training.minutes": options.minutes}
    if options.target_esr is not None:
        overrides["training.target_esr"] = options.target_esr
    if options.device is not None:
        overrides["training.device"] = options.device
    return overrides


def run(options: argparse.Namespace) -> int:
    """0 where a model was written."""
    recipe = load_recipe(options.recipe, given_overrides(options))
    if options.fit and options.resume:
        raise RecipeError(
            "--fit with --resume: the run has its width already; give the --model.channels that "
            "it began with instead"
        )
    console = Console(stderr=True)
    ready = None if options.no_doctor else treat(recipe, console)
    pair = load_pair(recipe, ready)
    if options.fit:
        recipe = _fitted(recipe, options.fit, pair.sample_rate_hz, console)
    for folder in (recipe.paths.run, recipe.paths.models):
        prepare_folder(Path(folder))
    _announce(recipe, pair, console)
    outcome = _train_with_bar(recipe, pair, console, options.resume)
    print(f"{outcome.steps} steps, {ENDS[outcome.reason]}; best weights in {outcome.checkpoint}")
    test = "no TEST split" if outcome.esr_test is None else f"TEST ESR {outcome.esr_test:.5f}"
    print(f"VALID ESR {outcome.esr_valid:.5f}, {test}")
    code = write_models(outcome.checkpoint, None, "all")
    if not options.no_report:
        report_run(Path(recipe.paths.run), outcome.checkpoint, pair, console)
    return code


def _fitted(recipe: Recipe, place: Place, sample_rate_hz: int, console: Console) -> Recipe:
    fit = widest_net(recipe.model, place, sample_rate_hz)
    kind = "measured" if fit.measured else "estimated"
    end = "; nothing wider is tried" if fit.widest else ""
    console.print(
        f"--fit {place.host}@{place.block_frames}: model.channels {fit.model.channels}, "
        f"{fit.percent:.1f} % of one core ({kind}), {place.percent:g} % allowed{end}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return dataclasses.replace(recipe, model=fit.model)


def _announce(recipe: Recipe, pair: Pair, console: Console) -> None:
    for warning in pair.warnings:
        console.print(f"warning: {warning}", highlight=False, markup=False, soft_wrap=True)
    net = build_network(recipe.model)
    seconds = len(pair.input) / pair.sample_rate_hz
    console.print(
        f"{recipe.model.name}: {seconds:.1f} s at {pair.sample_rate_hz} Hz; receptive field "
        f"{net.receptive_field_frames} frames, latency {net.after_frames} frames, "
        f"{net.mac_per_sample} MAC/sample; trains on "
        f"{find_device(recipe.training.device, 'training.device')}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _train_with_bar(recipe: Recipe, pair: Pair, console: Console, resume: bool) -> training.Outcome:
    figures = "loss {task.fields[loss]}  ESR {task.fields[esr]}  best {task.fields[best]}"
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(figures + "  {task.fields[left]} s left"),
        console=console,
    )
    with bar:
        task = bar.add_task("training", total=1.0, loss="-", esr="-", best="-", left="-")

        def report(progress: training.Progress) -> None:
            bar.update(
                task,
                completed=progress.share,
                loss=_figure(progress.loss),
                esr=_figure(progress.esr_valid),
                best=_figure(progress.esr_best),
                left=f"{progress.seconds_left:.0f}",
            )
            if progress.note:
                console.print(progress.note, highlight=False, markup=False, soft_wrap=True)

        return training.train(recipe, pair, report, resume)


def _figure(value: float) -> str:
    return f"{value:.5f}" if math.isfinite(value) else "-"
