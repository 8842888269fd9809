"""Recordings made by code, and the shared captures where they are present."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from trainer.networks import ResidualWaveNet
from trainer.recipe import ModelConfig
from trainer.signals import riff

RATE_HZ = 48000
CAPTURES = Path(__file__).parents[3] / "shared" / "captures"


def gear(dry: NDArray[np.float64]) -> NDArray[np.float64]:
    """A distortion that a small net can learn: tanh, then a one-pole low-pass at about 6 kHz."""
    driven = 0.5 * np.tanh(6 * dry)
    wet = np.zeros_like(driven)
    held = 0.0
    for frame, value in enumerate(driven):
        held += 0.55 * (value - held)
        wet[frame] = held
    return wet


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with dry.wav and wet.wav: six seconds, 48 kHz, mono, float."""
    folder = tmp_path_factory.mktemp("recordings")
    dry = riff(6.0, RATE_HZ)
    write_wav(folder / "dry.wav", dry)
    write_wav(folder / "wet.wav", gear(dry))
    return folder


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """losses.csv of the takes `soft` and `hard` when nothing interrupts their training."""
    from tests.trainer.takes import make_takes, train_alone  # noqa: PLC0415  it imports this file

    place = tmp_path_factory.mktemp("alone")
    names = ["soft", "hard"]
    takes = make_takes(place / "takes", names)
    return {name: train_alone(takes, name, place / name) for name in names}


def write_wav(
    path: Path, samples: NDArray[np.float64], rate_hz: int = RATE_HZ, subtype: str = "FLOAT"
) -> Path:
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    return path


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of real recordings beside the repository."""
    if not CAPTURES.is_dir():
        pytest.skip("shared/captures is absent")
    return CAPTURES


def make_net(causal: bool = True, seed: int = 0, **changes: object) -> ResidualWaveNet:
    """A small net with random weights, biases included, ready for inference."""
    torch.manual_seed(seed)
    settings: dict[str, object] = {"channels": 4, "dilations": (1, 2, 4), **changes}
    net = ResidualWaveNet(ModelConfig(causal=causal, **settings))  # type: ignore[arg-type]
    return net.requires_grad_(False)
