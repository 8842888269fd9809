"""A1, A2 and LSTM nets: shapes, files, and what reference engines say of such files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.trainer.conftest import CAPTURES
from tests.trainer.reference import nam_forward
from trainer.architectures import build_network
from trainer.errors import ModelError
from trainer.model_json import write_model
from trainer.nam_nets import build_nam_net, flat_weights, read_nam
from trainer.networks import Network, Stream, reference_forward, render
from trainer.networks_nam import Lstm, NamWaveNet
from trainer.recipe import load_recipe
from trainer.signals import riff

CORPUS = CAPTURES.parent / "model-corpus"
SMALL: dict[str, dict[str, str]] = {
    "realtime": {"model.channels": "3", "model.dilations": "[1, 2, 4]"},
    "offline": {"model.channels": "3", "model.dilations": "[1, 2, 4]"},
    "a1-standard": {
        "model.channels": "4",
        "model.dilations": "[1, 2, 4, 8]",
        "model.first_array_layers": "2",
    },
    "a2": {"model.channels": "2"},
    "lstm": {"model.channels": "3", "model.layers": "2", "model.warm_up_frames": "32"},
}


def make(recipe: str, overrides: dict[str, str] | None = None) -> Network:
    torch.manual_seed(0)
    net = build_network(load_recipe(recipe, overrides).model)
    return net.requires_grad_(False)


def nam_net(recipe: str, overrides: dict[str, str] | None = None) -> NamWaveNet | Lstm:
    net = make(recipe, overrides)
    assert isinstance(net, NamWaveNet | Lstm)
    return net


def file_of(net: NamWaveNet | Lstm, folder: Path) -> Path:
    write_model(build_nam_net(net, 48000, {"licence": "MIT"}), folder / "m.nam")
    return folder / "m.nam"


@pytest.mark.parametrize("recipe", SMALL)
@pytest.mark.parametrize("chunk_frames", [1, 50])
def test_stream_equals_the_whole_file(recipe: str, chunk_frames: int) -> None:
    net = make(recipe, SMALL[recipe]).double()
    signal = torch.from_numpy(riff(0.004, 48000))
    padded = torch.cat([signal, signal.new_zeros(net.after_frames)])
    stream = Stream(net)
    played = torch.cat([stream.process(chunk) for chunk in torch.split(padded, chunk_frames)])
    whole = render(net, signal)
    # float64, sums in another order; the LSTM settled on silence once in one go, once in chunks.
    assert (played[net.after_frames :] - whole).abs().max() <= 1e-12


@pytest.mark.parametrize("recipe", [name for name in SMALL if name != "lstm"])
def test_valid_forward_of_a_cut_equals_the_whole_file(recipe: str) -> None:
    net = make(recipe, SMALL[recipe]).double()
    signal = torch.from_numpy(riff(0.2, 48000))
    first = net.before_frames + 100
    cut = signal[first - net.before_frames : first + 200 + net.after_frames]
    found = net(cut[None])[0]
    assert found.shape == (200,)
    assert (found - render(net, signal, first, first + 200)).abs().max() <= 1e-12


def test_crop_of_an_lstm_comes_close_to_the_whole_file() -> None:
    """A crop starts from silence; the memory of these random weights fades within 1,024 frames."""
    net = make("lstm", {"model.channels": "4"}).double()
    signal = torch.from_numpy(riff(0.1, 48000))
    found = net(signal[None, 2000 - net.before_frames : 2200])[0]
    assert net.before_frames == 1024
    assert (found - render(net, signal, 2000, 2200)).abs().max() <= 1e-6


@pytest.mark.parametrize(
    ("recipe", "weights", "field"),
    [
        ("a1-standard", 13802, 4093),
        ("a1-lite", 6554, 4093),
        ("a1-feather", 3026, 4093),
        ("a2", 12146, 6347),
    ],
)
def test_net_has_the_size_that_nam_gives_it(recipe: str, weights: int, field: int) -> None:
    net = nam_net(recipe)
    assert len(flat_weights(net)) == weights  # NAM counts the head scale
    assert net.receptive_field_frames == field


def test_nano_has_no_more_weights_than_the_nano_of_nam() -> None:
    assert sum(p.numel() for p in make("nano").parameters()) == 816 <= 841


def test_a1_equals_the_formula_in_plain_numpy() -> None:
    net = nam_net("a1-feather")
    signal = np.concatenate([np.zeros(4200), riff(0.02, 48000)])
    expected = nam_forward(build_nam_net(net, 48000, {}), signal)
    found = reference_forward(net, torch.from_numpy(signal)).numpy()
    # The file rounds head_scale and weights to nine digits.
    assert np.abs(found - expected).max() <= 1e-7 * np.abs(expected).max()


@pytest.mark.parametrize("recipe", ["a1-lite", "a2", "lstm"])
def test_file_gives_the_net_back(recipe: str, tmp_path: Path) -> None:
    net = nam_net(recipe)
    model = read_nam(file_of(net, tmp_path))
    again = model.net.state_dict()
    assert all(torch.equal(again[name], value) for name, value in net.state_dict().items())
    assert model.sample_rate_hz == 48000
    assert len(model.self_test[0]) == 512


@pytest.mark.parametrize(
    ("recipe", "version"), [("a1-lite", "0.5.4"), ("a2", "0.7.0"), ("lstm", "0.5.4")]
)
def test_file_has_the_lowest_version_that_can_say_it(recipe: str, version: str) -> None:
    content = build_nam_net(nam_net(recipe), 48000, {})
    assert content["version"] == version


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": "Linear"}, "architecture"),
        ({"weights": [0.0] * 99}, "found 99 numbers, expected 3026"),
        ({"weights": [float("inf")]}, "finite"),
        ({"config": {"layers": []}}, "layers"),
        ({"sample_rate": 10}, "sample_rate"),
        ({"config": 3}, "config"),
    ],
)
def test_reader_refuses_what_it_cannot_play(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.nam"
    path.write_text(json.dumps({**build_nam_net(nam_net("a1-feather"), 48000, {}), **change}))
    with pytest.raises(ModelError) as caught:
        read_nam(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("gated", True), ("activation", "ReLU"), ("channels", 10**9), ("dilations", [1, "x"])],
)
def test_reader_refuses_arrays_of_another_kind(key: str, value: object, tmp_path: Path) -> None:
    content = build_nam_net(nam_net("a1-feather"), 48000, {})
    content["config"]["layers"][0][key] = value
    (tmp_path / "m.nam").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"m\.nam: config"):
        read_nam(tmp_path / "m.nam")


@pytest.mark.skipif(not CORPUS.is_dir(), reason="shared/model-corpus is absent")
@pytest.mark.parametrize(
    "name",
    [
        "mikeolipha__BossWN-standard",
        "mikeolipha__BossWN-nano",
        "sdatkinson__lstm",
        "mikeolipha__BossLSTM-2x16",
    ],
)
def test_nets_answer_as_reference_engines_do(name: str) -> None:
    """NeuralAmpModelerCore's own output for files from the wild, to the corpus's tolerances."""
    rows = json.loads((CORPUS / "index.json").read_text())
    rows = rows["models"] if isinstance(rows, dict) else rows
    row = next(row for row in rows if Path(row["file"]).stem == name)
    signal, _ = soundfile.read(CORPUS / "golden" / "input.wav", dtype="float64", frames=9600)
    golden = np.load(CORPUS / row["golden"])[:9600]
    model = read_nam(CORPUS / row["file"])
    found = reference_forward(model.net, torch.from_numpy(signal)).numpy()
    assert np.abs(found - golden).max() <= (1e-4 if "LSTM" in name.upper() else 5e-5)
