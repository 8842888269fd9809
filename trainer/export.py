"""Checkpoint -> the model files.

A residual WaveNet has NAME.json, the project's own file, and where it is causal NAME.nam.  The nets
of NAM (A1, A2, LSTM) have NAME.nam alone: that format says them exactly, and a second file would
only be a second thing to keep true.
"""

import datetime
import math
from pathlib import Path
from typing import Any

import torch

from trainer.architectures import build_network
from trainer.checkpoint import Checkpoint, load_checkpoint
from trainer.errors import ModelError
from trainer.model_json import (
    SELF_TEST_TOLERANCE,
    Model,
    build_model,
    read_model,
    self_test_error,
    write_model,
)
from trainer.nam import FIELDS, build_nam
from trainer.nam_nets import build_nam_net, read_nam
from trainer.networks import Network, ResidualWaveNet, reference_forward
from trainer.networks_nam import Lstm, NamWaveNet
from trainer.recipe import recipe_to_dict
from trainer.signals import riff, self_test_input

LOUDNESS_SECONDS = 3.0


def export(checkpoint_path: Path, folder: Path | None = None, kind: str = "all") -> list[Path]:
    """Write the model files of a checkpoint and prove what was written.

    folder: None is the recipe's paths.models
    kind: "json", "nam" or "all", which is every file that the net can be said in
    returns: the files written
    raises: ModelError
    """
    checkpoint = load_checkpoint(checkpoint_path)
    model = checkpoint.recipe.model
    place = Path(checkpoint.recipe.paths.models) if folder is None else folder
    json_path, nam_path = place / f"{model.name}.json", place / f"{model.name}.nam"
    net = finished_net(checkpoint)
    metadata = describe(checkpoint, net)
    if isinstance(net, NamWaveNet | Lstm):
        if kind == "json":
            raise ModelError(
                f"{model.name}: found a {model.architecture}, expected a residual_wavenet, which "
                "alone has a .json; --format nam writes the same net as NAM's own file"
            )
        write_model(build_nam_net(net, checkpoint.sample_rate_hz, metadata), nam_path)
        proven_model(nam_path)
        return [nam_path]
    assert isinstance(net, ResidualWaveNet)
    content = build_model(net, checkpoint.sample_rate_hz, metadata)
    written: list[Path] = []
    if kind in ("json", "all"):
        written.append(json_path)
        write_model(content, json_path)
        proven_model(json_path)
    if kind == "nam" or (kind == "all" and model.causal):
        written.append(nam_path)
        write_model(build_nam(content), nam_path)
    return written


def read_any_model(path: Path) -> Model:
    """Read the project's own .json, a .nam, or the best_model.pt of a run; raises: ModelError."""
    if path.suffix == ".nam":
        return read_nam(path)
    return _read_checkpoint(path) if path.suffix == ".pt" else read_model(path)


def proven_model(path: Path) -> Model:
    """read_any_model, refused where it fails its own self-test; raises: ModelError."""
    model = read_any_model(path)
    error = self_test_error(model)
    if not error <= SELF_TEST_TOLERANCE:
        raise ModelError(
            f"{path}: self_test: found an error of {error:.1e} of peak, expected "
            f"{SELF_TEST_TOLERANCE:g} or less: the file is damaged, export it again"
        )
    return model


def _read_checkpoint(path: Path) -> Model:
    checkpoint = load_checkpoint(path)
    net, rate = finished_net(checkpoint), checkpoint.sample_rate_hz
    probe = self_test_input(rate)
    answer = reference_forward(net, torch.from_numpy(probe)).numpy()
    return Model(net, rate, (probe, answer), {"name": checkpoint.recipe.model.name})


def finished_net(checkpoint: Checkpoint) -> Network:
    """The net with the normalisation of its target undone: it answers at the gear's own level."""
    net = build_network(checkpoint.recipe.model)
    try:
        net.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise ModelError(
            f"{checkpoint.recipe.model.name}: the checkpoint's weights do not fit its own recipe "
            f"({error}); train again"
        ) from error
    net.divide_output(checkpoint.target_gain)
    return net.requires_grad_(False)


def describe(checkpoint: Checkpoint, net: Network) -> dict[str, Any]:
    """The metadata of the file; NAM's names where NAM has one."""
    model = checkpoint.recipe.model
    finished = datetime.datetime.fromisoformat(checkpoint.finished)
    units = ("year", "month", "day", "hour", "minute", "second")
    given = {k: getattr(model, k) for k in FIELDS if getattr(model, k) is not None}
    settings = recipe_to_dict(checkpoint.recipe)
    return {
        "date": {unit: getattr(finished, unit) for unit in units},
        **given,
        "loudness": round(loudness_db(net, checkpoint.sample_rate_hz), 3),
        "licence": model.licence,
        "training": {
            "esr_valid": checkpoint.esr_valid,
            "esr_test": checkpoint.esr_test,
            **_checks(checkpoint),
            "steps": checkpoint.step,
            "settings": settings["training"],
            # Folders say where one machine keeps things; names and hashes say what they are.
            "data": {
                **settings["data"],
                "input": Path(checkpoint.recipe.data.input).name,
                "target": Path(checkpoint.recipe.data.target).name,
                **{f"sha256_{k}": v for k, v in checkpoint.data_sha256.items()},
            },
        },
    }


def _checks(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the doctor said of the recordings; nothing where it did not look."""
    if checkpoint.doctor is None:
        return {}
    findings = checkpoint.doctor["findings"]
    repeat = checkpoint.doctor["measures"].get("repeat")
    floor = {} if repeat is None else {"self_esr": repeat["self_esr"]}
    return {"checks": [{key: f[key] for key in ("code", "text")} for f in findings], **floor}


def loudness_db(net: Network, sample_rate_hz: int) -> float:
    """RMS, in dB of full scale, of the net's answer to the same three seconds of riff."""
    signal = torch.from_numpy(riff(LOUDNESS_SECONDS, sample_rate_hz))
    power = float(reference_forward(net, signal).square().mean())
    return 10 * math.log10(max(power, 1e-20))
