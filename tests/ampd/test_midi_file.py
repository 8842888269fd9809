import os
from pathlib import Path

import pytest

from ampd.errors import ConfigError
from ampd.midi import MAX_BINDINGS, Binding
from ampd.midi_file import HEADER, add_binding, forget, read_map

TAP = Binding(9, "tap", mode="trigger")

# Every layout that a hand may choose, with comments everywhere.
BY_HAND = """\
# mine
bindings:   # the list
# first
- control: 5   # five
  path: mix
  # inside
  leds: [1,
    2]

# second
- {control: 6,
   path: morph}
- control: 8
  leds:
  - 1
  - 2
  path: bypass
# tail
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "midi.yaml"


def refusal(place: Path, text: str | bytes) -> str:
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        read_map(place)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", "bindings:\n", "bindings: []\n", HEADER])
def test_no_file_and_an_empty_one_bind_nothing(place: Path, text: str) -> None:
    assert read_map(place) == ()
    place.write_text(text)
    assert read_map(place) == ()
    add_binding(place, TAP)
    assert read_map(place) == (TAP,)


def test_new_file_teaches_and_reads_back(place: Path) -> None:
    binding = Binding(74, "amp/gain_db", 1, low=-40.0, high=40.0)
    assert add_binding(place, binding) == ()
    assert place.read_text() == (
        HEADER + "bindings:\n"
        "  - {control: 74, path: amp/gain_db, channel: 1, low: -40.0, high: 40.0}\n"
    )
    assert read_map(place) == (binding,)


def test_examples_in_the_header_are_bindings(place: Path) -> None:
    lines = [line[1:] for line in HEADER.splitlines() if line.startswith("#   - ")]
    assert len(lines) == 3
    place.write_text("bindings:\n" + "\n".join(line.split("}  ")[0] + "}" for line in lines))
    assert [binding.control for binding in read_map(place)] == [11, 80, 81]


def test_added_line_leaves_every_other_as_it_was(place: Path) -> None:
    place.write_text(BY_HAND)
    before = read_map(place)
    assert add_binding(place, TAP) == ()
    assert place.read_text() == BY_HAND.replace("# tail\n", "- {control: 9, path: tap}\n# tail\n")
    assert read_map(place) == (*before, TAP)


@pytest.mark.parametrize(
    ("what", "lines"),
    [
        ("5", "- control: 5   # five\n  path: mix\n  # inside\n  leds: [1,\n    2]\n"),
        ("mix", "- control: 5   # five\n  path: mix\n  # inside\n  leds: [1,\n    2]\n"),
        ("6", "- {control: 6,\n   path: morph}\n"),
        ("bypass", "- control: 8\n  leds:\n  - 1\n  - 2\n  path: bypass\n"),
    ],
)
def test_forgotten_entry_takes_its_own_lines_and_no_other(
    place: Path, what: str, lines: str
) -> None:
    place.write_text(BY_HAND)
    (gone,) = forget(place, what)
    assert what in (str(gone.control), gone.path)
    assert lines in BY_HAND
    assert place.read_text() == BY_HAND.replace(lines, "")


def test_all_can_be_forgotten_and_learned_again(place: Path) -> None:
    place.write_text(BY_HAND)
    for what in ("5", "6", "8"):
        forget(place, what)
    assert read_map(place) == ()
    add_binding(place, TAP)
    assert read_map(place) == (TAP,)
    assert place.read_text().startswith("# mine\nbindings:   # the list\n")


@pytest.mark.parametrize(
    "text",
    [
        "# mine\nbindings: [{control: 5, path: mix}]",
        "# mine\n{bindings: [{control: 5, path: mix}]}",
    ],
)
def test_list_in_one_line_is_written_anew_under_its_comment(place: Path, text: str) -> None:
    place.write_text(text)
    add_binding(place, TAP)
    assert place.read_text() == (
        "# mine\nbindings:\n  - {control: 5, path: mix}\n  - {control: 9, path: tap}\n"
    )


def test_new_binding_replaces_its_controller_and_its_path(place: Path) -> None:
    on_two = Binding(74, "morph", 2)
    for binding in (Binding(74, "mix", 1), Binding(75, "delay/mix", 1), on_two):
        add_binding(place, binding)
    new = Binding(74, "delay/mix", 1)
    assert {b.path for b in add_binding(place, new)} == {"mix", "delay/mix"}
    assert read_map(place) == (on_two, new)


def test_what_is_not_bound_cannot_be_forgotten(place: Path) -> None:
    add_binding(place, TAP)
    before = place.read_bytes()
    with pytest.raises(ConfigError, match="74 is not bound there; it binds 9 tap"):
        forget(place, "74")
    assert place.read_bytes() == before


def test_full_file_refuses_one_more_and_stays(place: Path) -> None:
    for n in range(MAX_BINDINGS):
        add_binding(
            place,
            Binding(64, f"amp/knob_{n}", n % 16 + 1)
            if n < 16
            else Binding(64 + n // 16, f"amp/knob_{n}", n % 16 + 1),
        )
    before = place.read_bytes()
    assert len(read_map(place)) == MAX_BINDINGS
    with pytest.raises(ConfigError, match=f"has {MAX_BINDINGS + 1} bindings"):
        add_binding(place, TAP)
    assert place.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("bindings: [{control: 300, path: mix}]", "bindings: entry 1: control is 300, expected"),
        ("binding: []", "expected one key, bindings, and a list under it."),
        ("bindings: []\nmore: 1", "expected one key, bindings, and a list under it."),
        ("- 1", "expected one key, bindings, and a list under it."),
        ("bindings: &a [*a]", "anchors and aliases"),
        ("bindings: !!python/object:os.system []", "tags (!) are not allowed"),
        ("bindings: [", "not YAML"),
        (b"bindings: \xff", "is not UTF-8 text"),
        ("[" * 1000, "deeper than 16 levels"),
        ("#" * 300_000, "larger than 256 kB"),
    ],
)
def test_hostile_file_is_refused_in_a_sentence(
    place: Path, text: str | bytes, sentence: str
) -> None:
    found = refusal(place, text)
    assert found.startswith(str(place))
    assert sentence in found


def test_refused_file_is_never_written_over(place: Path) -> None:
    place.write_text("bindings: [{control: 300, path: mix}]")
    with pytest.raises(ConfigError):
        add_binding(place, TAP)
    assert place.read_text() == "bindings: [{control: 300, path: mix}]"


def test_write_that_fails_leaves_the_old_file_and_nothing_else(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_binding(place, TAP)
    before = place.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"cannot be written \(No space left on device\)"):
        add_binding(place, Binding(10, "mix"))
    assert place.read_bytes() == before
    assert list(place.parent.iterdir()) == [place]


def test_file_is_on_disk_before_it_takes_its_name(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut leaves the old file or the new one: data, then name, then folder."""
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        calls.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "data")  # noqa: PTH112
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        calls.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    add_binding(place, TAP)
    assert calls == ["data", "name", "folder"]


def test_link_and_rights_stay(tmp_path: Path, place: Path) -> None:
    real = tmp_path / "elsewhere" / "map.yaml"
    real.parent.mkdir()
    real.write_text("bindings:\n")
    real.chmod(0o640)
    place.symlink_to(real)
    add_binding(place, TAP)
    assert place.is_symlink()
    assert read_map(real) == (TAP,)
    assert real.stat().st_mode & 0o777 == 0o640
