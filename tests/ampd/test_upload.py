"""Files that somebody brings: good ones are found by name afterwards, bad ones leave nothing."""

import http.client
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from ampd.errors import LibraryError
from ampd.library import Library
from ampd.upload import MAX_BYTES, store
from tests.ampd.conftest import LIMIT_S, Served, model


def model_bytes() -> bytes:
    return json.dumps(model(seed=9)).encode()


def wav_bytes(folder: Path) -> bytes:
    path = folder / "ir.wav"
    sf.write(path, np.exp(-np.arange(2000) / 100.0), 48000)
    return path.read_bytes()


def everything(library: Library) -> list[Path]:
    """What is there; an empty folder is nothing."""
    return sorted(p for p in library.models_path.rglob("*") if p.name != "cabs")


def test_model_is_found_by_its_name(library: Library) -> None:
    assert store(library, "plexi.json", model_bytes()) == "plexi"
    assert library.find_model("plexi").read_bytes() == model_bytes()


def test_impulse_is_found_by_its_name(library: Library, tmp_path: Path) -> None:
    assert store(library, "green.WAV", wav_bytes(tmp_path)) == "green"
    assert library.find_cab("green").name == "green.wav"


@pytest.mark.parametrize(
    ("file_name", "data", "words"),
    [
        ("../plexi.json", model_bytes(), "is no name for a file"),
        ("a/plexi.json", model_bytes(), "is no name for a file"),
        (".json", model_bytes(), "expected one of"),
        ("plexi.exe", model_bytes(), "expected one of .nam"),
        ("tiny.json", model_bytes(), "is there already"),
        ("plexi.json", model_bytes()[:500], "plexi.json"),
        ("plexi.nam", b"", "plexi.nam"),
        ("green.wav", b"RIFF????WAVE", "green.wav"),
    ],
)
def test_what_is_not_good_is_refused_and_leaves_nothing(
    library: Library, file_name: str, data: bytes, words: str
) -> None:
    before = everything(library)
    with pytest.raises(LibraryError, match=words.replace(".", r"\.")) as caught:
        store(library, file_name, data)
    assert ".upload-" not in str(caught.value)
    assert everything(library) == before


def post(served: Served, name: str, data: bytes, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=LIMIT_S)
    all_headers = {"Content-Type": "application/octet-stream", **headers}
    connection.request("POST", f"/upload/{name}", body=data, headers=all_headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text.startswith(b"{") else text


def test_page_uploads_a_model_that_can_be_played_at_once(served: Served) -> None:
    assert post(served, "plexi.json", model_bytes()) == (200, {"name": "plexi"})
    with served.client() as client:
        client.ask("/ampd/rig", "drive")
        assert client.ask("/ampd/amp/model", "plexi") == ["/ampd/amp/model", ["plexi"]]


def test_upload_from_elsewhere_is_refused(served: Served) -> None:
    before = everything(served.library)
    assert post(served, "x.json", model_bytes(), Origin="http://evil.example")[0] == 403
    assert post(served, "x.json", model_bytes(), **{"Content-Type": "text/plain"})[0] == 403
    assert everything(served.library) == before


def test_upload_that_is_too_large_is_refused(served: Served) -> None:
    assert post(served, "x.json", b" " * (MAX_BYTES + 1))[0] == 413
    assert not (served.library.models_path / "x.json").exists()
