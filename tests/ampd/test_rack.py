"""Plans become chains: paths, trims, bindings, and the engine's own sentences as RigErrors."""

import numpy as np
import pytest

from ampd.bank import plan_rig
from ampd.errors import RigError
from ampd.library import Library
from ampd.midi import Binding
from ampd.rack import Engine, Setup, build
from ampd.rehearsal import settle
from tests.ampd.conftest import RATE_HZ, SETTLED, noise


def played(engine: Engine) -> float:
    """Level of the rig's answer to a fixed noise, in dB beside the noise."""
    settle(engine)
    out = engine.process(noise())[0]
    return float(20 * np.log10(np.std(out[SETTLED // 2 :]) / np.std(noise()[SETTLED // 2 :])))


def test_built_chain_tells_its_knobs_in_the_order_of_the_engine(library: Library) -> None:
    engine = Engine(RATE_HZ, threaded=False)
    built = build(engine, 0, plan_rig(library, library.load_rig("drive")))
    assert [built.index[path] for path in built.paths] == list(range(len(built.paths)))
    assert (built.values["amp/gain_db"], built.values["amp/level_db"]) == (6.0, -3.0)
    assert built.knobs.keys() == built.values.keys()
    assert built.knobs["amp/bypass"].is_switch
    assert built.memory_bytes > 0
    assert built.latency_frames == 0


@pytest.mark.parametrize(("into", "out"), [(6.0, 0.0), (0.0, -4.0), (5.0, -9.0)])
def test_trims_add_to_the_gains_and_are_no_knobs(library: Library, into: float, out: float) -> None:
    engine = Engine(RATE_HZ, threaded=False, safety=False)
    plan = plan_rig(library, library.load_rig("clean"))
    built = build(engine, 0, plan, Setup(input_trim_db=into, output_trim_db=out))
    assert (built.values["input/gain_db"], built.values["output/gain_db"]) == (0.0, 0.0)
    assert played(engine) == pytest.approx(3.0 + into + out, abs=1e-3)  # float rounding


def test_warnings_of_the_setup_are_those_of_the_rig(library: Library) -> None:
    plan = plan_rig(library, library.load_rig("clean"))
    setup = Setup(warnings=("mind the step",))
    assert "mind the step" in build(Engine(RATE_HZ, threaded=False), 0, plan, setup).warnings


def test_engines_refusal_names_the_rig_and_leaves_the_slot(library: Library) -> None:
    engine = Engine(RATE_HZ, threaded=False, safety=False)
    build(engine, 0, plan_rig(library, library.load_rig("clean")))
    (library.rigs_path / "bad.yaml").write_text("chain: [{gain: {gain_db: 99}}]\n")
    with pytest.raises(RigError, match=r"bad\.yaml: .*gain/gain_db"):
        build(engine, 0, plan_rig(library, library.load_rig("bad")))
    assert played(engine) == pytest.approx(3.0, abs=1e-3)


def test_own_binding_must_find_its_knob_and_anothers_may_rest(library: Library) -> None:
    engine = Engine(RATE_HZ, threaded=False)
    plan = plan_rig(library, library.load_rig("clean"))
    build(engine, 0, plan, Setup(bindings=(Binding(20, "delay/mix"),)))
    (library.rigs_path / "own.yaml").write_text("midi: [{control: 20, path: delay/mix}]\n")
    with pytest.raises(RigError, match=r"own\.yaml.*delay/mix"):
        build(engine, 1, plan_rig(library, library.load_rig("own")))
