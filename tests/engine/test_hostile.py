"""The hostile files of the model corpus, each with its verdict; what they cost: tests/bench."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ampd import _engine
from tests.engine.conftest import SHARED

HOSTILE = SHARED / "model-corpus" / "hostile"


def rows() -> list[Any]:
    if not HOSTILE.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason="shared/model-corpus is absent"))]
    return list(json.loads((HOSTILE / "index.json").read_text()))


def file_of(row: dict[str, str]) -> str:
    return row.get("file", "absent")


@pytest.mark.parametrize("row", rows(), ids=file_of)
def test_hostile_file_gets_its_verdict(row: dict[str, str], tmp_path: Path) -> None:
    path = HOSTILE / row["file"]
    if path.suffix == ".gz":
        with gzip.open(path) as source, (tmp_path / path.stem).open("wb") as sink:
            shutil.copyfileobj(source, sink)
        path = tmp_path / path.stem
    try:
        verdict = "accept" if _engine.inspect_model(str(path)).weight_count > 0 else "empty"
    except _engine.LoadError as refusal:
        verdict = "reject"
        text = str(refusal)
        assert text.startswith(f"{path}: ")
        assert text.endswith(".")
        assert text.isprintable()
    assert row["expect"] in (verdict, "either")


def test_name_of_any_length_and_alphabet_reaches_python_as_text(tmp_path: Path) -> None:
    model = {
        "version": "0.5.4",
        "architecture": "Linear",
        "config": {"receptive_field": 1},
        "weights": [1],
    }
    path = tmp_path / "amp.nam"
    for lead in ("", "x", "xx", "xxx"):
        model["metadata"] = {"name": lead + "\U0001f3b8" * 100}
        path.write_text(json.dumps(model, ensure_ascii=False))
        name = _engine.inspect_model(str(path)).name
        assert name == lead + "\U0001f3b8" * (64 if not lead else 63)
