"""What the trainer reaches in a budget of CPU seconds, beside what was asked: one row a run.

    python -m tests.bench.training_figures --data FOLDER [--row NAME] [--seed N] [--keep FOLDER]

FOLDER holds di.flac, champ.flac, ts9.flac and ts9_bigchump_celestion.flac, of 13,201,483 frames
each.  Every row is one `ampd-train train` on one thread: weights chosen on VALID, then measured
once on TEST.  All rows together take 32 CPU minutes.
"""

import argparse
import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from trainer.checkpoint import load_checkpoint

TRAIN, VALID, TEST = (0, 11633784), (11633784, 12342401), (12342401, 13201483)
OCTAVES = [2**n for n in range(12)]
# A valve amp wants the layers, a cabinet the field.
DEEP = ("--model.channels", "16", "--model.dilations", str(2 * OCTAVES[:10]))
LONG = ("--model.channels", "16", "--model.dilations", str(OCTAVES))


@dataclasses.dataclass(frozen=True)
class Row:
    """A run and its limits; infinity where none is set."""

    target: str
    recipe: str
    cpu_seconds: int
    most_weights: int
    valid: float = float("inf")
    test: float = float("inf")
    overrides: tuple[str, ...] = ()


ROWS = {
    "champ-nano-15s": Row("champ", "nano", 15, 841, valid=0.07),
    "champ-nano-60s": Row("champ", "nano", 60, 841, valid=0.016, test=0.033),
    "ts9-nano-25s": Row("ts9", "nano", 25, 841, test=0.0026),
    "champ-10min": Row("champ", "realtime", 600, 16_000, test=0.012, overrides=DEEP),
    "champ-a1-10min": Row("champ", "a1-standard", 600, 16_000, test=0.012),
    "celestion-10min": Row(
        "ts9_bigchump_celestion", "realtime", 600, 10_000, test=0.008, overrides=LONG
    ),
}


@dataclasses.dataclass(frozen=True)
class Reached:
    """How a run ended."""

    weights: int
    steps: int
    valid: float
    test: float


def train(row: Row, data: Path, folder: Path, seed: int = 0) -> Reached:
    """Run `ampd-train train` as a process; its run and its models go into the folder."""
    spans = {"train": TRAIN, "valid": VALID, "test": TEST}
    options = {
        "data.input": "di.flac",
        "data.target": f"{row.target}.flac",
        **{f"data.{name}": str([*span]) for name, span in spans.items()},
        "model.name": row.target,
        "training.cpu_seconds": str(row.cpu_seconds),
        "training.threads": "1",
        "training.seed": str(seed),
        "paths.data": str(data),
        "paths.run": str(folder / "run"),
        "paths.models": str(folder / "models"),
    }
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    command = [sys.executable, "-m", "trainer.cli", "train", row.recipe, *words, *row.overrides]
    command.append("--no-report")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, stdout=sys.stderr)
    best = load_checkpoint(folder / "run" / "best_model.pt")
    weights = sum(value.numel() for value in best.weights.values() if value.dtype == torch.float32)
    assert best.esr_test is not None
    return Reached(weights, best.step, best.esr_valid, best.esr_test)


@contextlib.contextmanager
def a_folder(kept: Path | None) -> Iterator[Path]:
    """The folder that a person wants to keep, or one that is deleted."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def asked(limit: float) -> str:
    return "" if limit == float("inf") else f"{limit:g}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--row", choices=ROWS, action="append", help="only this one; repeatable")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="leave runs and models in this folder")
    options = parser.parse_args()
    print("| row | CPU s | weights | steps | VALID | asked | TEST | asked | reached |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.row or ROWS:
        row = ROWS[name]
        with a_folder(options.keep and options.keep / name) as folder:
            found = train(row, options.data, folder, options.seed)
        right = found.valid <= row.valid and found.test <= row.test
        right = right and found.weights <= row.most_weights
        print(
            f"| {name} | {row.cpu_seconds} | {found.weights} | {found.steps} | "
            f"{found.valid:.5f} | {asked(row.valid)} | {found.test:.5f} | {asked(row.test)} | "
            f"{'yes' if right else 'NO'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
