"""Every error that a person can cause, and the exit code that each one has.

TrainerError
    RecipeError    a recipe or an override that says something impossible
    DataError      a recording that cannot be trained on or measured with
    ModelError     a model file or checkpoint that cannot be read or written as asked
    TrainingError  a run that ended without a model
    JackError      no JACK, or one that fails while a take is recorded

Each text is one sentence or two: file, place, found, expected, way out.
"""


class TrainerError(Exception):
    """Base of all of them; exit_code is what `ampd-train` ends with."""

    exit_code = 1


class RecipeError(TrainerError):
    exit_code = 2


class DataError(TrainerError):
    exit_code = 3


class ModelError(TrainerError):
    exit_code = 4


class TrainingError(TrainerError):
    exit_code = 5


class JackError(TrainerError):
    exit_code = 6
