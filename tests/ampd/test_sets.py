from pathlib import Path

import pytest

from ampd.errors import RigError
from ampd.rig import Rig
from ampd.sets import RigSet, assign_banks, assign_programs, parse_set, read_set, set_programs

SHIPPED = Path(__file__).resolve().parents[2] / "rigs" / "sets"


def refusal(text: str) -> str:
    with pytest.raises(RigError) as caught:
        parse_set(text.encode(), "s", Path("sets/s.yaml"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_place_in_the_list_is_the_program() -> None:
    rig_set = parse_set(b"bank: 300\nrigs:\n  - clean\n  - lead\n", "gig")
    assert rig_set == RigSet("gig", 300, (("clean", 0), ("lead", 1)))


def test_entry_with_a_number_has_that_program() -> None:
    rig_set = parse_set(b"rigs: [clean, {lead: 10}, crunch]", "gig")
    assert rig_set.bank is None
    assert rig_set.entries == (("clean", 0), ("lead", 10), ("crunch", 2))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "sets/s.yaml: the set has no rigs, expected a list such as '- lead'."),
        ("rigs: []", "sets/s.yaml:1: the set has no rigs, expected a list such as '- lead'."),
        ("bank: 1", "sets/s.yaml: the set has no rigs, expected a list such as '- lead'."),
        ("- clean", "sets/s.yaml: holds a list, expected keys such as rigs."),
        ("chain: []", "sets/s.yaml:1: key 'chain' is unknown, expected one of bank, rigs."),
        ("rigs: clean", "sets/s.yaml:1: rigs is 'clean', expected a list such as '- lead'."),
        ("bank: -1", "sets/s.yaml:1: bank is -1, expected a whole number from 0 to 16383."),
        ("bank: 16384", "sets/s.yaml:1: bank is 16384, expected a whole number from 0 to 16383."),
        ("bank: true", "sets/s.yaml:1: bank is True, expected a whole number from 0 to 16383."),
        (
            "rigs:\n  - clean\n  - ../lead",
            "sets/s.yaml:3: rigs entry 2 is '../lead', expected the name of a rig, or "
            "{name: program}; a number in quotes.",
        ),
        ("rigs: [7]", "sets/s.yaml:1: rigs entry 1 is 7, expected the name of a rig, or"),
        ("rigs: [{a: 1, b: 2}]", "sets/s.yaml:1: rigs entry 1 is a mapping, expected the name"),
        (
            "rigs: [{a: 128}]",
            "sets/s.yaml:1: rigs entry 1: the program of a is 128, expected a whole number from 0",
        ),
        (
            "rigs: [a, b, a]",
            "sets/s.yaml:1: rigs entry 3: rig a stands twice, expected once: it has one program.",
        ),
        (
            "rigs: [{a: 1}, b]",
            "sets/s.yaml:1: rigs entry 2: program 1 of rig b is taken by rig a; "
            "give one of them another number.",
        ),
        (
            "rigs: [" + "a, " * 129 + "]",
            "sets/s.yaml:1: rigs has 129 entries, expected at most 128.",
        ),
        ("rigs: &x [a]", "sets/s.yaml:1: anchors and aliases"),
    ],
)
def test_bad_set_is_named_with_file_place_and_expected(text: str, sentence: str) -> None:
    assert refusal(text).startswith(sentence)


def test_sets_without_a_bank_get_the_lowest_free_numbers_in_name_order() -> None:
    sets, complaints = assign_banks([RigSet("c"), RigSet("b", 2), RigSet("a"), RigSet("d", 0)])
    assert [(each.name, each.bank) for each in sets] == [("d", 0), ("a", 1), ("b", 2), ("c", 3)]
    assert complaints == []


def test_doubled_bank_goes_to_the_first_name_and_is_told() -> None:
    sets, complaints = assign_banks([RigSet("b", 7), RigSet("a", 7)])
    assert [(each.name, each.bank) for each in sets] == [("b", 1), ("a", 7)]
    assert complaints == [
        "b: bank 7 is taken by set a; it gets a free number until one of the two changes."
    ]


def test_missing_rig_is_told_and_the_rest_play() -> None:
    rig_set = RigSet("gig", 1, (("clean", 0), ("gone", 1), ("broken", 2), ("lead", 3)))
    programs, complaints = set_programs(rig_set, ["clean", "lead", "other"], ["broken"])
    assert programs == {"clean": 0, "lead": 3}
    assert complaints == [
        "gig: there is no rig gone; program 1 of the set selects nothing until there is one."
    ]


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


def test_shipped_sets_name_rigs_that_ship() -> None:
    rigs = [path.stem for path in SHIPPED.parent.glob("*.yaml")]
    found = [set_programs(read_set(path), rigs) for path in SHIPPED.glob("*.yaml")]
    assert len(found) > 0
    assert [complaints for _, complaints in found if complaints] == []
