"""Every warning and error of the log has a code, every code is explained, and none is in vain."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ampd.cli import main
from ampd.codes import CODES, code, find

ROOT = Path(__file__).resolve().parents[2]
LOUD = ("warning", "error", "exception", "critical")


def loud_calls() -> Iterator[tuple[str, ast.Call]]:
    """Each call of the daemon's log that is more than information, and its place."""
    for path in sorted((ROOT / "ampd").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in ("log", "logging")
                and node.func.attr in LOUD
            ):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def code_of(call: ast.Call) -> str:
    """The literal in extra=code("..."), "" where there is none."""
    for word in call.keywords:
        if word.arg == "extra" and isinstance(word.value, ast.Call):
            function, arguments = word.value.func, word.value.args
            if isinstance(function, ast.Name) and function.id == "code" and arguments:
                return str(ast.literal_eval(arguments[0]))
    return ""


def test_every_warning_carries_a_code_that_is_explained() -> None:
    places = {place: code_of(call) for place, call in loud_calls()}
    assert len(places) > 20
    assert [f"{place} {name}" for place, name in places.items() if name not in CODES] == []


def test_no_code_is_explained_in_vain() -> None:
    assert sorted(CODES) == sorted({code_of(call) for _, call in loud_calls()})


def test_each_says_what_it_means_and_what_to_do() -> None:
    for name, each in CODES.items():
        assert re.fullmatch(r"[A-Z]+(-[A-Z]+)*", name)
        assert each.meaning.endswith(".")
        assert each.remedy.endswith(".")


def test_codes_are_found_as_people_write_them() -> None:
    assert find("AMPD-JACK-LOST") == find(" jack-lost ") == "JACK-LOST"
    assert find("nonsense") == ""
    assert code("JACK-LOST") == {"code": "AMPD-JACK-LOST"}


def test_explain_shows_one_or_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "ampd-state-write"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("AMPD-STATE-WRITE\nmeans  What plays cannot be kept")
    assert "\ndo     Make room on the disk" in said
    assert max(map(len, said.splitlines())) <= 80
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [f"AMPD-{name}" for name in CODES]
    assert main(["explain", "AMPD-WHAT"]) == 1
    assert "`ampd explain` lists all of them" in capsys.readouterr().err
