from pathlib import Path

import pytest

from trainer.cli import main
from trainer.model_json import read_model

TINY = [
    "--model.channels=3",
    "--model.dilations=[1, 2, 4]",
    "--training.segment_frames=256",
    "--training.steps=30",
    "--training.validate_every_steps=10",
    "--no-report",
]


# The loop alone: no examination before it, no page after it.
BARE = ["--no-doctor", "--no-report"]


def folders(recordings: Path, run: Path) -> list[str]:
    return [
        f"--paths.data={recordings}",
        "--data.input=dry.wav",
        "--data.target=wet.wav",
        f"--paths.run={run}",
        f"--paths.models={run / 'models'}",
    ]


def test_train_writes_a_model_and_says_where(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "realtime", *TINY, *folders(recordings, tmp_path), "--model.name=tiny"]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "30 steps, budget used up" in output
    assert "VALID ESR" in output
    assert f"wrote {tmp_path / 'models' / 'tiny.nam'}" in output
    model = read_model(tmp_path / "models" / "tiny.json")
    assert model.metadata["training"]["settings"]["steps"] == 30
    assert (tmp_path / "best_model.pt").is_file()


def test_offline_recipe_trains_a_centred_net_and_says_that_nam_is_left_out(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "offline", *BARE, *TINY, *folders(recordings, tmp_path)]) == 0
    assert "no .nam: this net is not causal" in capsys.readouterr().out
    assert not read_model(tmp_path / "models" / "model.json").net.causal
    checkpoint = str(tmp_path / "best_model.pt")
    assert main(["export", checkpoint, "--out", str(tmp_path), "--format", "nam"]) == 4
    assert "not causal" in capsys.readouterr().err


def test_budget_on_the_command_line_wins_over_the_recipes_own(
    recordings: Path, tmp_path: Path
) -> None:
    words = [word for word in TINY if "steps=30" not in word]
    arguments = ["train", "champ", *BARE, *words, *folders(recordings, tmp_path)]
    arguments += ["--training.cpu_seconds=0.2", "--model.name=short"]
    arguments += ["--data.train=null", "--data.valid=null", "--data.test=null"]
    assert main(arguments) == 0  # the recipe says 24,000 steps
    settings = read_model(tmp_path / "models" / "short.json").metadata["training"]["settings"]
    assert (settings["cpu_seconds"], settings["steps"], settings["minutes"]) == (0.2, 0, 0)


def test_minutes_win_over_the_steps_of_a_recipe(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "train",
        "realtime",
        *BARE,
        *TINY,
        *folders(recordings, tmp_path),
        "--minutes=0.01",
    ]
    assert main(arguments) == 0
    settings = read_model(tmp_path / "models" / "model.json").metadata["training"]["settings"]
    assert (settings["minutes"], settings["steps"]) == (0.01, 0)


def test_folder_that_cannot_be_written_is_refused_before_training(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").write_text("a file where the folder would be")
    assert main(["train", "realtime", *folders(recordings, tmp_path)]) == 4
    assert f"{tmp_path / 'models'}: cannot be written" in capsys.readouterr().err
    assert not (tmp_path / "best_model.pt").exists()


def test_evaluate_prints_a_row(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "realtime", *BARE, *TINY, *folders(recordings, tmp_path)])
    capsys.readouterr()
    files = [str(recordings / name) for name in ("dry.wav", "wet.wav")]
    model = str(tmp_path / "models" / "model.json")
    assert main(["evaluate", model, *files, "--start", "259200"]) == 0
    output = capsys.readouterr().out
    assert "| esr " in output
    assert "| 28800 " in output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train", "nowhere.yaml"], 2, "no such recipe"),
        (["train", "realtime", "--training.minuts", "3"], 2, "did you mean training.minutes?"),
        (["train", "realtime", "--fast"], 2, "--fast: no such option"),
        (["train", "realtime", "--training.steps", "x"], 2, "training.steps: found 'x'"),
        (["train", "realtime"], 3, "--data.input FILE"),
        (["train", "ts9", "--paths.data", "nowhere"], 3, "di.flac: no such file"),
        (["export", "nowhere.pt"], 4, "nowhere.pt: no such file"),
        (["evaluate", "nowhere.json", "a.wav", "b.wav"], 4, "nowhere.json: no such file"),
    ],
)
def test_errors_are_one_line_with_their_own_exit_code(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("ampd-train: ")
    assert error.count("\n") == 1


def test_help_shows_every_setting_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--help"])
    assert ended.value.code == 0
    assert "--training.muon_learning_rate" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "exit codes" in capsys.readouterr().out
