import re
from pathlib import Path

import pytest

from ampd.errors import RigError
from ampd.library import Library
from ampd.rack import BlockSpec, Engine, LoadError, RigSpec
from ampd.rig import (
    Rig,
    RigBlock,
    Snapshot,
    is_name,
    parse_rig,
    read_rig,
    to_yaml,
)
from ampd.sets import parse_set

RIGS = Path(__file__).resolve().parents[2] / "rigs"

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


BOARD = """\
program: 1
input: {gain_db: 0}
chain:
  - gate: {threshold_db: -60}
  - boost: {gain_db: 6, bypass: true}
  - amp: {model: plexi, gain_db: 3}
  - amp2: {model: jazz, beside: amp, blend: 0.4}
  - cab: {impulse: greenback}
  - delay: {time_ms: 380, mix: 0.2}
output: {gain_db: 0, level: normalized}
mix: 1.0
snapshots:
  - {name: rhythm, amp/gain_db: -6, delay/bypass: true}
  - {name: "Refrain 2 — laut", mix: 0.5, input/gain_db: 3, output/gain_db: -1}
  - {boost/bypass: off}
morph: [1, 3]
midi:
  - {control: 11, path: delay/mix, low: 0, high: 0.5}
  - {control: 20, path: foot/2, mode: toggle, channel: 3, leds: [0, 64]}
  - {control: 21, path: rig/program/7}
  - {control: 22, path: tuner}
on_load:
  - {program: 3, channel: 2}
  - {control: 20, value: 127}
""".encode()


def test_whole_board_is_read() -> None:
    rig = parse_rig(BOARD, "x")
    amp2, cab = rig.blocks[3], rig.blocks[4]
    assert (amp2.kind, amp2.beside, amp2.values) == ("amp", "amp", {"blend": 0.4})
    assert (cab.impulse, cab.model, cab.values) == ("greenback", "", {})
    assert rig.blocks[1].values == {"gain_db": 6.0, "bypass": 1.0}
    assert rig.level == "normalized"
    assert rig.snapshots == (
        Snapshot("rhythm", {"amp/gain_db": -6.0, "delay/bypass": 1.0}),
        Snapshot("Refrain 2 — laut", {"mix": 0.5, "input/gain_db": 3.0, "output/gain_db": -1.0}),
        Snapshot("3", {"boost/bypass": 0.0}),
    )
    assert rig.morph == (1, 3)
    assert [binding.path for binding in rig.midi] == [
        "delay/mix",
        "foot/2",
        "rig/program/7",
        "tuner",
    ]
    assert rig.on_load == (b"\xc1\x03", b"\xb0\x14\x7f")


def test_block_knows_its_line() -> None:
    assert [block.line for block in parse_rig(BOARD, "x").blocks] == [4, 5, 6, 7, 8, 9]


def test_two_lines_are_a_rig() -> None:
    rig = parse_rig(b"program: 3\nchain: [amp: {model: plexi}, cab]", "x")
    assert rig.blocks == (RigBlock("amp", "amp", {}, "plexi"), RigBlock("cab", "cab"))


@pytest.mark.parametrize(
    ("snapshots", "morph"),
    [
        ("[]", (0, 0)),
        ("[{mix: 1}]", (0, 1)),
        ("[{mix: 1}, {mix: 0}]", (1, 2)),
        ("[{mix: 1}, {mix: 0}, {}]", (1, 2)),
        ("[{mix: 1}]\nmorph: [1, 0]", (1, 0)),
        ("[{mix: 1}]\nmorph: [0, 0]", (0, 0)),
    ],
)
def test_morph_goes_between_the_first_two_unless_told(
    snapshots: str, morph: tuple[int, int]
) -> None:
    rig = parse_rig(f"snapshots: {snapshots}".encode(), "x")
    assert rig.morph == morph
    assert parse_rig(to_yaml(rig).encode(), "x") == rig


