"""--fit: the widest net that a box can carry."""

import dataclasses
from pathlib import Path

import pytest

from trainer.architectures import build_network
from trainer.cli import main
from trainer.errors import RecipeError
from trainer.fit import (
    BOARD_FACTOR,
    BOARDS,
    WIDTHS,
    Place,
    activations,
    estimated_percent,
    measured_percent,
    parse_place,
    widest_net,
)
from trainer.recipe import ModelConfig, load_recipe

# `make bench-arm`: percent of one core in blocks of 64 at 48 kHz, (Pi 4, Pi 5).
ARM_ESTIMATES = {
    "a1-standard": (17.2, 9.1),
    "a1-lite": (9.9, 4.9),
    "a1-feather": (5.6, 2.9),
    "a2": (10.1, 6.7),
    "lstm": (4.8, 2.3),
    "champ": (7.3, 3.4),
    "ts9": (4.1, 2.0),
}


@pytest.mark.parametrize("recipe", ARM_ESTIMATES)
def test_boards_cost_twice_what_the_engines_estimate_says(recipe: str) -> None:
    model = load_recipe(recipe).model
    for board, expected in zip(("pi4", "pi5"), ARM_ESTIMATES[recipe], strict=True):
        found = estimated_percent(model, BOARDS[board], 64, 48000)
        # Two numbers a board follow seven nets; the estimates are rounded to 0.1.
        assert found == pytest.approx(BOARD_FACTOR * expected, rel=0.08), board


def test_activations_are_counted_as_the_net_computes_them() -> None:
    for recipe in ("realtime", "a1-lite", "a2", "lstm"):
        model = load_recipe(recipe).model
        biases = [
            parameter.numel()
            for name, parameter in build_network(model).named_parameters()
            if (name.startswith("blocks.") and name.endswith("bias"))
            or name.endswith("conv.bias")
            or "bias_ih" in name
        ]
        # A gate has a bias; the state's own tanh has none.
        extra = model.channels * model.layers if recipe == "lstm" else 0
        assert activations(model) == sum(biases) + extra, recipe


@pytest.mark.parametrize("architecture", ["residual_wavenet", "nam_a1", "lstm"])
def test_the_next_wider_net_would_not_fit(architecture: str) -> None:
    first = {"nam_a1": 5}.get(architecture, 10)
    model = ModelConfig(architecture=architecture, first_array_layers=first)
    place = Place("pi4", 64, 20.0)
    fit = widest_net(model, place, 48000)
    widths = WIDTHS[architecture]
    wider = dataclasses.replace(model, channels=widths[widths.index(fit.model.channels) + 1])
    assert not fit.measured
    assert fit.percent <= place.percent
    assert estimated_percent(wider, BOARDS["pi4"], 64, 48000) > place.percent
    assert dataclasses.replace(fit.model, channels=model.channels) == model


def test_short_blocks_and_high_rates_leave_a_narrower_net() -> None:
    model = load_recipe("realtime").model
    plain = widest_net(model, Place("pi4", 64, 40.0), 48000).model.channels
    assert widest_net(model, Place("pi4", 4, 40.0), 48000).model.channels < plain
    assert widest_net(model, Place("pi4", 64, 40.0), 96000).model.channels < plain


def test_this_machine_is_measured_by_the_engine_itself() -> None:
    narrow, wide = (measured_percent(ModelConfig(channels=c), 64, 48000) for c in (4, 32))
    # 64 times the multiplications of a hidden layer: the order holds on any machine.
    assert 0 < narrow < wide


@pytest.mark.parametrize("text", ["pi4", "pi4@0", "pi3@64", "this@64:0", "this@64:101", "@64", ""])
def test_place_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"--fit: found .* expected HOST@FRAMES"):
        parse_place(text)


def test_place_that_nothing_fits_is_refused_with_the_figure() -> None:
    model = load_recipe("a1-standard").model
    with pytest.raises(RecipeError, match=r"nam_a1 with 4 channels takes 5\.\d % .* 2 % or less"):
        widest_net(model, parse_place("pi4@64:2"), 48000)


def test_net_that_looks_ahead_has_no_place() -> None:
    with pytest.raises(RecipeError, match="expected a net that plays live"):
        widest_net(load_recipe("offline").model, parse_place("pi4@64"), 48000)


def test_train_takes_the_width_and_says_so(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "nano", "--fit", "pi4@64:4", "--no-doctor", "--training.steps", "3"]
    words += [
        "--paths.data",
        str(recordings),
        "--data.input",
        "dry.wav",
        "--data.target",
        "wet.wav",
    ]
    words += ["--paths.run", str(tmp_path / "run"), "--paths.models", str(tmp_path / "models")]
    words += ["--model.dilations", "[1, 2]", "--training.validate_every_steps", "3"]
    assert main(words) == 0
    said = capsys.readouterr().err
    # Two layers of 15: 2 x 48 kHz x (0.1305 ns x 1380 + 7.7 ns x 30) is 3.9 %; of 16, 4.3 %.
    assert "--fit pi4@64: model.channels 15," in said
    assert "(estimated), 4 % allowed" in said
    assert "trains on c" in said


def test_fit_and_resume_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nano", "--fit", "pi4@64", "--resume"]) == 2
    assert "the --model.channels that it began with" in capsys.readouterr().err
