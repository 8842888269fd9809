"""checkpoints/: everything that a run needs to go on as if it had never stopped."""

import re
from pathlib import Path
from typing import Any

import torch

from trainer.errors import ModelError, TrainingError
from trainer.files import replace_file
from trainer.recipe import Recipe, recipe_to_dict

FORMAT = "ampd-run"
KEPT = 3  # newest states; the others are deleted
NAME = re.compile(r"step-(\d+)\.pt")


def save_state(
    folder: Path, recipe: Recipe, data_sha256: dict[str, str], state: dict[str, Any]
) -> None:
    """Write folder/step-N.pt, whole or not at all; state["step"] is N.

    state: plain values and tensors only, so that it can be loaded without running code
    """
    content = {"format": FORMAT, "recipe": recipe_to_dict(recipe), "data_sha256": data_sha256}
    path = folder / f"step-{state['step']:08d}.pt"
    replace_file(path, lambda file: torch.save({**content, **state}, file))
    for old in states(folder)[:-KEPT]:
        old.unlink(missing_ok=True)


def load_state(folder: Path, recipe: Recipe, data_sha256: dict[str, str]) -> dict[str, Any]:
    """The newest state of a run.

    raises: ModelError if there is none or it is damaged; TrainingError if it is of another recipe
        or of other recordings
    """
    found = states(folder)
    if not found:
        raise ModelError(
            f"{folder}: found no step-*.pt, expected the checkpoints of a run to resume; leave "
            "--resume out to start one"
        )
    path = found[-1]
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if state.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
    except Exception as error:  # torch.load raises many kinds for a damaged file
        raise ModelError(
            f"{path}: found something else or a damaged file, expected the state of a run of this "
            "version; delete it to resume from the one before"
        ) from error
    wanted = {**recipe_to_dict(recipe), "recordings": data_sha256}
    stored = {**state.pop("recipe"), "recordings": state.pop("data_sha256")}
    _require_same(stored, wanted, path)
    return state


def states(folder: Path) -> list[Path]:
    """The states of a run, oldest first."""
    found = [path for path in folder.glob("step-*.pt") if NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name[5:-3]))


def clear_states(folder: Path) -> None:
    """Forget an older run."""
    for path in states(folder):
        path.unlink()


def _require_same(stored: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    for section, values in wanted.items():
        if section == "paths":
            continue  # a run may be moved
        for key, value in values.items():
            found = stored.get(section, {}).get(key)
            if found != value:
                raise TrainingError(
                    f"{path}: found a run with {section}.{key} {found!r}, expected {value!r} as "
                    "asked now; resume it with its own settings, or start anew without --resume"
                )