@pytest.mark.parametrize("text", [FULL, FAMILY, BOARD])
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
        ("chian: []", "rigs/x.yaml:1: key 'chian' is unknown, expected one of program, input, "),
        ("- amp", "rigs/x.yaml: holds a list, expected keys such as chain."),
        (
            "program: 128",
            "rigs/x.yaml:1: program is 128, expected a whole number from 0 to 127.",
        ),
        ("program: true", "rigs/x.yaml:1: program is True, expected a whole number from 0 to 127."),
        ("mix: loud", "rigs/x.yaml:1: mix is 'loud', expected a finite number."),
        ("mix: .nan", "rigs/x.yaml:1: mix is nan, expected a finite number."),
        (
            "input: {gain_db: .inf}",
            "rigs/x.yaml:1: input/gain_db is inf, expected a finite number.",
        ),
        ("input: {gian_db: 1}", "rigs/x.yaml:1: input: key 'gian_db' is unknown, expected one of"),
        ("input: 3", "rigs/x.yaml:1: input is 3, expected such as {gain_db: 0}."),
        ("chain: {amp: {}}", "rigs/x.yaml:1: chain is a mapping, expected a list such as"),
        ("chain: [3]", "rigs/x.yaml:1: chain entry 1: holds 3, expected one block such as"),
        (
            "chain: [{amp: {}, gain: {}}]",
            "rigs/x.yaml:1: chain entry 1: holds 2 keys, expected one block such as",
        ),
        (
            "chain: [{Amp!: {}}]",
            "rigs/x.yaml:1: chain entry 1: 'Amp!' is no block name, expected such as amp or amp2.",
        ),
        (
            "chain: [{amp: {}}, {amp: {}}]",
            "rigs/x.yaml:1: chain entry 2: block amp stands twice; number the second one, "
            "such as amp2.",
        ),
        (
            "chain: [{amp: {gain_db: '3'}}]",
            "rigs/x.yaml:1: chain entry 1 (amp): gain_db is '3', expected a finite number, "
            "true or false.",
        ),
        (
            "chain: [{amp: {model: ../../etc/passwd}}]",
            "rigs/x.yaml:1: chain entry 1 (amp): model is '../../etc/passwd', expected a name in",
        ),
        (
            "chain: [{amp: {model: ..}}]",
            "rigs/x.yaml:1: chain entry 1 (amp): model is '..', expected a name in the library",
        ),
        (
            "chain: [{amp: {models: {0: a}}}]",
            "rigs/x.yaml:1: chain entry 1 (amp): models is 1 models, expected 2 to 8 positions",
        ),
        (
            "chain: [{amp: {models: [a, b]}}]",
            "rigs/x.yaml:1: chain entry 1 (amp): models is a list, expected 2 to 8 positions",
        ),
        (
            "chain: [{amp: {models: {" + ", ".join(f"{n}: a" for n in range(9)) + "}}}]",
            "rigs/x.yaml:1: chain entry 1 (amp): models is 9 models, expected 2 to 8 positions",
        ),
        (
            "chain: [{amp: {models: {5: a, 2: b}}}]",
            "rigs/x.yaml:1: chain entry 1 (amp): models: position 2 comes behind 5, expected",
        ),
        (
            "chain: [{amp: {models: {low: a, high: b}}}]",
            "rigs/x.yaml:1: chain entry 1 (amp): models: position is 'low', expected a finite",
        ),
        (
            "chain: [{amp: {models: {0: a, .nan: b}}}]",
            "rigs/x.yaml:1: chain entry 1 (amp): models: position is nan, expected a finite",
        ),
        (
            "chain: [{amp: {models: {0: a, 5: ../b}}}]",
            "rigs/x.yaml:1: chain entry 1 (amp): models: 5 is '../b', expected a name in the",
        ),
        (
            "chain: [{amp: {model: a, models: {0: a, 5: b}}}]",
            "rigs/x.yaml:1: chain entry 1 (amp): has both model and models, expected one of them.",
        ),
        (
            "chain: [{amp: {models: {5: a, 5.0: b}}}]",
            "rigs/x.yaml:1: key 5.0 stands twice; remove one.",
        ),
        (
            "chain:\n  - gain:\n      gain_db: 1\n      bypass: maybe\n",
            "rigs/x.yaml:4: chain entry 1 (gain): bypass is 'maybe', expected a finite number, "
            "true or false.",
        ),
        (
            "chain:\n  - amp: {model: a}\n  - gain: {model: a}",
            "rigs/x.yaml:3: chain entry 2 (gain): has model, which only the block amp takes.",
        ),
        (
            "chain: [amp: {impulse: a}]",
            "rigs/x.yaml:1: chain entry 1 (amp): has impulse, which only the block cab takes.",
        ),
        (
            "chain: [cab: {impulse: ../a}]",
            "rigs/x.yaml:1: chain entry 1 (cab): impulse is '../a', expected a name in the library",
        ),
        (
            "chain: [amp: {model: a}, amp2: {model: b, beside: amp3}]",
            "rigs/x.yaml:1: chain entry 2 (amp2): beside is amp3, expected the block just "
            "in front of it; there is amp.",
        ),
        (
            "chain: [amp: {model: a, beside: amp}]",
            "rigs/x.yaml:1: chain entry 1 (amp): beside is amp, expected the block just in "
            "front of it.",
        ),
        (
            "chain: [amp: {model: a}, gain, amp2: {model: b, beside: amp}]",
            "rigs/x.yaml:1: chain entry 3 (amp2): beside is amp, expected the block just in front "
            "of it; there is gain.",
        ),
        (
            "chain:\n- amp\n- amp2: {beside: amp}\n- amp3: {beside: amp2}",
            "rigs/x.yaml:4: chain entry 3 (amp3): beside is amp2, which stands beside amp itself; "
            "only two can stand beside each other.",
        ),
        (
            "chain: [amp: {model: a, beside: true}]",
            "rigs/x.yaml:1: chain entry 1 (amp): beside is True, expected the name of the",
        ),
        (
            "output: {level: loud}",
            "rigs/x.yaml:1: output/level is 'loud', expected one of raw, normalized, calibrated.",
        ),
        (
            "input: {level: raw}",
            "rigs/x.yaml:1: input: key 'level' is unknown, expected one of gain_db.",
        ),
        (
            "snapshots: {lead: {}}",
            "rigs/x.yaml:1: snapshots is a mapping, expected a list such as "
            "'- {name: lead, amp/gain_db: 6}'.",
        ),
        (
            "snapshots: [" + "{}, " * 9 + "]",
            "rigs/x.yaml:1: snapshots has 9 entries, expected at most 8.",
        ),
        (
            "snapshots:\n  - {mix: 1}\n  - lead",
            "rigs/x.yaml:3: snapshot 2 is 'lead', expected such as {name: lead, amp/gain_db: 6}.",
        ),
        (
            "snapshots: [{name: on}]",
            "rigs/x.yaml:1: snapshot 1: name is True, expected a text of 1 to 32 characters; "
            "put a number or a word such as on in quotes.",
        ),
        ('snapshots: [{name: "a\\nb"}]', "rigs/x.yaml:1: snapshot 1: name is 'a\\nb', expected"),
        (
            "snapshots: [{name: a}, {name: a}]",
            "rigs/x.yaml:1: snapshot 2: the name a stands twice, expected a name of its own.",
        ),
        (
            "chain: [amp: {model: a}]\nsnapshots:\n  - name: lead\n    ampp/gain_db: 1",
            "rigs/x.yaml:4: snapshot 1 (lead): ampp/gain_db: there is no block ampp in the chain; "
            "there is amp.",
        ),
        (
            "chain: [amp: {model: a}]\nsnapshots: [{amp: {gain_db: 1}}]",
            "rigs/x.yaml:2: snapshot 1 (1): amp is a mapping, expected a path and a number: "
            "amp/gain_db: 6.",
        ),
        (
            "chain: [amp: {model: a}]\nsnapshots: [{amp/model: b}]",
            "rigs/x.yaml:2: snapshot 1 (1): amp/model: a snapshot changes values and loads "
            "nothing; make it a rig.",
        ),
        (
            "snapshots: [{gain: 1}]",
            "rigs/x.yaml:1: snapshot 1 (1): gain is no path, expected such as amp/gain_db, "
            "delay/bypass or mix.",
        ),
        (
            "snapshots: [{mix: full}]",
            "rigs/x.yaml:1: snapshot 1 (1): mix is 'full', expected a finite number, true or",
        ),
        ("snapshots: [{}, {}]\nmorph: 1", "rigs/x.yaml:2: morph is 1, expected two snapshots such"),
        (
            "snapshots: [{}, {}]\nmorph: [1, 3]",
            "rigs/x.yaml:2: morph is 3, expected a whole number from 0 to 2.",
        ),
        (
            "snapshots: [{}, {}]\nmorph: [2, 2]",
            "rigs/x.yaml:2: morph goes from 2 to 2, expected two different snapshots.",
        ),
        (
            "mix: 1\nmidi:\n  - {control: 300, path: mix}",
            "rigs/x.yaml:3: midi entry 1: control is 300, expected 0 to 127.",
        ),
        ("midi: mix", "rigs/x.yaml:1: midi holds 'mix', expected a list such as"),
        (
            "chain: [amp: {model: a}]\nmidi:\n  - {control: 3, path: mix}\n"
            "  - {control: 4, path: delay/mix}",
            "rigs/x.yaml:4: midi entry 2 binds delay/mix: there is no block delay in the chain; "
            "there is amp.",
        ),
        (
            "on_load: [{program: 200}]",
            "rigs/x.yaml:1: on_load entry 1: program is 200, expected 0 to 127.",
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
        ("mix: " + "9" * 400, "rigs/x.yaml:1: mix is 9999"),
        # Python reads hexadecimal digits in any number and then refuses to write them.
        (
            "mix: 0x" + "f" * 5000,
            "rigs/x.yaml:1: a value of 5002 characters, expected at most 500.",
        ),
    ],
)
def test_bad_rig_is_named_with_file_place_and_expected(text: str, sentence: str) -> None:
    assert refusal(text).startswith(sentence)


