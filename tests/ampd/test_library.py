import os
from pathlib import Path

import pytest

from ampd.errors import LibraryError
from ampd.library import Library, stamp


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    return path


def test_own_json_is_preferred_over_nam_and_folder_over_file(library: Library) -> None:
    root = library.models_path
    flat = touch(root / "m.nam")
    assert library.find_model("m") == flat
    nam = touch(root / "m" / "m.nam")
    assert library.find_model("m") == nam
    own = touch(root / "m" / "m.json")
    assert library.find_model("m") == own


@pytest.mark.parametrize("ending", ["nam", "json", "aidax"])
def test_single_file_is_a_model(library: Library, ending: str) -> None:
    path = touch(library.models_path / f"single.{ending}")
    assert library.find_model("single") == path
    assert library.model_names() == ["single", "tiny"]


def test_missing_model_names_its_neighbours(library: Library) -> None:
    with pytest.raises(LibraryError) as caught:
        library.find_model("tinny")
    assert str(caught.value) == f"{library.models_path}: no model tinny; there is tiny."


def test_missing_rig_names_what_there_is(library: Library) -> None:
    with pytest.raises(LibraryError) as caught:
        library.find_rig("zzz")
    assert str(caught.value) == f"{library.rigs_path}: no rig zzz; there is clean, drive, loud."


def test_empty_library_says_so(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no rig a; there is none"):
        Library(tmp_path / "no", tmp_path / "no").find_rig("a")


@pytest.mark.parametrize("name", ["../clean", "/etc/passwd", "..", "", "a b", "clean\0", "x" * 65])
def test_paths_are_not_names(library: Library, name: str) -> None:
    for find in (library.find_rig, library.find_model):
        with pytest.raises(LibraryError, match=r"is not a (rig|model) name, expected 1 to 64"):
            find(name)


def test_symlink_out_of_the_folder_is_refused(library: Library, tmp_path: Path) -> None:
    outside = touch(tmp_path / "secret.json")
    (library.models_path / "leak.json").symlink_to(outside)
    with pytest.raises(LibraryError, match="leads out of"):
        library.find_model("leak")


def test_folder_that_leads_out_is_refused(library: Library, tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere" / "leak.json")
    (library.models_path / "leak").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LibraryError, match="leads out of"):
        library.find_model("leak")


def test_symlink_inside_the_folder_is_followed(library: Library) -> None:
    (library.models_path / "alias.json").symlink_to(library.find_model("tiny"))
    assert library.find_model("alias").name == "alias.json"


def test_files_with_odd_names_are_not_listed(library: Library) -> None:
    touch(library.rigs_path / "two words.yaml")
    touch(library.rigs_path / "notes.txt")
    (library.rigs_path / "folder.yaml").mkdir()
    assert library.rig_names() == ["clean", "drive", "loud"]


def test_broken_rig_does_not_hide_the_others(library: Library) -> None:
    (library.rigs_path / "bad.yaml").write_text("mix: 1\n]")
    rigs, errors = library.load_rigs()
    assert [rig.name for rig in rigs] == ["clean", "drive", "loud"]
    assert list(errors) == ["bad"]
    assert "bad.yaml:2: not YAML" in errors["bad"]


def test_stamp_changes_with_size_time_identity_and_absence(tmp_path: Path) -> None:
    path = touch(tmp_path / "a")
    seen = {stamp([path])}
    path.write_text("{ }")
    seen.add(stamp([path]))
    os.utime(path, ns=(1, 1))
    seen.add(stamp([path]))
    path.unlink()
    seen.add(stamp([path]))
    assert len(seen) == 4
