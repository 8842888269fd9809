"""Checkpoint or model file -> the model files.

A residual WaveNet has NAME.json, the project's own file, and where it is causal NAME.nam.  The nets
of NAM (A1, A2, LSTM) have NAME.nam alone: that format says them exactly, and a second file would
only be a second thing to keep true.  Any of them can be had as NAME.onnx.
"""

import dataclasses
import datetime
import math
from pathlib import Path
from typing import Any

import torch

from trainer.architectures import build_network
from trainer.checkpoint import Checkpoint, load_checkpoint
from trainer.errors import ModelError, TrainerError
from trainer.files import replace_file
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


@dataclasses.dataclass(frozen=True)
class Source:
    """A net that is to be written, whatever it was read from."""

    name: str
    net: Network
    sample_rate_hz: int
    metadata: dict[str, Any]
    folder: Path  # where its files go if nobody says otherwise


@dataclasses.dataclass(frozen=True)
class Row:
    """What became of one run in export_all."""

    run: Path
    written: tuple[Path, ...]
    esr_valid: float | None  # of the checkpoint; None where it could not be read
    esr_test: float | None
    error: str  # empty where all was written


def export(path: Path, folder: Path | None = None, kind: str = "all") -> list[Path]:
    """Write the model files of a checkpoint, or another file of a model, and prove them.

    path: best_model.pt, or a .json or .nam to make another kind of file from
    folder: None is the recipe's paths.models, or the folder of the model file
    kind: "json", "nam", "onnx" or "all", which is .json and .nam, whichever the net can be said in
    returns: the files written
    raises: ModelError
    """
    source = _source(path, kind)
    return _write(source, source.folder if folder is None else folder, kind)


def export_all(folder: Path, out: Path | None = None, kind: str = "all") -> list[Row]:
    """`export` for every best_model.pt under `folder`; one that fails does not stop the others.

    out: the files of a run go to out/NAME; None is where each recipe says
    raises: ModelError where there is no run
    """
    runs = sorted(folder.rglob("best_model.pt"))
    if not runs:
        raise ModelError(
            f"{folder}: found no best_model.pt, expected a folder of training runs such as runs/"
        )
    return [_export_row(path, out, kind) for path in runs]


def _export_row(path: Path, out: Path | None, kind: str) -> Row:
    valid = test = None
    try:
        checkpoint = load_checkpoint(path)
        valid, test = checkpoint.esr_valid, checkpoint.esr_test
        place = None if out is None else out / checkpoint.recipe.model.name
        return Row(path.parent, tuple(export(path, place, kind)), valid, test, "")
    except TrainerError as error:
        return Row(path.parent, (), valid, test, str(error))


def _source(path: Path, kind: str) -> Source:
    if path.suffix == ".pt":
        checkpoint = load_checkpoint(path)
        recipe, net = checkpoint.recipe, finished_net(checkpoint)
        folder, metadata = Path(recipe.paths.models), describe(checkpoint, net)
        return Source(recipe.model.name, net, checkpoint.sample_rate_hz, metadata, folder)
    own = path.suffix.removeprefix(".")
    if kind in ("all", own):
        raise ModelError(
            f"{path}: found a model file, expected a best_model.pt for --format {kind}; name "
            f"another kind of file with --format: onnx{', nam' if own == 'json' else ''}"
        )
    model = proven_model(path)
    ours = model.metadata.get("ampd") or {}
    more = {key: ours[key] for key in ("licence", "training") if key in ours}
    metadata = {k: v for k, v in model.metadata.items() if k != "ampd"} | more
    return Source(path.stem, model.net, model.sample_rate_hz, metadata, path.parent)


def _write(source: Source, folder: Path, kind: str) -> list[Path]:
    if kind == "onnx":
        return [_write_onnx(source, folder / f"{source.name}.onnx")]
    json_path, nam_path = folder / f"{source.name}.json", folder / f"{source.name}.nam"
    net, rate = source.net, source.sample_rate_hz
    if isinstance(net, NamWaveNet | Lstm):
        if kind == "json":
            raise ModelError(
                f"{source.name}: found a net of NAM's, expected a residual_wavenet, which "
                "alone has a .json; --format nam writes the same net as NAM's own file"
            )
        write_model(build_nam_net(net, rate, source.metadata), nam_path)
        proven_model(nam_path)
        return [nam_path]
    assert isinstance(net, ResidualWaveNet)
    content = build_model(net, rate, source.metadata)
    written: list[Path] = []
    if kind in ("json", "all"):
        written.append(json_path)
        write_model(content, json_path)
        proven_model(json_path)
    if kind == "nam" or (kind == "all" and net.causal):
        written.append(nam_path)
        write_model(build_nam(content), nam_path)
    return written


def _write_onnx(source: Source, path: Path) -> Path:
    try:
        from trainer import onnx_file  # noqa: PLC0415  # its packages are an extra
    except ImportError as error:
        raise ModelError(
            f"{path}: not written: the package {error.name} is missing, expected onnx and "
            "onnxruntime; install them with: pip install 'ampd[onnx]'"
        ) from error
    data = onnx_file.build_onnx(source.net, source.sample_rate_hz, source.metadata)
    onnx_file.check(data, source.net, source.sample_rate_hz, str(path))
    replace_file(path, lambda file: file.write(data))
    return path


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
