import dataclasses
from pathlib import Path

import pytest

from trainer.errors import RecipeError
from trainer.recipe import (
    Recipe,
    all_keys,
    load_recipe,
    recipe_from_dict,
    recipe_to_dict,
    shipped_recipes,
)


def written(folder: Path, text: str) -> str:
    path = folder / "my.yaml"
    path.write_text(text)
    return str(path)


def test_every_shipped_recipe_is_valid_and_names_no_machine() -> None:
    asked = "realtime offline nano a1-standard a1-lite a1-feather a2 lstm ts9 champ"
    assert set(asked.split()) <= set(shipped_recipes())
    for name in shipped_recipes():
        recipe = load_recipe(name)
        for path in (*dataclasses.astuple(recipe.paths), recipe.data.input, recipe.data.target):
            assert not Path(path).is_absolute()


def test_realtime_is_causal_and_offline_is_not() -> None:
    assert load_recipe("realtime.yaml").model.causal
    assert not load_recipe("offline.yaml").model.causal


def test_keys_left_out_have_their_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, "model: {channels: 5}\n"))
    assert recipe == dataclasses.replace(
        load_recipe(written(tmp_path, "")),
        model=dataclasses.replace(Recipe().model, channels=5),
    )


def test_model_name_fills_paths_and_data(tmp_path: Path) -> None:
    text = "data: {target: '{model_name}.wav'}\nmodel: {name: plexi}\n"
    recipe = load_recipe(written(tmp_path, text))
    assert recipe.data.target == "plexi.wav"
    assert recipe.paths.run == "runs/plexi"
    assert recipe.paths.models == "models/plexi"


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    overrides = {
        "training.minutes": "2",
        "model.causal": "false",
        "model.dilations": "[1, 3]",
        "data.test": "null",
        "model.gear_make": "null",
        "model.name": "5150",
    }
    recipe = load_recipe(written(tmp_path, "training: {minutes: 9, seed: 4}\n"), overrides)
    assert (recipe.training.minutes, recipe.training.seed) == (2.0, 4)
    assert not recipe.model.causal
    assert recipe.model.dilations == (1, 3)
    assert recipe.model.gear_make is None
    assert recipe.model.name == "5150"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trainings: {}", ["no section 'trainings'", "did you mean training?"]),
        ("training: {minuts: 3}", ["training.minuts", "did you mean minutes?"]),
        ("model: {channels: 8.5}", ["model.channels", "8.5", "a whole number"]),
        ("model: {channels: true}", ["model.channels", "True", "a whole number"]),
        ("model: {channels: 65}", ["model.channels", "65", "1 to 64"]),
        ("model: {dilations: []}", ["model.dilations", "1 to 64 numbers"]),
        ("model: {dilations: [0]}", ["model.dilations", "1 to 65536"]),
        ("model: {causal: false, kernel_size: 2}", ["kernel_size", "odd"]),
        ("model: {name: ../x}", ["model.name", "'../x'", "no dot in front"]),
        ("model: {name: 5150}", ["model.name", "5150", "in quotes"]),
        ("training: {minutes: 0}", ["training.minutes", "above 0"]),
        ("training: {minutes: .nan}", ["training.minutes", "a number"]),
        ("data: {train: [0, 5, 6]}", ["data.train", "[first, end]"]),
        ("data: {train: [0, 5]}", ["data.train", "train and valid together"]),
        ("data: {test: [0, 5]}", ["data.train", "none of train, valid and test"]),
        ("paths: {run: '{name}'}", ["paths.run", "{model_name}"]),
        ("training: 3", ["training", "expected keys"]),
        ("training: {mrstft_weight: 1, segment_frames: 9}", ["segment_frames", "9", "2048"]),
        ("model: {architecture: gru}", ["model.architecture", "'gru'", "nam_a1"]),
        ("model: {layers: 2}", ["model.layers", "found 2", "left out", "residual_wavenet"]),
        ("model: {architecture: nam_a2, causal: false}", ["model.causal", "nam_a2"]),
        ("model: {architecture: nam_a1}", ["first_array_layers", "fewer than the 10"]),
        (
            "model: {architecture: nam_a1, channels: 5, first_array_layers: 2}",
            ["model.channels", "5", "even"],
        ),
        ("- 1", ["expected sections"]),
        ("a: [", ["cannot be read as YAML"]),
    ],
)
def test_bad_recipes_name_file_place_and_what_is_expected(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert path in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_missing_recipe_lists_those_that_exist() -> None:
    with pytest.raises(RecipeError, match=r"nowhere\.yaml: no such recipe.*realtime"):
        load_recipe("nowhere.yaml")


@pytest.mark.parametrize("key", ["training.minuts", "training", "drive.minutes"])
def test_unknown_override_is_an_error(key: str) -> None:
    with pytest.raises(RecipeError, match=key):
        load_recipe("realtime", {key: "3"})


def test_plain_values_and_back_give_the_same_recipe() -> None:
    recipe = load_recipe("ts9")
    assert recipe_from_dict(recipe_to_dict(recipe), "again") == recipe


def test_every_setting_has_a_line_of_help() -> None:
    for section in dataclasses.fields(Recipe):
        for field in dataclasses.fields(getattr(Recipe(), section.name)):
            assert f"{section.name}.{field.name}" in all_keys()
            assert len(field.metadata["text"]) > 5
