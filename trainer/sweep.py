"""A search over settings of a recipe: what is tried, and what came out.

trainer/cluster/search.py runs the trials; nothing here knows how.
"""

import csv
import dataclasses
import io
import itertools
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trainer.errors import RecipeError
from trainer.fields import nearest
from trainer.files import replace_file
from trainer.recipe import (
    ModelConfig,
    Recipe,
    all_keys,
    load_recipe,
    recipe_from_dict,
    recipe_to_dict,
)

TABLE, BEST = "trials.csv", "best.yaml"
WAITING, RUNNING, STOPPED = "waiting", "running", "stopped"
DONE, CUT, FAILED = "done", "cut short", "failed"
FORMS = (
    "KEY=8,12,16 (these values), KEY=log:0.005:0.05 (drawn evenly in ratio) or "
    "KEY=lin:0:0.004 (drawn evenly)"
)


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers low..high, drawn evenly or evenly in ratio."""

    low: float
    high: float
    log: bool

    def draw(self, source: random.Random) -> str:
        """One of them, in the four digits that a person would write."""
        if self.log:
            value = math.exp(source.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = source.uniform(self.low, self.high)
        return _as_yaml(float(f"{value:.4g}"))


Choices = tuple[str, ...] | Range


@dataclasses.dataclass
class Trial:
    """One set of settings and how it went."""

    number: int
    settings: dict[str, str]
    recipe: Recipe  # with a run folder of its own
    state: str = WAITING
    esr: float = math.inf  # the best VALID ESR so far
    share: float = 0.0  # of its budget
    text: str = ""  # why it failed


def parse_try(text: str) -> tuple[str, Choices]:
    """(section.key, what to try) of "training.seed=1,2,3" and its like.

    raises: RecipeError
    """
    key, equals, values = text.partition("=")
    if not equals or not values:
        raise RecipeError(f"--try {text}: found no value, expected {FORMS}")
    if key not in all_keys():
        raise RecipeError(f"--try {text}: no such setting{nearest(key, all_keys())}")
    kind = values.partition(":")[0]
    if kind in ("log", "lin"):
        return key, _parse_range(text, values)
    try:
        choices = yaml.safe_load(f"[{values}]")
    except yaml.YAMLError as error:
        raise RecipeError(
            f"--try {text}: cannot be read as YAML values, expected {FORMS}"
        ) from error
    return key, tuple(dict.fromkeys(v if isinstance(v, str) else _as_yaml(v) for v in choices))


def _as_yaml(value: object) -> str:
    """In one line, as a recipe takes it back; 1e-06 without its point would be text."""
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf)
    return text.strip().removesuffix("...").strip()


def _parse_range(text: str, values: str) -> Range:
    try:
        low, high = (float(word) for word in values.split(":")[1:])
        wanted = Range(low, high, values.startswith("log"))
        if not (math.isfinite(high) and low < high and (low > 0 or not wanted.log)):
            raise ValueError(values)
    except ValueError as error:
        raise RecipeError(
            f"--try {text}: found {values}, expected two numbers, the smaller one first (and above "
            "0 with log): log:0.005:0.05"
        ) from error
    return wanted


def draw(tries: Mapping[str, Choices], trials: int | None, seed: int) -> list[dict[str, str]]:
    """What each trial sets; no two are the same.

    trials: None is every combination, which only choices have
    raises: RecipeError for a range without a number of trials
    """
    source = random.Random(seed)
    ranges = [key for key, choices in tries.items() if isinstance(choices, Range)]
    lists = [choices for choices in tries.values() if not isinstance(choices, Range)]
    if not ranges:
        every = [dict(zip(tries, values, strict=True)) for values in itertools.product(*lists)]
        return every if trials is None else source.sample(every, min(trials, len(every)))
    if trials is None:
        raise RecipeError(f"--try {ranges[0]}: is a range, expected --trials N to say how many")
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for _ in range(100 * trials):
        values = [
            c.draw(source) if isinstance(c, Range) else source.choice(c) for c in tries.values()
        ]
        found.setdefault(tuple(values), dict(zip(tries, values, strict=True)))
        if len(found) == trials:
            break
    return [*found.values()]


def _draw_one(choices: Choices, source: random.Random) -> str:
    return choices.draw(source) if isinstance(choices, Range) else source.choice(choices)


def make_trials(
    recipe: str, overrides: Mapping[str, str], drawn: Sequence[dict[str, str]], folder: Path
) -> list[Trial]:
    """The trials, each with its checked recipe and its run in folder/trial-N.

    raises: RecipeError for a setting that the recipe cannot have
    """
    place = folder.absolute()
    return [
        Trial(
            number,
            settings,
            load_recipe(
                recipe, {**overrides, **settings, "paths.run": str(place / f"trial-{number}")}
            ),
        )
        for number, settings in enumerate(drawn)
    ]


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """The best first; those that were cut short behind those that were not."""
    return sorted(trials, key=lambda trial: (trial.state != DONE, trial.esr, trial.number))


def plain(trial: Trial) -> dict[str, Any]:
    """A trial as plain values."""
    return {
        "trial": trial.number,
        **trial.settings,
        "state": trial.state,
        "esr_valid": trial.esr if math.isfinite(trial.esr) else None,
        "percent": round(100 * trial.share, 1),
        "run": trial.recipe.paths.run,
        "text": trial.text,
    }


def write_table(path: Path, trials: Sequence[Trial]) -> None:
    """One line a trial, the best first."""
    lines = [plain(trial) for trial in ranked(trials)]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*lines[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    replace_file(path, lambda file: file.write(text.getvalue().encode()))


def write_recipe(path: Path, recipe: Recipe, heading: str) -> None:
    """A recipe as YAML that `train` takes; only what differs from the defaults is written.

    heading: one line, which becomes a comment
    """
    unnamed = recipe_from_dict({"model": {"name": recipe.model.name}}, str(path))
    defaults = recipe_to_dict(unnamed)
    defaults["model"]["name"] = ModelConfig().name
    sections = {
        section: {k: v for k, v in values.items() if v != defaults[section][k]}
        for section, values in recipe_to_dict(recipe).items()
    }
    body = yaml.safe_dump({s: v for s, v in sections.items() if v}, sort_keys=False)
    replace_file(path, lambda file: file.write(f"# {heading}\n{body}".encode()))
