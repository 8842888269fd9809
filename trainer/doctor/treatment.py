"""The doctor before a training run: a recipe in, recordings without what could be repaired out."""

import dataclasses
from pathlib import Path

from trainer.architectures import build_network
from trainer.data import Recordings, recording_paths
from trainer.doctor.examine import Diagnosis, examine
from trainer.doctor.report import as_plain
from trainer.errors import DataError
from trainer.recipe import Recipe


def examine_recipe(recipe: Recipe) -> Diagnosis:
    """`examine` with the recordings of a recipe, their lag, their split and its net."""
    return examine(
        *recording_paths(recipe),
        delay_frames=recipe.data.delay_frames,
        field_frames=build_network(recipe.model).receptive_field_frames,
        train=recipe.data.train,
    )


def repaired(diagnosis: Diagnosis, paths: tuple[Path, Path]) -> Recordings:
    """The recordings as training takes them, with what was found.

    paths: of the input and the target that were examined
    raises: DataError where a finding stops training
    """
    if diagnosis.recordings is None:
        raise DataError("; ".join(f.text for f in diagnosis.stops))
    return dataclasses.replace(diagnosis.recordings, doctor=as_plain(diagnosis, paths))
