"""`ampd-train sweep`."""

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from trainer.batch.screen import figure
from trainer.commands.batch import add_ray, join_cluster
from trainer.commands.inspect import treat
from trainer.commands.train import add_recipe_keys, given_overrides
from trainer.data import Pair, load_pair
from trainer.errors import TrainingError
from trainer.files import prepare_folder, replace_file
from trainer.recipe import Recipe, load_recipe, recipe_to_dict, shipped_recipes
from trainer.sweep import (
    BEST,
    DONE,
    FAILED,
    FORMS,
    RUNNING,
    STOPPED,
    TABLE,
    Trial,
    draw,
    make_trials,
    parse_try,
    plain,
    ranked,
    write_recipe,
    write_table,
)

NAME = "sweep"
HELP = "settings of a recipe -> those that train best"
ABOUT = """\
Trains one pair with several settings and keeps the recipe that validates best. Needs the extra
`cluster`: Ray Tune's ASHA compares the trials at 10, 30 and 90 % of their budget and goes on with
the better third, so that many cost little more than a few.

  ampd-train sweep realtime --data.input di.wav --data.target plexi.wav \\
    --try model.channels=8,12,16 --try training.muon_learning_rate=log:0.005:0.05 --trials 12

FOLDER/best.yaml is a recipe for `train`, FOLDER/trials.csv says how each trial went. The same
command again goes on with a search that was stopped."""

STATE = "sweep.json"  # what the trials in a folder are of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe, what to try, where, and every key of a recipe."""
    parser.usage = (
        "ampd-train sweep RECIPE --try KEY=VALUES [--try ...] [--trials N] [--out FOLDER] "
        "[--ray ADDRESS] [--gpus-per-trial SHARE] [--json] [--SECTION.KEY VALUE ...]"
    )
    parser.add_argument(
        "recipe", help=f"a YAML file, or one that is built in: {', '.join(shipped_recipes())}"
    )
    parser.add_argument(
        "--try", action="append", required=True, dest="tries", metavar="KEY=VALUES", help=FORMS
    )
    parser.add_argument(
        "--trials", type=int, metavar="N", help="draw so many; default: every combination of values"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="default: runs/NAME-sweep, NAME is model.name"
    )
    parser.add_argument("--json", action="store_true", help="the trials as one line of JSON")
    add_ray(parser, "trial", default="local")
    add_recipe_keys(parser)


def run(options: argparse.Namespace) -> int:
    """0 where there is a best recipe; 5 where every trial failed."""
    overrides = given_overrides(options)
    tries = dict(parse_try(text) for text in options.tries)
    recipe = load_recipe(options.recipe, overrides)
    drawn = draw(tries, options.trials, recipe.training.seed)
    folder = options.out or Path("runs") / f"{recipe.model.name}-sweep"
    trials = make_trials(options.recipe, overrides, drawn, folder)
    console = Console(stderr=True)
    pair = load_pair(recipe, None if options.no_doctor else treat(recipe, console))
    shipped_bytes = 4 * (pair.input.nbytes + pair.target.nbytes)
    share = join_cluster(options, shipped_bytes)
    from trainer.cluster import connection, search  # noqa: PLC0415  join_cluster has made sure of it

    try:
        _open(folder, _key(recipe, drawn, pair))

        def tell(trial: Trial) -> None:
            write_table(folder / TABLE, trials)
            line = (
                f"trial {trial.number} at {100 * trial.share:.0f} %: VALID ESR {figure(trial.esr)}"
            )
            console.print(line, highlight=False, soft_wrap=True)

        search.search(trials, pair, folder, share, tell)
    finally:
        connection.leave()
        for trial in trials:
            if trial.state == RUNNING:
                trial.state = STOPPED
        write_table(folder / TABLE, trials)
    best = ranked(trials)[0]
    if best.state == FAILED:
        raise TrainingError(f"no trial has a result; the first one says: {best.text}")
    winner = load_recipe(options.recipe, {**overrides, **best.settings, **_here(recipe)})
    heading = f"the best of {len(trials)} trials: VALID ESR {figure(best.esr)}"
    write_recipe(folder / BEST, winner, heading)
    _print_outcome(trials, folder, options.json)
    return 0


def _here(recipe: Recipe) -> dict[str, str]:
    """The recordings, from wherever the recipe is used."""
    return {"paths.data": str(Path(recipe.paths.data).absolute())}


def _key(recipe: Recipe, drawn: list[dict[str, str]], pair: Pair) -> str:
    plain_recipe = recipe_to_dict(recipe)
    del plain_recipe["paths"]
    text = json.dumps([plain_recipe, drawn, pair.sha256], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _open(folder: Path, key: str) -> None:
    """Keep what a search of the same trials has left; another one begins anew."""
    prepare_folder(folder)
    state = folder / STATE
    if not state.is_file() or json.loads(state.read_text(encoding="utf-8")) != {"key": key}:
        shutil.rmtree(folder / "tune", ignore_errors=True)
        replace_file(state, lambda file: file.write(json.dumps({"key": key}).encode()))


def _print_outcome(trials: list[Trial], folder: Path, as_json: bool) -> None:
    lines: list[dict[str, Any]] = [plain(trial) for trial in ranked(trials)]
    if as_json:
        print(json.dumps(lines))
        return
    table = Table("trial", *trials[0].settings, "state", "VALID ESR", "at", box=box.SIMPLE_HEAD)
    for trial in ranked(trials):
        style = {DONE: "green", FAILED: "red"}.get(trial.state, "dim")
        cells = [*trial.settings.values(), trial.state, figure(trial.esr), f"{trial.share:.0%}"]
        table.add_row(str(trial.number), *cells, style=style)
    Console(file=sys.stdout).print(table)
    for trial in trials:
        if trial.text:
            print(f"trial {trial.number}: {trial.text}")
    print(f"wrote {folder / TABLE} and {folder / BEST}")
