"""best_model.pt: weights and everything that the model file says about them."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.errors import ModelError, RecipeError
from trainer.files import replace_file
from trainer.recipe import Recipe, recipe_from_dict, recipe_to_dict

FORMAT = "ampd-checkpoint"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A trained net before it is exported."""

    recipe: Recipe
    weights: dict[str, Tensor]  # float32, of a net whose target was multiplied by target_gain
    target_gain: float
    sample_rate_hz: int
    data_sha256: dict[str, str]
    esr_valid: float
    esr_test: float | None
    step: int
    finished: str  # ISO 8601, UTC
    doctor: dict[str, Any] | None = None  # findings and measures; None: it did not look


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write plain values and tensors only, so that it can be loaded without running code."""
    plain = {f.name: getattr(checkpoint, f.name) for f in dataclasses.fields(checkpoint)}
    plain["recipe"] = recipe_to_dict(checkpoint.recipe)
    replace_file(path, lambda file: torch.save({"format": FORMAT, **plain}, file))


def load_checkpoint(path: Path) -> Checkpoint:
    """raises: ModelError if the file is missing, or is not what `train` writes."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file, expected the best_model.pt of a training run")
    try:
        plain: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if plain.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        recipe = recipe_from_dict(plain.pop("recipe"), str(path))
        return Checkpoint(recipe=recipe, **plain)
    except (RecipeError, OSError) as error:
        raise ModelError(str(error)) from error
    except Exception as error:  # torch.load raises many kinds for a damaged file
        raise ModelError(
            f"{path}: found something else or a damaged file, expected the best_model.pt of a "
            "training run of this version"
        ) from error
