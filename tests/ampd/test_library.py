import os
from dataclasses import replace
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


@pytest.mark.parametrize("ending", ["wav", "flac", "aif", "aiff"])
def test_sound_file_in_the_folder_of_cabs_is_a_cab(library: Library, ending: str) -> None:
    path = touch(library.models_path / "cabs" / f"greenback.{ending}")
    touch(library.models_path / "cabs" / "notes.txt")
    assert library.find_cab("greenback") == path
    assert library.cab_names() == ["greenback"]
    assert library.model_names() == ["tiny"]


def test_cabs_may_have_a_folder_of_their_own(library: Library, tmp_path: Path) -> None:
    path = touch(tmp_path / "speakers" / "v30.wav")
    touch(library.models_path / "cabs" / "greenback.wav")
    moved = replace(library, cabs_path=tmp_path / "speakers")
    assert moved.find_cab("v30") == path
    assert moved.cab_names() == ["v30"]


def test_missing_cab_names_its_neighbours_and_no_name_leads_out(
    library: Library, tmp_path: Path
) -> None:
    folder = library.models_path / "cabs"
    touch(folder / "greenback.wav")
    with pytest.raises(LibraryError) as caught:
        library.find_cab("greenbag")
    assert str(caught.value) == f"{folder}: no cab greenbag; there is greenback."
    with pytest.raises(LibraryError, match="is not a cab name"):
        library.find_cab("../tiny")
    (folder / "leak.wav").symlink_to(touch(tmp_path / "secret.wav"))
    with pytest.raises(LibraryError, match="leads out of"):
        library.find_cab("leak")


def test_sets_are_loaded_in_bank_order_and_a_broken_one_hides_no_other(library: Library) -> None:
    folder = library.rigs_path / "sets"
    for name, text in (
        ("late", "bank: 9\nrigs: [drive]"),
        ("early", "rigs: [clean, loud]"),
        ("broken", "rigs: 3"),
        ("two words", "rigs: [clean]"),
    ):
        touch(folder / f"{name}.yaml").write_text(text)
    sets, complaints = library.load_sets()
    assert [(each.name, each.bank) for each in sets] == [("early", 1), ("late", 9)]
    assert sets[0].path == library.find_set("early")
    assert complaints == [f"{folder}/broken.yaml:1: rigs is 3, expected a list such as '- lead'."]
    assert library.rig_names() == ["clean", "drive", "loud"]


def test_library_without_sets_has_none(library: Library) -> None:
    assert library.load_sets() == ([], [])
    with pytest.raises(LibraryError, match="no set gig; there is none"):
        library.find_set("gig")


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
