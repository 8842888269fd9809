"""Drives NAM's own trainer; run by the interpreter that has neural-amp-modeler, not by ours.

    PYTHON tests/bench/rival_nam.py DATA.json MODEL.json OUT CPU_SECONDS VALIDATE_EVERY_STEPS

Its loss, optimiser, schedule, batches and export are its own; added is a callback that ends the
run, with a last validation, when the process has used up its CPU seconds since the first step.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any


def stopper(cpu_seconds: float) -> Any:
    lightning: Any = importlib.import_module("pytorch_lightning")

    class Stopper(lightning.callbacks.Callback):  # type: ignore[misc]
        def on_train_start(self, *_: Any) -> None:
            self.started = time.process_time()

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if time.process_time() - self.started >= cpu_seconds:
                trainer.should_stop = True

        def on_train_end(self, trainer: Any, *_: Any) -> None:
            spent = time.process_time() - self.started
            print(json.dumps({"steps": trainer.global_step, "cpu_seconds": round(spent, 1)}))

    return Stopper()


def main() -> None:
    data, model = (json.loads(Path(name).read_text()) for name in sys.argv[1:3])
    out, cpu_seconds, every = Path(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
    importlib.import_module("torch").set_num_threads(1)
    full: Any = importlib.import_module("nam.train.full")
    core: Any = importlib.import_module("nam.train.core")
    defaults = core._get_packed_model_config()
    model = {**defaults, "net": model}
    theirs = full._create_callbacks

    def callbacks(*arguments: Any, **options: Any) -> list[Any]:
        return [*theirs(*arguments, **options), stopper(cpu_seconds)]

    full._create_callbacks = callbacks
    learning = {
        "train_dataloader": {"batch_size": 16, "shuffle": True, "drop_last": True},
        "val_dataloader": {},
        "trainer": {
            "max_epochs": 100,
            "val_check_interval": every,
            "accelerator": "cpu",
            "enable_progress_bar": False,
        },
    }
    full.main(data, model, learning, out, no_show=True, make_plots=False)


if __name__ == "__main__":
    main()
