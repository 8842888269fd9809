"""Recipe YAML plus command-line overrides -> one frozen, checked Recipe.

A recipe has the sections data, model, training and paths, one dataclass each below; a key that
is left out has the default written there, a key that is not there is an error.
"""

import dataclasses
import re
import typing
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import yaml

from trainer.errors import RecipeError
from trainer.fields import build, nearest, setting

Frames = tuple[int, int]
LONGEST_STFT_FRAMES = 2048  # of the windows of the multi-resolution STFT loss
MODEL_NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")

# The keys that give each architecture its shape; a key of another architecture is refused.
SHAPE_KEYS: dict[str, tuple[str, ...]] = {
    "residual_wavenet": ("causal", "channels", "kernel_size", "dilations"),
    "nam_a1": ("channels", "kernel_size", "dilations", "first_array_layers"),
    "nam_a2": ("channels",),
    "lstm": ("channels", "layers", "warm_up_frames"),
}


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The pair of recordings and how it is divided."""

    input: str = setting("", "dry recording, WAV, FLAC or AIFF, looked for in paths.data")
    target: str = setting("", "the same, as it came out of the gear")
    delay_frames: int = setting(0, "the target lags by this much; removed before training")
    length_tolerance_s: float = setting(1.0, "the files may differ by this; a tail is cut", 0)
    train: tuple[int, int] | None = setting(None, "[first, end] in frames; null: the first 80 %", 0)
    valid: tuple[int, int] | None = setting(None, "chooses among weights; null: the next 10 %", 0)
    test: tuple[int, int] | None = setting(
        None, "measured once, at the end; null: the last 10 %", 0
    )


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The net, and what the model file says about the gear."""

    name: str = setting("model", "of the files, in A-Z a-z 0-9 . _ -; 1 to 64 of them")
    architecture: str = setting("residual_wavenet", "residual_wavenet nam_a1 nam_a2 lstm")
    causal: bool = setting(True, "false: looks ahead as far as back; never plays live")
    channels: int = setting(12, "width; the cost grows with its square", 1, 64)
    kernel_size: int = setting(3, "taps of a convolution; odd unless causal", 1, 64)
    dilations: tuple[int, ...] = setting(
        (1, 2, 4, 8, 16, 32, 64, 128, 256, 512), "frames between taps, one a layer", 1, 65536
    )
    first_array_layers: int = setting(10, "nam_a1: dilations before the width halves", 1, 63)
    layers: int = setting(1, "lstm: how many on top of each other", 1, 8)
    warm_up_frames: int = setting(2048, "lstm: heard before each crop", 1, 480_000)
    gear_type: str | None = setting(None, "amp pedal pedal_amp amp_cab amp_pedal_cab preamp studio")
    gear_make: str | None = setting(None, "who built the gear")
    gear_model: str | None = setting(None, "which gear, and how its knobs stood")
    tone_type: str | None = setting(None, "clean overdrive crunch hi_gain fuzz")
    modeled_by: str | None = setting(None, "who made the recording")
    input_level_dbu: float | None = setting(None, "dBu of a full-scale sine going in", -60, 60)
    output_level_dbu: float | None = setting(None, "dBu of a full-scale sine coming out", -60, 60)
    licence: str | None = setting(None, "what others may do with the model file")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How long and how."""

    minutes: float = setting(5.0, "budget that the schedule fills", 0)
    cpu_seconds: float = setting(0.0, "budget in CPU time of the process; wins over minutes", 0)
    steps: int = setting(0, "budget in steps, repeatable; wins over both", 0)
    target_esr: float = setting(0.0, "a VALID ESR that ends the run; 0: none", 0)
    batch_size: int = setting(4, "crops of a step", 1)
    segment_frames: int = setting(2048, "output frames of a crop; history comes on top", 1)
    muon_learning_rate: float = setting(0.01, "of the hidden matrices", 0, 10)
    adam_learning_rate: float = setting(0.005, "of everything else", 0, 10)
    weight_decay: float = setting(0.001, "share of each weight that a full step takes off", 0, 0.1)
    warm_up_share: float = setting(0.05, "of the budget; then a cosine down to 1 %", 0, 0.9)
    gradient_clip: float = setting(1.0, "largest norm of a gradient", 1e-9)
    average_decay: float = setting(
        0.998, "of the moving average of the weights, a step", 0, 0.99999
    )
    loss_floor: float = setting(1.0, "added below the ESR of a crop, in mean powers", 1e-9)
    pre_emphasis: float = setting(0.95, "a of y[t] - a y[t-1], for the next", 0, 1)
    pre_emphasis_weight: float = setting(0.0, "of the ESR after that filter, in the loss", 0)
    mrstft_weight: float = setting(0.0, "of the multi-resolution STFT distance, in the loss", 0)
    dc_weight: float = setting(0.0, "of the squared mean error, in the loss", 0)
    validate_every_steps: int = setting(500, "steps between validations", 1)
    checkpoint_every_steps: int = setting(500, "steps between states that --resume takes", 1)
    patience: int = setting(30, "validations without a better one that end a run", 1)
    seed: int = setting(0, "of first weights and crops", 0, 2**63 - 1)
    device: str = setting("auto", "cpu, cuda, cuda:1, mps; auto: cuda where there is one")
    threads: int = setting(1, "CPU threads; a net this small gains little from more", 1, 1024)


@dataclasses.dataclass(frozen=True)
class PathsConfig:
    """Where things lie; {model_name} stands for model.name, here and in data."""

    data: str = setting(".", "folder of the recordings")
    run: str = setting("runs/{model_name}", "folder of best_model.pt, checkpoints/ and the curves")
    models: str = setting("models/{model_name}", "folder for the model files")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that a training run depends on."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    paths: PathsConfig = dataclasses.field(default_factory=PathsConfig)


SECTIONS: dict[str, type] = {
    "data": DataConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
    "paths": PathsConfig,
}


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package, without .yaml."""
    folder = resources.files("trainer") / "recipes"
    return sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".yaml"))


