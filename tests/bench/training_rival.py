"""neural-amp-modeler beside this trainer: same recordings, splits, CPU seconds, size of net.

    python -m venv nam
    nam/bin/pip install "neural-amp-modeler==0.13.*" "pytorch_lightning<=2.6.1"
    python -m tests.bench.training_rival --nam-python nam/bin/python --data FOLDER

NAM trains its A1 nano (841 weights) with its own code and its own defaults, ours the recipe `nano`
(816).  Each is one process on one thread; its seconds count from the first step and include its
validations.  Both leave the weights that were best on VALID, in a model file that the same code
measures on TEST.  FOLDER as in training_figures.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import soundfile

from tests.bench.training_figures import TEST, TRAIN, VALID, Row, train
from trainer.evaluate import evaluate
from trainer.export import read_any_model

LIMIT = 3.0
DEFAULT_CPU_SECONDS = 150
VALIDATE_EVERY_STEPS = 22  # four times in one of NAM's epochs of this recording
SEGMENT_FRAMES = 8192  # NAM's default
DILATIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def nano_array(inputs: int, channels: int, heads: int, dilations: list[int]) -> dict[str, Any]:
    return {
        "input_size": inputs,
        "condition_size": 1,
        "channels": channels,
        "kernel_size": 3,
        "dilations": dilations,
        "activation": "Tanh",
        "gated": False,
        "head": {"out_channels": heads, "kernel_size": 1, "bias": heads == 1},
    }


def nano() -> dict[str, Any]:
    """NAM's A1 nano."""
    layers = [nano_array(1, 4, 2, DILATIONS[:7]), nano_array(4, 2, 1, DILATIONS[7:] + DILATIONS)]
    return {"name": "WaveNet", "config": {"layers_configs": layers, "head_scale": 0.02}}


def as_wav(source: Path, folder: Path) -> Path:
    """The recording as the only format that NAM reads, with the same samples."""
    samples, rate = soundfile.read(source, dtype="int32")
    path = folder / f"{source.stem}.wav"
    soundfile.write(path, samples, rate, subtype="PCM_24")
    return path


def data_config(dry: Path, wet: Path) -> dict[str, Any]:
    normalise = "nam.data.normalize_joint_dataset_output"
    return {
        "train": {"start_samples": TRAIN[0], "stop_samples": TRAIN[1], "ny": SEGMENT_FRAMES},
        "validation": {
            "start_samples": VALID[0],
            "stop_samples": VALID[1],
            "ny": None,
            "require_input_pre_silence": None,
        },
        "common": {"x_path": str(dry), "y_path": str(wet), "delay": 0},
        "joint": [{"name": normalise, "kwargs": {"level_rms_dbfs": -18.0}}],
    }


def run_nam(python: Path, data: Path, target: str, cpu_seconds: int, folder: Path) -> Path:
    """NAM's model file after cpu_seconds of its trainer."""
    configs = {
        "data": data_config(as_wav(data / "di.flac", folder), as_wav(data / target, folder)),
        "model": nano(),
    }
    for name, config in configs.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    driver = Path(__file__).with_name("rival_nam.py")
    out = folder / "out"
    out.mkdir()
    words = [folder / "data.json", folder / "model.json", out, cpu_seconds, VALIDATE_EVERY_STEPS]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    command = [str(python), str(driver), *map(str, words)]
    subprocess.run(command, check=True, env=environment, stdout=sys.stderr)
    return next(out.glob("*.nam"))


def row(name: str, model: Path, data: Path, target: str, cpu_seconds: int) -> float:
    """Print a row of the table; returns the TEST ESR."""
    pair = (data / "di.flac", data / target)
    valid, test = (evaluate(model, *pair, *span).esr for span in (VALID, TEST))
    weights = sum(parameter.numel() for parameter in read_any_model(model).net.parameters())
    print(f"| {name} | {weights} | {cpu_seconds} | {valid:.5f} | {test:.5f} |", flush=True)
    return test


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nam-python", type=Path, required=True, help="interpreter that has NAM")
    parser.add_argument("--data", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--target", choices=("champ", "ts9"), default="champ")
    parser.add_argument("--cpu-seconds", type=int, default=DEFAULT_CPU_SECONDS)
    options = parser.parse_args()
    target, seconds = f"{options.target}.flac", options.cpu_seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        theirs = run_nam(options.nam_python, options.data, target, seconds, folder)
        train(Row(options.target, "nano", seconds, 841), options.data, folder / "ours")
        print("| trainer | weights | CPU s | VALID | TEST |\n|---|---|---|---|---|")
        rival = row("neural-amp-modeler", theirs, options.data, target, seconds)
        ours = folder / "ours" / "models" / f"{options.target}.json"
        mine = row("ampd-train nano", ours, options.data, target, seconds)
    print(f"TEST ESR of neural-amp-modeler over ours: {rival / mine:.2f} (asked: {LIMIT:g})")


if __name__ == "__main__":
    main()
