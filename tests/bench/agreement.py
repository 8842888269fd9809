"""How close the engine comes to the truth: one JSON line a figure.

    python -m tests.bench.agreement

On ../shared/captures and ../shared/model-corpus where they are present, else on the project's own
guitar part.  The tests hold the same figures to their limits.
"""

import json

import numpy as np
import soundfile
from numpy.typing import NDArray

from ampd import _engine
from tests.demo.guitar import make
from tests.engine.conftest import CORPUS, MODELS, SHARED, TEST_START, TEST_STOP
from tests.engine.test_agreement import SHIPPED, nam_rows, relative_error, truth

BLOCKS = (1, 7, 64, 4096)


def tell(figure: str, value: float, limit: float, **more: object) -> None:
    print(json.dumps({"figure": figure, "value": float(f"{value:.3g}"), "limit": limit, **more}))


def read_take() -> tuple[NDArray[np.float32], str]:
    path = SHARED / "captures" / "di.flac"
    if not path.exists():
        return np.ascontiguousarray(make(), np.float32), "own guitar part"
    signal, _ = soundfile.read(path, dtype="float32", start=TEST_START - 4 * 48000, stop=TEST_STOP)
    return np.ascontiguousarray(signal), "TEST take"


def tell_models(take: NDArray[np.float32], name: str) -> None:
    for model in SHIPPED:
        path = str(MODELS / model / f"{model}.json")
        expected = truth(model, take)
        worst = max(relative_error(_engine.render_model(path, take, b), expected) for b in BLOCKS)
        tell("engine vs float64, of peak", worst, 2e-6, model=model, on=name, blocks=BLOCKS)
        nam = _engine.render_model(str(MODELS / model / f"{model}.nam"), take)
        json_sound = _engine.render_model(path, take).astype(np.float64)
        tell(".nam vs .json, of peak", relative_error(nam, json_sound), 5e-6, model=model, on=name)


def tell_corpus() -> None:
    rows = [row for row in nam_rows(with_golden=True) if row["architecture"] != "Linear"]
    if not rows:
        return
    worst = esr = 0.0
    signal, _ = soundfile.read(CORPUS / "golden" / "input.wav", dtype="float32")
    for row in rows:
        golden = np.load(CORPUS / str(row["golden"])).astype(np.float64)
        found = _engine.render_model(str(CORPUS / str(row["file"])), signal)
        worst = max(worst, float(np.max(np.abs(found - golden))))
        esr = max(esr, float(np.sum((found - golden) ** 2) / np.sum(golden**2)))
    tell("NAM goldens, largest difference", worst, 5e-5, models=len(rows))
    tell("NAM goldens, ESR", esr, 1e-8, models=len(rows))


def main() -> None:
    take, name = read_take()
    tell_models(take, name)
    tell_corpus()


if __name__ == "__main__":
    main()
