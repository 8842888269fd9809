from pathlib import Path

import pytest

from ampd.errors import RigError
from ampd.rig import Rig, RigBlock, assign_programs, is_name, parse_rig, read_rig, to_yaml

FULL = b"""
program: 5
input: {gain_db: -3}
chain:
  - gain: {gain_db: 2}
  - amp: {model: ts9, gain_db: 0, level_db: -3.5}
  - amp2: {model: my-amp.v2}
output: {gain_db: 1}
mix: 0.5
"""


def refusal(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(RigError) as caught:
        parse_rig(data, "x", Path("rigs/x.yaml"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_full_rig_is_read() -> None:
    rig = parse_rig(FULL, "x")
    assert rig == Rig(
        "x",
        5,
        {"input/gain_db": -3.0, "output/gain_db": 1.0, "mix": 0.5},
        (
            RigBlock("gain", "gain", {"gain_db": 2.0}),
            RigBlock("amp", "amp", {"gain_db": 0.0, "level_db": -3.5}, "ts9"),
            RigBlock("amp", "amp2", {}, "my-amp.v2"),
        ),
    )


FAMILY = b"chain: [{amp: {models: {0: champ_g00, 2.5: champ_g02, 10: champ_g10}, knob: 4.2}}]"


def test_family_is_read_with_its_positions() -> None:
    (block,) = parse_rig(FAMILY, "x").blocks
    assert block.family == {0.0: "champ_g00", 2.5: "champ_g02", 10.0: "champ_g10"}
    assert block.values == {"knob": 4.2}
    assert block.models == ("champ_g00", "champ_g02", "champ_g10")


@pytest.mark.parametrize("text", [FULL, FAMILY])
def test_written_rig_reads_back_equal(text: bytes) -> None:
    rig = parse_rig(text, "x")
    assert parse_rig(to_yaml(rig).encode(), "x") == rig


@pytest.mark.parametrize("text", ["", "chain:\n", "chain: []\n", "# nothing\n"])
def test_empty_rig_is_clean(text: str) -> None:
    rig = parse_rig(text.encode(), "x")
    assert (rig.blocks, rig.values, rig.program) == ((), {}, None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("chian: []", "rigs/x.yaml: key 'chian' is unknown, expected one of program, input, "),
        ("- amp", "rigs/x.yaml: holds a list, expected keys such as chain."),
        (
            "program: 128",
            "rigs/x.yaml: program is 128, expected a whole number from 0 to 127.",
        ),
        ("program: true", "rigs/x.yaml: program is True, expected a whole number from 0 to 127."),
        ("mix: loud", "rigs/x.yaml: mix is 'loud', expected a finite number."),
        ("mix: .nan", "rigs/x.yaml: mix is nan, expected a finite number."),
        ("input: {gain_db: .inf}", "rigs/x.yaml: input/gain_db is inf, expected a finite number."),
        ("input: {gian_db: 1}", "rigs/x.yaml: input: key 'gian_db' is unknown, expected one of"),
        ("input: 3", "rigs/x.yaml: input is 3, expected such as {gain_db: 0}."),
        ("chain: {amp: {}}", "rigs/x.yaml: chain is a mapping, expected a list such as"),
        ("chain: [amp]", "rigs/x.yaml: chain entry 1: holds a text, expected one block such as"),
        (
            "chain: [{amp: {}, gain: {}}]",
            "rigs/x.yaml: chain entry 1: holds a mapping, expected one block such as",
        ),
        (
            "chain: [{Amp!: {}}]",
            "rigs/x.yaml: chain entry 1: 'Amp!' is no block name, expected such as amp or amp2.",
        ),
        (
            "chain: [{amp: {}}, {amp: {}}]",
            "rigs/x.yaml: chain entry 2: block amp stands twice; number the second one, "
            "such as amp2.",
        ),
        (
            "chain: [{amp: {gain_db: '3'}}]",
            "rigs/x.yaml: chain entry 1 (amp): gain_db is '3', expected a finite number.",
        ),
        (
            "chain: [{amp: {model: ../../etc/passwd}}]",
            "rigs/x.yaml: chain entry 1 (amp): model is '../../etc/passwd', expected a name in",
        ),
        (
            "chain: [{amp: {model: ..}}]",
            "rigs/x.yaml: chain entry 1 (amp): model is '..', expected a name in the library",
        ),
        (
            "chain: [{amp: {models: {0: a}}}]",
            "rigs/x.yaml: chain entry 1 (amp): models is 1 models, expected 2 to 8 positions",
        ),
        (
            "chain: [{amp: {models: [a, b]}}]",
            "rigs/x.yaml: chain entry 1 (amp): models is a list, expected 2 to 8 positions",
        ),
        (
            "chain: [{amp: {models: {" + ", ".join(f"{n}: a" for n in range(9)) + "}}}]",
            "rigs/x.yaml: chain entry 1 (amp): models is 9 models, expected 2 to 8 positions",
        ),
        (
            "chain: [{amp: {models: {5: a, 2: b}}}]",
            "rigs/x.yaml: chain entry 1 (amp): models: position 2 comes behind 5, expected rising",
        ),
        (
            "chain: [{amp: {models: {low: a, high: b}}}]",
            "rigs/x.yaml: chain entry 1 (amp): models: position is 'low', expected a finite",
        ),
        (
            "chain: [{amp: {models: {0: a, .nan: b}}}]",
            "rigs/x.yaml: chain entry 1 (amp): models: position is nan, expected a finite number.",
        ),
        (
            "chain: [{amp: {models: {0: a, 5: ../b}}}]",
            "rigs/x.yaml: chain entry 1 (amp): models: 5 is '../b', expected a name in the library",
        ),
        (
            "chain: [{amp: {model: a, models: {0: a, 5: b}}}]",
            "rigs/x.yaml: chain entry 1 (amp): has both model and models, expected one of them.",
        ),
        (
            "chain: [{amp: {models: {5: a, 5.0: b}}}]",
            "rigs/x.yaml:1: key 5.0 stands twice; remove one.",
        ),
        ("mix: 1\nmix: 0", "rigs/x.yaml:2: key mix stands twice; remove one."),
        ("mix: 1\n]", "rigs/x.yaml:2: not YAML: "),
        ("mix: 1\n---\nmix: 1", "rigs/x.yaml: holds 2 YAML documents, expected one."),
        ("mix: !!python/object:os.system 1", "rigs/x.yaml:1: tags (!) are not allowed"),
        ("mix: !!float 1", "rigs/x.yaml:1: tags (!) are not allowed"),
        ("input: &a {gain_db: 1}\noutput: *a", "rigs/x.yaml:1: anchors and aliases"),
        ("<<: {mix: 1}", "rigs/x.yaml:1: merge keys (<<) are not allowed"),
        ("[a]: 1", "rigs/x.yaml:1: a key is a list or mapping, expected a word."),
        ("chain: " + "[" * 17 + "]" * 17, "rigs/x.yaml:1: nested deeper than 16 levels."),
        ("mix: " + "9" * 400, "rigs/x.yaml: mix is 9999"),
    ],
)
def test_bad_rig_is_named_with_file_place_and_expected(text: str, sentence: str) -> None:
    assert refusal(text).startswith(sentence)


def test_alias_bomb_is_refused_before_it_is_built() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "anchors and aliases" in refusal("\n".join(lines))


def test_deep_nesting_is_refused_without_recursion() -> None:
    assert "nested deeper than 16" in refusal("[" * 100_000)


def test_large_file_is_refused() -> None:
    assert "larger than 256 kB" in refusal("#" * 300_000)


def test_bytes_that_are_no_text_are_refused() -> None:
    assert "byte 5 is not UTF-8 text" in refusal(b"mix: \xff")


def test_control_characters_are_refused() -> None:
    assert "not YAML" in refusal("mix: \x00")


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RigError, match=r"gone\.yaml: cannot be read \(No such file"):
        read_rig(tmp_path / "gone.yaml")


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 64])
def test_plain_words_are_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "x" * 65, "ä", "a\n", "a\0"])
def test_paths_and_odd_words_are_no_names(name: str) -> None:
    assert not is_name(name)


def test_programs_are_kept_and_free_ones_filled_in_name_order() -> None:
    programs, complaints = assign_programs([Rig("c"), Rig("b", 0), Rig("a")])
    assert programs == {"b": 0, "a": 1, "c": 2}
    assert complaints == []


def test_doubled_program_goes_to_the_first_name_and_is_told() -> None:
    programs, complaints = assign_programs([Rig("b", 7), Rig("a", 7)])
    assert programs == {"a": 7, "b": 0}
    assert complaints == [
        "b: program 7 is taken by rig a; it gets a free number until one of the two changes."
    ]


def test_rig_beyond_the_last_program_has_none() -> None:
    programs, _ = assign_programs([Rig(f"r{n:03}") for n in range(130)])
    assert len(programs) == 128
    assert "r128" not in programs


def test_shipped_rigs_are_read_with_their_programs() -> None:
    folder = Path(__file__).resolve().parents[2] / "rigs"
    found = {path.stem: read_rig(path).program for path in folder.glob("*.yaml")}
    assert found == {"clean": 0, "drive": 1, "amp": 2}