def test_alias_bomb_is_refused_before_it_is_built() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "anchors and aliases" in refusal("\n".join(lines))


def test_deep_nesting_is_refused_without_recursion() -> None:
    # Newer versions of libyaml stop by themselves, in their own words, before ours are reached.
    assert re.search("nested deeper than 16|nesting depth", refusal("[" * 100_000))


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


def test_shipped_rigs_are_read_with_their_programs() -> None:
    found = {path.stem: read_rig(path).program for path in RIGS.glob("*.yaml")}
    names = ("clean", "drive", "amp", "crunch", "lead", "ambient", "pair")
    assert found == {name: program for program, name in enumerate(names)}


def page_params() -> dict[str, dict[str, tuple[float, ...]]]:
    """What rigs/README.md says of each block: its params, and of each least, most, default."""
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    kinds: list[str] = []
    for line in (RIGS / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 5:
            continue
        kinds = re.findall(r"`(\w+)`", cells[0]) or kinds
        names, ranges = (
            re.findall(r"`(\w+)`", cells[1]),
            re.findall(r"(\S+) to (\S+?)(?:,|$)", cells[2]),
        )
        if not names or len(names) != len(ranges):
            continue  # a head, or the names of files
        for name, ends, default in zip(names, ranges, cells[3].split(","), strict=True):
            for kind in kinds:
                row = tuple(float(text) for text in (*ends, default))
                found.setdefault(kind, {})[name] = row
    return found


def test_page_of_the_format_states_what_the_engine_accepts(library: Library) -> None:
    engine = Engine(48000, False)
    with pytest.raises(LoadError) as caught:
        engine.install(0, RigSpec(blocks=[BlockSpec("none", "none", {})]))
    kinds = re.findall(r"\w+", str(caught.value).partition("expected one of ")[2])
    assert {"gain", "amp"} <= set(kinds)
    page = page_params()
    for kind in kinds:
        model = str(library.find_model("tiny")) if kind == "amp" else ""
        chain = engine.install(0, RigSpec(blocks=[BlockSpec(kind, kind, {}, model)]))
        for param in chain.params:
            block, _, name = param.path.partition("/")
            if block == kind and name != "bypass":  # every block has it
                expected = pytest.approx((param.minimum, param.maximum, param.default))
                assert page[kind][name] == expected, param.path


def test_page_of_the_format_lists_the_shipped_rigs_and_its_examples_are_rigs() -> None:
    page = (RIGS / "README.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([0-9]+) \|", page, re.MULTILINE))
    assert rows == {path.stem: str(read_rig(path).program) for path in RIGS.glob("*.yaml")}
    examples = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    rigs = [parse_rig(text.encode(), "x") for text in examples if "chain:" in text]
    sets = [parse_set(text.encode(), "x") for text in examples if "rigs:" in text]
    assert (len(rigs), len(sets)) == (4, 1)
    assert len(rigs[0].blocks) == 1
    assert len(examples[1].splitlines()) == 20
