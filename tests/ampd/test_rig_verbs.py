"""ampd rig show, new and validate, as a player runs them."""

from pathlib import Path

import pytest

from ampd.cli import main
from ampd.library import Library
from ampd.rig import read_rig
from ampd.rig_starter import starter

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _here(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ampd.toml: the library is the folders rigs and models of the working directory."""
    monkeypatch.chdir(library.rigs_path.parent)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(library.rigs_path))


def run(capture: Capture, *words: str) -> tuple[int, list[str], str]:
    """Exit code, lines of the output, what went to stderr."""
    code = main(["rig", *words])
    out, err = capture.readouterr()
    return code, out.splitlines(), err


def write(name: str, text: str) -> str:
    path = Path("rigs") / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return str(path)


# --- validate -----------------------------------------------------------------------------------


def test_good_rigs_are_a_line_each(capsys: Capture) -> None:
    code, lines, err = run(capsys, "validate", "clean", "rigs/drive.yaml")
    assert (code, err) == (0, "")
    assert [line.split(";")[0] for line in lines] == [
        "ok   rigs/clean.yaml: gain",
        "ok   rigs/drive.yaml: amp tiny",
    ]


def test_bad_rig_is_a_line_with_its_place_and_ends_nothing(capsys: Capture) -> None:
    write("form", "mix: 1\nchain:\n  - gain: {gain_db: loud}\n")
    write("name", "chain:\n  - gain: {}\n  - amp: {model: tinny}\n")
    write("knob", "chain:\n  - gain: {}\n  - gain2: {gian_db: 1}\n")
    write("range", "# far\nchain:\n  - gain: {gain_db: 100}\n")
    names = ("form", "name", "knob", "range", "nosuch", "gone.yaml", "a/b", "clean")
    code, lines, _ = run(capsys, "validate", *names)
    assert code == 1
    assert lines[0].startswith("bad  rigs/form.yaml:3: chain entry 1 (gain): gain_db is 'loud'")
    assert lines[1].startswith("bad  rigs/name.yaml:3: amp/model: models: no model tinny")
    assert lines[2].startswith("bad  rigs/knob.yaml:3: gain2/gian_db is not a param; expected")
    assert lines[3].startswith("bad  rigs/range.yaml:3: gain/gain_db is 100, expected -60 to 40")
    assert lines[4].startswith("bad  rigs: no rig nosuch; there is")
    assert lines[5] == "bad  gone.yaml: cannot be read (No such file or directory)."
    assert lines[6] == "bad  a/b: is no rig, expected NAME or a file NAME.yaml."
    assert lines[7].startswith("ok   rigs/clean.yaml")


def test_without_names_the_whole_library_is_examined(capsys: Capture) -> None:
    write("twin", "program: 1\nsnapshots: [{name: rhythm}, {mix: 0}]")
    write("sets/gig", "rigs: [clean, drive]")
    write("sets/lost", "rigs: [clean, nosuch]")
    code, lines, _ = run(capsys, "validate")
    assert code == 1
    assert [line.split(":")[0] for line in lines[:4]] == [
        f"ok   rigs/{name}.yaml" for name in ("clean", "drive", "loud", "twin")
    ]
    assert lines[3].startswith("ok   rigs/twin.yaml: no blocks; snapshots rhythm, 2; ")
    assert lines[4:] == [
        "ok   rigs/sets/gig.yaml: a set of clean, drive",
        "bad  rigs/sets/lost.yaml: there is no rig nosuch; program 1 of the set selects nothing "
        "until there is one.",
        "note rigs/twin.yaml: program 1 is taken by rig drive; it gets a free number until one of "
        "the two changes.",
    ]


def test_set_is_found_by_its_name(capsys: Capture) -> None:
    write("sets/gig", "rigs: [clean]")
    assert run(capsys, "validate", "gig")[:2] == (
        0,
        ["ok   rigs/sets/gig.yaml: a set of clean"],
    )


def test_empty_library_is_a_sentence(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    code, _, err = run(capsys, "validate")
    assert (code, err) == (1, "ampd: rigs: there is no rig (NAME.yaml).\n")


# --- show ---------------------------------------------------------------------------------------


def test_show_tells_every_value_as_built_and_what_the_feet_do(capsys: Capture) -> None:
    write(
        "board",
        "input: {gain_db: -2}\nmix: 0.5\noutput: {level: raw}\n"
        "chain:\n  - gain: {gain_db: 3}\n  - amp: {model: tiny, level_db: -3}\n"
        "snapshots:\n  - {name: soft, amp/gain_db: -6, gain/bypass: true}\n  - {name: loud}\n"
        "midi: [{control: 11, path: amp/gain_db, high: 6, curve: slow}]\n"
        "on_load: [{program: 3, channel: 2}]\n",
    )
    code, lines, err = run(capsys, "show", "board")
    assert (code, err) == (0, "")
    assert lines[:12] == [
        "rig\tboard\tprogram 2, rigs/board.yaml",
        "input\t\tgain_db -2 dB",
        "1\tgain\tgain_db 3 dB",
        "2\tamp tiny\tgain_db 0 dB  level_db -3 dB  mix 1",
        "output\t\tgain_db 0 dB  raw",
        "mix\t\t0.5",
        "snapshot 1\tsoft\tamp/gain_db -6 dB  gain/bypass on",
        "snapshot 2\tloud\tthe rig as it is",
        "morph\t\tsoft to loud",
        "midi\tcontroller 11 on any channel\tamp/gain_db, its lowest to 6, curve slow",
        "on load\t\tprogram 3, channel 2",
        "latency\t\t0 frames, 0 ms at 48000 Hz",
    ]
    assert [line.split("\t")[0] for line in lines[12:]] == ["memory", "cost"]


def test_show_of_a_resampled_rig_tells_its_latency(capsys: Capture) -> None:
    code, lines, _ = run(capsys, "show", "drive", "--rate", "44100")
    assert code == 0
    # 1.45 ms is what the README states for a 48 kHz model at a 44.1 kHz host.
    assert lines[-3].startswith("latency\t\t64 frames, 1.45 ms at 44100 Hz")


def test_show_of_a_bad_rig_is_a_sentence_with_its_line(capsys: Capture) -> None:
    write("knob", "chain:\n  - gain: {gian_db: 1}\n")
    code, lines, err = run(capsys, "show", "knob")
    assert (code, lines) == (1, [])
    assert err.startswith("ampd: rigs/knob.yaml:2: gain/gian_db is not a param")


# --- new ----------------------------------------------------------------------------------------


def test_new_rig_is_written_and_says_what_to_do_next(capsys: Capture) -> None:
    code, lines, _ = run(capsys, "new", "fresh", "--model", "tiny")
    assert code == 0
    assert lines[0] == "rigs/fresh.yaml: plays tiny"
    assert "ampd rig validate fresh" in lines[1]
    assert "ampd load fresh" in lines[1]
    rig = read_rig(Path("rigs/fresh.yaml"))
    assert [(block.name, block.model) for block in rig.blocks] == [("amp", "tiny"), ("cab", "")]
    assert rig.program is None


def test_full_rig_is_a_whole_board(capsys: Capture) -> None:
    code, lines, _ = run(capsys, "new", "fresh", "--full")
    assert code == 0
    assert lines[0] == "rigs/fresh.yaml: plays tiny, the first of the models; --model takes another"
    rig = read_rig(Path("rigs/fresh.yaml"))
    kinds = [block.kind for block in rig.blocks]
    assert kinds == ["gate", "boost", "amp", "eq", "cab", "delay", "reverb"]
    assert [snapshot.name for snapshot in rig.snapshots] == ["rhythm", "lead"]
    assert rig.morph == (1, 2)


@pytest.mark.parametrize("full", [False, True])
def test_starter_fits_a_screen_and_explains_itself(full: bool) -> None:
    lines = starter("x", "tiny", full).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    assert sum("#" in line for line in lines) >= 4


@pytest.mark.parametrize(
    "text",
    [
        "# mine\nprogram: 7 # own\nchain:\n  - gain: {gain_db: 1} # up\n",
        "{program: 7, chain: [gain: {gain_db: 1}]}",
        "program:\n  7\nchain: [gain: {gain_db: 1}]",
    ],
)
def test_copy_is_the_rig_without_its_program(capsys: Capture, text: str) -> None:
    write("mine", text)
    code, lines, _ = run(capsys, "new", "copy", "--from", "mine")
    assert (code, lines[0]) == (0, "rigs/copy.yaml: a copy of mine, without its program number")
    mine, copy = read_rig(Path("rigs/mine.yaml")), read_rig(Path("rigs/copy.yaml"))
    assert (mine.program, copy.program) == (7, None)
    assert copy.blocks == mine.blocks
    if text.startswith("# mine"):
        assert Path("rigs/copy.yaml").read_text() == text.replace("program: 7 # own\n", "")


def test_new_never_overwrites(capsys: Capture) -> None:
    before = Path("rigs/clean.yaml").read_bytes()
    code, _, err = run(capsys, "new", "clean")
    assert code == 1
    assert "rigs/clean.yaml: is there already and stays as it is" in err
    assert Path("rigs/clean.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("../x",), "'../x' is no rig name"),
        (("x", "--model", "tinny"), "models: no model tinny; there is tiny."),
        (("x", "--from", "nosuch"), "rigs: no rig nosuch; there is clean, drive, loud."),
        (("x", "--from", "clean", "--model", "tiny"), "--from copies the rig with its models"),
    ],
)
def test_new_refuses_in_a_sentence_and_writes_nothing(
    capsys: Capture, words: tuple[str, ...], sentence: str
) -> None:
    code, lines, err = run(capsys, "new", *words)
    assert (code, lines) == (1, [])
    assert err.startswith(f"ampd: {sentence}")
    assert sorted(path.stem for path in Path("rigs").glob("*.yaml")) == ["clean", "drive", "loud"]


def test_first_rig_makes_its_folder(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Library
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(library.models_path)
    monkeypatch.chdir(home)
    assert run(capsys, "new", "first")[0] == 0
    assert read_rig(home / "rigs" / "first.yaml").blocks[0].model == "tiny"


def test_every_verb_has_help_that_shows_how(capsys: Capture) -> None:
    for words in ((), ("show",), ("new",), ("validate",)):
        with pytest.raises(SystemExit) as caught:
            main(["rig", *words, "--help"])
        assert caught.value.code == 0
        assert "examples:\n  ampd rig" in capsys.readouterr().out
