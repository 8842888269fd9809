"""A family of models in a rig, from the file to the sound: bank, session, offline host."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ampd.bank import plan_rig
from ampd.command import SelectRig, SetParam
from ampd.errors import RigError
from ampd.library import Library
from ampd.offline import RenderJob, render
from ampd.passport import RigPassport, check
from tests.ampd.conftest import heard, opened, refusal, run, write_model
from tests.ampd.test_offline import TOLERANCE, sound


@pytest.mark.parametrize(("knob", "share"), [(2, 0.0), (5, 0.5), (7.25, 0.875), (8, 1.0)])
def test_rig_with_a_family_renders_the_mix_of_the_knobs_neighbours(
    library: Library, tmp_path: Path, knob: float, share: float
) -> None:
    sound(tmp_path / "in.wav")
    for name, seed in (("far", 9), ("low", 2), ("high", 3)):
        write_model(library.models_path / f"{name}.json", seed=seed)
    (library.rigs_path / "family.yaml").write_text(
        f"chain: [{{amp: {{models: {{-1: far, 2: low, 8: high}}, knob: {knob}}}}}]"
    )
    plan = plan_rig(library, library.load_rig("family"))
    render(RenderJob(tmp_path / "in.wav", tmp_path / "out.wav", plan=plan))
    out, _ = soundfile.read(tmp_path / "out.wav", dtype="float64")
    plain = []
    for name in ("low", "high"):
        (library.rigs_path / "one.yaml").write_text(f"chain: [{{amp: {{model: {name}}}}}]")
        alone = plan_rig(library, library.load_rig("one"))
        render(RenderJob(tmp_path / "in.wav", tmp_path / "one.wav", plan=alone))
        plain.append(soundfile.read(tmp_path / "one.wav", dtype="float64")[0])
    expected = (1 - share) * plain[0] + share * plain[1]
    # The direct-current stage behind the mix is linear, so the mix may stand on either side of it.
    assert np.max(np.abs(out - expected)) <= TOLERANCE * np.max(np.abs(expected))


def test_knob_of_a_family_is_a_param_in_the_positions_own_units(library: Library) -> None:
    for name, seed in (("a", 5), ("b", 6), ("c", 7)):
        write_model(library.models_path / f"{name}.json", seed=seed)
    (library.rigs_path / "family.yaml").write_text(
        "chain: [{amp: {models: {0: a, 5: b, 10: c}, knob: 2.5}}]"
    )
    (library.rigs_path / "b.yaml").write_text("chain: [{amp: {model: b}}]")

    async def story() -> None:
        async with opened(library) as (session, ear):
            await session.execute(SelectRig("b"))
            await ear.swap("b")
            alone = await heard(session)
            await session.execute(SelectRig("family"))
            await ear.swap("family")
            assert session.value("amp/knob") == 2.5
            assert await session.execute(SetParam("amp/knob", 11.0)) == 10.0
            assert abs(await heard(session) - alone) > 1e-3 * alone
            assert await session.execute(SetParam("amp/knob", 5.0)) == 5.0
            assert abs(await heard(session) - alone) <= 1e-6 * alone

    run(story())


def test_knob_beyond_its_family_is_refused_and_the_range_named(library: Library) -> None:
    (library.rigs_path / "family.yaml").write_text(
        "chain: [{amp: {models: {0: tiny, 5: tiny}, knob: 6}}]"
    )

    async def story() -> None:
        async with opened(library) as (session, _):
            text = await refusal(session, SelectRig("family"))
            assert text.endswith("family.yaml: amp/knob is 6, expected 0 to 5.")

    run(story())


def test_passport_of_a_family_names_all_its_models_and_holds_their_memory(library: Library) -> None:
    """What a net needs is what each more of them adds; a chain has some bytes of its own."""
    bytes_of = []
    for count in (2, 3, 4):
        models = ", ".join(f"{at}: tiny" for at in range(count))
        path = library.rigs_path / "family.yaml"
        path.write_text(f"chain: [{{amp: {{models: {{{models}}}}}}}]")
        found = check(path, library, 48000, with_cost=False)
        assert isinstance(found, RigPassport)
        assert found.blocks == [" ".join(["amp", *["tiny"] * count])]
        bytes_of.append(found.memory_bytes)
    assert bytes_of[2] - bytes_of[1] == bytes_of[1] - bytes_of[0] > 0


def test_models_of_two_rates_are_no_family(library: Library) -> None:
    write_model(library.models_path / "slow.json", sample_rate_hz=44100)
    path = library.rigs_path / "family.yaml"
    path.write_text("chain: [{amp: {models: {0: tiny, 5: slow}}}]")
    with pytest.raises(RigError, match="the models of a family need one rate"):
        check(path, library, 48000, with_cost=False)
