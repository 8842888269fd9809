"""The models in models/: what their README says about them holds."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.trainer.reference import nam_forward, project_forward
from trainer.model_json import SELF_TEST_TOLERANCE, read_model, self_test_error
from trainer.networks import reference_forward, render
from trainer.signals import riff

MODELS = Path(__file__).parents[2] / "models"
NAMES = ["ts9", "champ"]
TEST_TAKE = (12342401, 13201483)  # frames of di.flac that no model has been trained or chosen on
HISTORY_FRAMES = 2046
ESR_LIMIT = {"ts9": 0.002, "champ": 0.02}


def file_of(name: str, ending: str = "json") -> Path:
    return MODELS / name / f"{name}.{ending}"


def content_of(name: str, ending: str = "json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file_of(name, ending).read_text())
    return content


@pytest.mark.parametrize("name", NAMES)
def test_self_test_holds(name: str) -> None:
    assert self_test_error(read_model(file_of(name))) <= SELF_TEST_TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_self_test_holds_in_plain_numpy(name: str) -> None:
    content = content_of(name)
    probe, answer = (np.array(content["self_test"][k]) for k in ("input", "output"))
    found = project_forward(content, np.concatenate([np.zeros(2048), probe]))[2048:]
    assert np.abs(found - answer).max() <= SELF_TEST_TOLERANCE * np.abs(answer).max()


@pytest.mark.parametrize("name", NAMES)
def test_hash_is_that_of_the_float32_weights(name: str) -> None:
    content = content_of(name)
    flat = [value for tensor in content["tensors"].values() for value in tensor]
    data = np.array(flat, dtype="<f4").tobytes()
    assert hashlib.sha256(data).hexdigest() == content["sha256_weights"]


@pytest.mark.parametrize("name", NAMES)
def test_nam_file_is_the_same_net(name: str) -> None:
    signal = np.concatenate([np.zeros(2048), riff(0.5, 48000, peak=0.9)])
    expected = project_forward(content_of(name), signal)
    found = nam_forward(content_of(name, "nam"), signal)
    # tanh(e u) / e is u to 8e-8, and folding the biases rounds them once more to float32.
    assert np.abs(found - expected).max() <= 5e-6 * np.abs(expected).max()


@pytest.mark.parametrize("name", NAMES)
def test_model_is_causal_small_and_free_to_use(name: str) -> None:
    model = read_model(file_of(name))
    assert model.net.causal
    assert model.net.receptive_field_frames == 2047
    assert model.net.mac_per_sample <= 6000  # 2 % of a core that does 14.4 G of them a second
    assert str(model.metadata["licence"]).startswith("MIT")
    for ending in ("json", "nam"):
        assert file_of(name, ending).stat().st_size < 300_000


def take_of(captures: Path, name: str) -> torch.Tensor:
    """The TEST take with the history that a net of 2,047 frames needs before it."""
    start, stop = TEST_TAKE[0] - HISTORY_FRAMES, TEST_TAKE[1]
    samples, _ = soundfile.read(captures / f"{name}.flac", start=start, stop=stop, dtype="float32")
    return torch.from_numpy(samples)


@pytest.fixture(scope="module", params=NAMES)
def answered(request: pytest.FixtureRequest, captures: Path) -> tuple[str, torch.Tensor]:
    """(name, what the model says to the TEST take in float64)."""
    net = read_model(file_of(request.param)).net
    return request.param, reference_forward(net, take_of(captures, "di"), HISTORY_FRAMES)


def test_error_on_the_take_it_never_heard(
    answered: tuple[str, torch.Tensor], captures: Path
) -> None:
    name, answer = answered
    wanted = take_of(captures, name)[HISTORY_FRAMES:].double()
    found = float((answer - wanted).square().sum() / wanted.square().sum())
    assert found <= ESR_LIMIT[name]
    stated = read_model(file_of(name)).metadata["training"]["esr_test"]
    assert found == pytest.approx(stated, rel=1e-3)  # weights before and after export's rounding


def test_float32_is_enough_for_it(answered: tuple[str, torch.Tensor], captures: Path) -> None:
    """A float32 engine is to agree with float64 to 2e-6 of peak, which a net must allow."""
    name, answer = answered
    net = read_model(file_of(name)).net
    difference = render(net, take_of(captures, "di"), HISTORY_FRAMES) - answer
    assert difference.abs().max() <= 2e-6 * answer.abs().max()
