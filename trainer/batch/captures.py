"""Take folders -> captures that can be trained, each with what identifies it."""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from trainer.data import recording_paths
from trainer.errors import DataError, TrainerError
from trainer.files import sha256_file
from trainer.recipe import Recipe, load_recipe, recipe_to_dict

ENDINGS = (".wav", ".flac", ".aif", ".aiff")
OWN_RECIPE = "recipe.yaml"
# A folder says these of its take, so neither a recipe nor the command line can.
SAID_BY_FOLDER = ("data.input", "data.target", "model.name", "paths.data")


@dataclasses.dataclass(frozen=True)
class Capture:
    """One take and how it is to be trained; plain values, so that it can go to another machine."""

    name: str  # of the folder and of the model
    folder: Path
    recipe: Recipe  # paths.run and paths.models are absolute
    sha256: dict[str, str]  # "input", "target": of the files' bytes
    doctor: bool = True  # examine and repair before training
    report: bool = True  # write report/ when it is trained

    @property
    def run(self) -> Path:
        """Where the run leaves its checkpoints."""
        return Path(self.recipe.paths.run)

    @property
    def key(self) -> str:
        """Hash of all that the model depends on: recordings and recipe, not where they lie."""
        plain = recipe_to_dict(self.recipe)
        del plain["paths"]
        for field in ("input", "target"):
            del plain["data"][field]
        text = json.dumps([plain, self.sha256, self.doctor], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Refused:
    """A take folder that cannot be trained as it is."""

    name: str
    folder: Path
    text: str  # one sentence: what is wrong, and the way out


def find_captures(
    root: Path,
    recipe: str,
    overrides: Mapping[str, str],
    doctor: bool = True,
    report: bool = True,
) -> list[Capture | Refused]:
    """Every take folder under root, in the order of their paths.

    A take folder holds target.wav (or .flac, .aif, .aiff) and input.*; without an input of its own
    it takes the one of the folder above it.
    recipe: for takes that have no recipe.yaml of their own
    overrides: section.key -> text, on top of either recipe
    raises: DataError where there is no take folder at all
    """
    folders = sorted({p.parent for p in root.resolve().rglob("target.*") if _is_recording(p)})
    if not folders:
        raise DataError(
            f"{root}: found no folder with a target.wav (or .flac, .aiff), expected one folder a "
            "take: NAME/target.wav and input.wav beside it or one folder up"
        )
    fingerprint = functools.cache(sha256_file)
    found = [_capture(folder, recipe, overrides, fingerprint) for folder in folders]
    asked = [
        dataclasses.replace(capture, doctor=doctor, report=report)
        if isinstance(capture, Capture)
        else capture
        for capture in found
    ]
    return _refuse_twins(asked)


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and path.is_file()


def _capture(
    folder: Path,
    shared_recipe: str,
    overrides: Mapping[str, str],
    fingerprint: Callable[[Path], str],
) -> Capture | Refused:
    own = folder / OWN_RECIPE
    try:
        said = {
            "data.input": _relative(_one(folder, "input"), folder),
            "data.target": _relative(_one(folder, "target"), folder),
            "model.name": folder.name,
            "paths.data": str(folder),
        }
        source = str(own) if own.exists() else shared_recipe
        recipe = _absolute(load_recipe(source, {**overrides, **said}))
        input_path, target_path = recording_paths(recipe)
        hashes = {"input": fingerprint(input_path), "target": fingerprint(target_path)}
    except TrainerError as error:
        return Refused(folder.name, folder, str(error))
    except OSError as error:
        text = f"{error.filename}: cannot be read ({error.strerror}); repair it or its rights"
        return Refused(folder.name, folder, text)
    return Capture(folder.name, folder, recipe, hashes)


def _one(folder: Path, stem: str) -> Path:
    """The recording of that name; an input may be the one that several takes share."""
    places = (folder, folder.parent) if stem == "input" else (folder,)
    for place in places:
        found = sorted(p for p in place.glob(f"{stem}.*") if _is_recording(p))
        if len(found) > 1:
            names = ", ".join(p.name for p in found)
            raise DataError(f"{place}: found {names}, expected one of them; move the others away")
        if found:
            return found[0]
    raise DataError(
        f"{folder}: found no {stem}.wav (or .flac, .aiff), expected the dry recording there or one "
        "folder up; put it there"
    )


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder)


def _absolute(recipe: Recipe) -> Recipe:
    """A worker has another working directory than the person who queued the take."""
    paths = recipe.paths
    here = dataclasses.replace(
        paths, run=str(Path(paths.run).absolute()), models=str(Path(paths.models).absolute())
    )
    return dataclasses.replace(recipe, paths=here)


def _refuse_twins(found: list[Capture | Refused]) -> list[Capture | Refused]:
    """Takes that would write into one another's folders."""
    places: dict[str, list[Path]] = {}
    for capture in found:
        if isinstance(capture, Capture):
            for place in (f"name {capture.name}", f"run folder {capture.run}"):
                places.setdefault(place, []).append(capture.folder)

    def checked(capture: Capture | Refused) -> Capture | Refused:
        for place, folders in places.items():
            others = [str(folder) for folder in folders if folder != capture.folder]
            if capture.folder in folders and others:
                text = (
                    f"{capture.folder}: has the {place} of {', '.join(others)}, expected one of "
                    "its own; rename the folder, or set paths.run with {model_name}"
                )
                return Refused(capture.name, capture.folder, text)
        return capture

    return [checked(capture) for capture in found]
