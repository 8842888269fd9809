"""ampd models and irs: with a daemon and without one, on a terminal and in a pipe."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from ampd.cli import main
from ampd.finder import Finder
from ampd.library_verbs import MODEL_HEAD, card, cells, remarks, table
from tests.ampd.conftest import Served, write_model

ROW = {
    "name": "champ",
    "path": "/m/champ.nam",
    "size_bytes": 81036,
    "title": "Little amp",
    "gear": "Fender Champ, amp",
    "tone": "clean",
    "family": "nam",
    "architecture": "wavenet",
    "weights": 13802,
    "rate_hz": 48000,
}


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """--config of a library of three models and a cab, and no daemon at its port."""
    for name in ("plexi-1", "plexi-2", "champ"):
        write_model(tmp_path / "models" / f"{name}.json")
    (tmp_path / "models" / "cabs").mkdir()
    sf.write(tmp_path / "models" / "cabs" / "green.wav", np.ones(480) / 2, 48000)
    (tmp_path / "ampd.toml").write_text('[osc]\nport = 1\n[paths]\ncache = "cache"\n')
    return ["--config", str(tmp_path / "ampd.toml")]


def test_without_a_daemon_the_folders_are_looked_through(
    settings: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["models", *settings, "plexi"]) == 0
    out = capsys.readouterr().out
    assert [line.split("\t")[0] for line in out.splitlines()] == ["plexi-1", "plexi-2"]
    (tmp_path / "models" / "plexi-1.json").unlink()
    assert main(["models", *settings, "--json", "plexi"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["weights"]) == ("plexi-2", 49)
    assert len(row["sha256"]) == 64
    assert main(["irs", *settings]) == 0
    assert capsys.readouterr().out == "green\twav\t48\t1\t10 ms\n"


def test_a_limit_is_told(settings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", *settings, "--limit", "2"]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2
    assert "2 of 3" in shown.err


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["models", "colour:red"], 1, "expected one of name:, gear:"),
        (["models", "--port", "2"], 3, "No ampd answers"),
        (["models", "nothing"], 0, "Nothing matches"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(
    settings: list[str],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    text: str,
) -> None:
    assert main([*arguments, *settings]) == code
    assert text in capsys.readouterr().err


def test_a_running_daemon_answers(
    served: Served, settings: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its library is another one, and `tiny` lies in it alone."""
    finder = served.session._finder = Finder(served.library, tmp_path / "found")
    text = ""
    while not text:
        assert main(["models", *settings, "--port", str(served.port), "name:tiny"]) == 0
        text = capsys.readouterr().out
    assert text.startswith("tiny\t")
    asyncio.run_coroutine_threadsafe(finder.stop(), served.loop).result(5)


def test_a_table_keeps_to_the_width_and_shows_every_figure() -> None:
    long = {**ROW, "name": "a-very-long-name" * 3, "gear": "some gear of many words, amp_cab"}
    bad = {"name": "broken", "path": "", "size_bytes": 1, "reason": "is not JSON " * 9}
    rows = [cells("model", row) for row in (ROW, long, bad)]
    for width in (80, 120):
        lines = table(MODEL_HEAD, rows, width)
        assert len(lines) == 4
        assert max(map(len, lines)) <= width
        assert lines[1].endswith("13,802   48")
        assert "not usable: is not JSON" in lines[3]


def test_a_card_has_what_was_measured_or_says_how_to() -> None:
    text = "\n".join(card(ROW))
    assert "not measured here; 'ampd check /m/champ.nam' does" in text
    cost = {"percent_of_period": 0.52, "ns_per_sample": 108.0}
    text = "\n".join(card({**ROW, "passport": {"loudness_lufs": -20.0, "cost": cost}}))
    assert "-20.0 LUFS" in text
    assert "0.52 % of a core, 108 ns a sample" in text
    assert "cost" not in "\n".join(card({"name": "green", "path": "/c", "size_bytes": 9}))


def test_an_empty_library_and_an_unfinished_look_are_told() -> None:
    page = {"words": "", "total": 0, "complete": False, "note": "a note"}
    first, second, third = remarks(page, 0, "models")
    assert "nothing in the library" in first
    assert "still looking" in second
    assert third == "a note"
