"""What a sweep tries, and what it leaves; tests/trainer/test_cluster.py runs one."""

import math
import statistics
from pathlib import Path

import pytest
import yaml

from trainer.cli import main
from trainer.errors import RecipeError
from trainer.recipe import load_recipe
from trainer.sweep import DONE, Range, draw, make_trials, parse_try, ranked, write_recipe


def test_values_are_those_of_a_recipe() -> None:
    assert parse_try("model.channels=8,12,16") == ("model.channels", ("8", "12", "16"))
    assert parse_try("model.dilations=[1, 2],[1, 2, 4]")[1] == ("[1, 2]", "[1, 2, 4]")
    assert parse_try("data.test=null,[0, 9]")[1] == ("null", "[0, 9]")
    tiny = parse_try("training.weight_decay=0.000001")[1]
    assert isinstance(tiny, tuple)
    assert yaml.safe_load(tiny[0]) == 1e-6  # YAML takes a bare 1e-06 for text
    wanted = ("training.muon_learning_rate", Range(0.005, 0.05, log=True))
    assert parse_try("training.muon_learning_rate=log:0.005:0.05") == wanted
    assert parse_try("training.weight_decay=lin:0:0.004")[1] == Range(0, 0.004, log=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model.channels", "found no value"),
        ("model.chanels=8", "did you mean model.channels"),
        ("model.channels=8,[", "cannot be read as YAML values"),
        ("training.warm_up_share=log:0:0.1", "above 0 with log"),
        ("training.warm_up_share=lin:0.2:0.1", "the smaller one first"),
        ("training.warm_up_share=lin:0.2", "expected two numbers"),
    ],
)
def test_what_cannot_be_tried_is_refused(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse_try(text)


def test_every_combination_or_so_many_of_them() -> None:
    tries = dict(map(parse_try, ["model.channels=8,12", "training.seed=1,2,3"]))
    every = draw(tries, None, 0)
    assert len(every) == 6
    assert {"model.channels": "12", "training.seed": "3"} in every
    some = draw(tries, 4, 0)
    assert len({tuple(settings.items()) for settings in some}) == 4
    assert all(settings in every for settings in some)
    assert draw(tries, 4, 0) == some != draw(tries, 4, 1)
    assert len(draw(tries, 100, 0)) == 6


def test_log_range_is_even_in_ratio() -> None:
    tries = dict([parse_try("training.muon_learning_rate=log:0.001:0.1")])
    values = [float(s["training.muon_learning_rate"]) for s in draw(tries, 400, 0)]
    assert min(values) >= 0.001
    assert max(values) <= 0.1
    # The mean of 400 logarithms drawn evenly over ln 100 strays by ln 100 / sqrt(12 * 400) = 0.066.
    assert abs(statistics.mean(map(math.log, values)) - math.log(0.01)) < 0.3
    with pytest.raises(RecipeError, match="expected --trials N"):
        draw(tries, None, 0)


def test_best_recipe_is_one_that_train_takes(tmp_path: Path) -> None:
    overrides = {"model.name": "plexi", "data.train": "[0, 96]", "data.valid": "[96, 99]"}
    trials = make_trials("nano", overrides, [{"model.channels": "7"}, {}], tmp_path)
    assert trials[0].recipe.paths.run == str(tmp_path / "trial-0")
    wanted = load_recipe("nano", {**overrides, "model.channels": "7"})
    write_recipe(tmp_path / "best.yaml", wanted, "the best")
    assert load_recipe(str(tmp_path / "best.yaml")) == wanted
    text = (tmp_path / "best.yaml").read_text()
    assert text.startswith("# the best\n")
    assert "runs" not in text  # or another name on the command line would not change the folder
    trials[0].state, trials[0].esr, trials[1].esr = DONE, 0.2, 0.1
    assert ranked(trials)[0].number == 0  # the other one was cut short


def test_setting_that_the_recipe_cannot_have_is_refused_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["sweep", "nano", "--try", "model.channels=8,99"]) == 2
    assert "model.channels: found 99, expected 1 to 64" in capsys.readouterr().err
