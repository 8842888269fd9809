"""Trials of a sweep on a Ray cluster, by Tune's ASHA.

source: Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning
"""

import contextlib
import io
import logging
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from trainer.batch.queue import STARTS
from trainer.batch.work import can_resume
from trainer.cluster.connection import first_line
from trainer.data import Pair
from trainer.errors import TrainerError
from trainer.recipe import Recipe
from trainer.sweep import CUT, DONE, FAILED, RUNNING, Trial
from trainer.train import Progress, train

EXPERIMENT = "tune"  # folder of what Tune writes for itself
CUT_FIRST_AT, CUT_TO = 10, 3  # ASHA: of the trials at 10, 30 and 90 % a third goes on


def search(
    trials: Sequence[Trial],
    pair: Pair,
    folder: Path,
    gpus_per_trial: float,
    tell: Callable[[Trial], None],
) -> None:
    """Run the trials with Tune's ASHA on VALID ESR, and fill in how each went.

    folder: for Tune's own files; a search that was stopped there goes on
    tell: called with a trial that has validated
    A trial whose worker dies goes on from its newest checkpoint, on another one.
    raises: KeyboardInterrupt at Ctrl-C; what ran is RUNNING then
    """
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # it would return as if all were done
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it prints each worker's last stack
    trainable = tune.with_resources(
        tune.with_parameters(_try, recipes=[trial.recipe for trial in trials], pair=pair),
        {"cpu": trials[0].recipe.training.threads, "gpu": gpus_per_trial},
    )

    def hear(number: int, metrics: dict[str, Any]) -> None:
        _fill_in(trials[number], metrics, None, RUNNING)
        tell(trials[number])

    _Listener.hear = hear
    # Tune prints tables of its own, and stdout is the caller's.
    with contextlib.redirect_stdout(io.StringIO()):
        results = _tuner(trainable, len(trials), folder).fit()
    for result in results:
        if result.config is not None:
            _fill_in(trials[result.config["number"]], result.metrics or {}, result.error, CUT)


def _tuner(trainable: Any, count: int, folder: Path) -> Any:
    """A new search, or the one that was stopped in folder."""
    place = folder / EXPERIMENT
    if tune.Tuner.can_restore(str(place)):
        return tune.Tuner.restore(str(place), trainable, restart_errored=True)
    scheduler = ASHAScheduler(
        time_attr="percent",
        max_t=100,
        grace_period=CUT_FIRST_AT,
        reduction_factor=CUT_TO,
        stop_last_trials=False,
    )
    return tune.Tuner(
        trainable,
        param_space={"number": tune.grid_search([*range(count)])},
        tune_config=tune.TuneConfig(metric="esr", mode="min", scheduler=scheduler),
        run_config=tune.RunConfig(
            name=EXPERIMENT,
            storage_path=str(folder.absolute()),
            failure_config=tune.FailureConfig(max_failures=STARTS - 1),
            callbacks=[_Listener()],
            verbose=0,
        ),
    )


def _try(config: dict[str, int], recipes: Sequence[Recipe], pair: Pair) -> None:
    """One trial, in a process of its own."""
    recipe = recipes[config["number"]]
    every = recipe.training.validate_every_steps

    def report(progress: Progress) -> None:
        if progress.share < 1 and progress.step % every == 0:
            tune.report({"esr": progress.esr_best, "percent": 100 * progress.share})

    checkpoints = Path(recipe.paths.run) / "checkpoints"
    try:
        outcome = train(recipe, pair, report, can_resume(checkpoints, recipe, pair.sha256))
    except TrainerError as error:
        tune.report({"esr": math.inf, "percent": 100, "text": str(error)})
    else:
        tune.report({"esr": outcome.esr_valid, "percent": 100, "finished": True})


class _Listener(tune.Callback):  # type: ignore[misc]  # its types are skipped
    """Hands every validation to `hear`.

    Tune writes its callbacks to disk and reads them back when a search goes on; so this one has
    no state, and the class says where the driver listens.
    """

    hear: ClassVar[Callable[[int, dict[str, Any]], None]]

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        _Listener.hear(trial.config["number"], result)


def _fill_in(
    trial: Trial, metrics: dict[str, Any], error: Exception | None, otherwise: str
) -> None:
    """otherwise: the state of a trial that has neither finished nor failed"""
    trial.esr = metrics.get("esr", math.inf)
    trial.share = metrics.get("percent", 0.0) / 100
    trial.state = otherwise
    if metrics.get("finished"):
        trial.state = DONE
    elif error is not None or "text" in metrics:
        trial.state, trial.text = FAILED, metrics.get("text") or first_line(error)
