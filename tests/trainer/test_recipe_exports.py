"""Every recipe trains a few steps, and the engine plays what it exports as the trainer does."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ampd import _engine
from tests.trainer.test_cli import BARE, folders
from trainer.cli import main
from trainer.export import read_any_model
from trainer.networks import reference_forward
from trainer.recipe import load_recipe, shipped_recipes
from trainer.signals import riff

FEW = ["--training.steps=4", "--training.batch_size=2", "--training.segment_frames=64"]
# One of each file the trainer writes; the nets of the others are test_networks_nam.py's as well.
SHORT = ("nano", "offline", "a1-feather")
SPANS = ["--data.train=[0, 99000]", "--data.valid=[99000, 99900]", "--data.test=null"]


@pytest.mark.parametrize(
    "recipe",
    [pytest.param(r, marks=() if r in SHORT else pytest.mark.long) for r in shipped_recipes()],
)
def test_engine_plays_what_a_recipe_exports(recipe: str, recordings: Path, tmp_path: Path) -> None:
    """Of the peak of float64: 2e-6, an LSTM 1e-4 (it feeds its own rounding back), and the .nam of
    a residual net 5e-6 (tanh(e u) / e stands for u)."""
    arguments = ["train", recipe, *BARE, *FEW, *folders(recordings, tmp_path), "--model.name=tiny"]
    assert main([*arguments, *SPANS]) == 0
    model = load_recipe(recipe).model
    endings = [".nam"] if model.architecture != "residual_wavenet" else [".json", ".nam"]
    if not model.causal:
        endings = [".json"]
    written = sorted(path for path in (tmp_path / "models").iterdir())
    assert [path.suffix for path in written] == endings
    signal = np.ascontiguousarray(riff(0.3, 48000, peak=0.9), np.float32)
    expected = reference_forward(read_any_model(written[0]).net, torch.from_numpy(signal)).numpy()
    for path in written:
        if not model.causal:
            with pytest.raises(_engine.LoadError, match="causal"):
                _engine.render_model(str(path), signal)
            continue
        limit = {"lstm": 1e-4, "residual_wavenet": 2e-6 if path.suffix == ".json" else 5e-6}
        difference = np.abs(_engine.render_model(str(path), signal) - expected).max()
        allowed = limit.get(model.architecture, 2e-6)
        print(f"{recipe}{path.suffix}: {difference / np.abs(expected).max():.1e} of peak")
        assert difference <= allowed * np.abs(expected).max()