def load_recipe(name: str, overrides: Mapping[str, str] | None = None) -> Recipe:
    """A recipe from a file, or by the name of a shipped one, with overrides on top.

    overrides: {"training.minutes": "10"}: values are YAML, as in the file, but what is text
        there needs no quotes here (an amp may be called 5150)
    raises: RecipeError
    """
    sections = _read_sections(name)
    for key, text in (overrides or {}).items():
        section, _, field = key.partition(".")
        if section not in SECTIONS or not field:
            raise RecipeError(f"--{key}: no such setting{nearest(key, all_keys())}")
        values = sections.get(section) or {}
        if not isinstance(values, Mapping):
            continue  # recipe_from_dict says what is wrong with the section
        wanted = typing.get_type_hints(SECTIONS[section]).get(field)
        verbatim = wanted is str or (wanted == str | None and text != "null")
        try:
            sections[section] = {**values, field: text if verbatim else yaml.safe_load(text)}
        except yaml.YAMLError as error:
            raise RecipeError(
                f"--{key}: found {text!r}, expected a YAML value such as 3, true or [0, 48000]"
            ) from error
    return recipe_from_dict(sections, name)


def recipe_from_dict(sections: Mapping[str, object], source: str) -> Recipe:
    """The checked Recipe of nested plain values; `source` names them in errors."""
    built: dict[str, typing.Any] = {}
    for section, values in sections.items():
        if section not in SECTIONS:
            raise RecipeError(f"{source}: no section {section!r}{nearest(section, [*SECTIONS])}")
        built[section] = build(SECTIONS[section], values, f"{source}: {section}")
    recipe = Recipe(**built)
    _check(recipe, source)
    return _fill_names(recipe, source)


def recipe_to_dict(recipe: Recipe) -> dict[str, dict[str, typing.Any]]:
    """Nested plain values (lists for tuples) that recipe_from_dict takes back."""
    return {
        section: {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        for section, values in dataclasses.asdict(recipe).items()
    }


def all_keys() -> list[str]:
    """Every section.key that a recipe may set."""
    return [f"{s}.{f.name}" for s, kind in SECTIONS.items() for f in dataclasses.fields(kind)]


def _read_sections(name: str) -> dict[str, object]:
    path = Path(name)
    shipped = resources.files("trainer") / "recipes" / f"{path.stem}.yaml"
    try:
        if not path.exists() and path.parent == Path() and shipped.is_file():
            text = shipped.read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
        sections = yaml.safe_load(text) or {}
    except FileNotFoundError as error:
        raise RecipeError(
            f"{name}: no such recipe; give a YAML file or one of those that come with the "
            f"trainer: {', '.join(shipped_recipes())}"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{name}: cannot be read as YAML: {error}") from error
    if not isinstance(sections, dict):
        raise RecipeError(f"{name}: found {sections!r:.60}, expected sections {[*SECTIONS]}")
    return {str(key): value for key, value in sections.items()}


def _check(recipe: Recipe, source: str) -> None:
    model, training, data = recipe.model, recipe.training, recipe.data
    kinds = ", ".join(SHAPE_KEYS)
    _require(model.architecture in SHAPE_KEYS, source, "model.architecture", model, kinds)
    _check_shape(model, source)
    budget = training.steps > 0 or training.cpu_seconds > 0 or training.minutes > 0
    expected = "a number above 0 while training.steps and training.cpu_seconds are 0"
    _require(budget, source, "training.minutes", training, expected)
    long_enough = training.mrstft_weight == 0 or training.segment_frames >= LONGEST_STFT_FRAMES
    expected = f"{LONGEST_STFT_FRAMES} or more where training.mrstft_weight is above 0"
    _require(long_enough, source, "training.segment_frames", training, expected)
    together = (data.train is None) == (data.valid is None)
    together = together and (data.test is None or data.valid is not None)
    expected = "train and valid together, or none of train, valid and test"
    _require(together, source, "data.train", data, expected)


def _check_shape(model: ModelConfig, source: str) -> None:
    known = {key for keys in SHAPE_KEYS.values() for key in keys}
    for key in sorted(known - {*SHAPE_KEYS[model.architecture]}):
        unset = getattr(model, key) == getattr(ModelConfig(), key)
        expected = f"it left out: a {model.architecture} has no such choice"
        _require(unset, source, f"model.{key}", model, expected)
    expected = "an odd number, because a centred kernel has a middle (or model.causal true)"
    _require(
        model.causal or model.kernel_size % 2 == 1, source, "model.kernel_size", model, expected
    )
    layers = len(model.dilations)
    _require(1 <= layers <= 64, source, "model.dilations", model, "1 to 64 numbers")
    reach = 1 + (model.kernel_size - 1) * sum(model.dilations)
    expected = f"a receptive field of at most 480000 frames, which here is {reach}"
    _require(reach <= 480_000, source, "model.dilations", model, expected)
    if model.architecture == "nam_a1":
        expected = f"fewer than the {layers} of model.dilations, so that a second array has some"
        right = model.first_array_layers < layers
        _require(right, source, "model.first_array_layers", model, expected)
        expected = "an even number: the second array has half of them"
        _require(model.channels % 2 == 0, source, "model.channels", model, expected)


def _require(right: bool, source: str, key: str, section: object, expected: str) -> None:
    if not right:
        found = getattr(section, key.partition(".")[2])
        raise RecipeError(f"{source}: {key}: found {found!r}, expected {expected}")


def _fill_names(recipe: Recipe, source: str) -> Recipe:
    name = recipe.model.name
    if not MODEL_NAME.fullmatch(name):
        raise RecipeError(
            f"{source}: model.name: found {name!r}, expected 1 to 64 of "
            "A-Z a-z 0-9 . _ - with no dot in front"
        )

    def fill(key: str, text: str) -> str:
        filled = text.replace("{model_name}", name)
        if "{" in filled or "}" in filled:
            raise RecipeError(
                f"{source}: {key}: found {text!r}, expected no name in braces but {{model_name}}"
            )
        return filled

    data = dataclasses.replace(
        recipe.data,
        input=fill("data.input", recipe.data.input),
        target=fill("data.target", recipe.data.target),
    )
    paths = {k: fill(f"paths.{k}", v) for k, v in dataclasses.asdict(recipe.paths).items()}
    return dataclasses.replace(recipe, data=data, paths=PathsConfig(**paths))
