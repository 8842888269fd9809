"""The same net as a .nam file that every NAM host plays: version 0.5.4, two WaveNet arrays.

NAM's WaveNet has no bias at its entrance and no direct path from input to output, so:

1. The input bias rides unchanged on the residual stream.  It is folded into the biases of the
   convolutions, b'_i = b_i + (sum over k of W_i[k]) bin, and of the head, bout + Wout bin.
2. y = Wout x_N = Wout (sum of the tanh's) + Wout Win u.  NAM's head sums the tanh's; the direct
   term enters through the head sum of the second array, which starts from what the first array
   gives.  The first array has one channel whose tanh sees EPSILON u: tanh(EPSILON u) / EPSILON
   is u to 8e-8 u^2 (relative), below the rounding of float32 for |u| <= 1.
3. The second array is the net itself, its 1x1 the identity, its input mixer 0.

The two nets then agree from the silence-warmed state on; a host reaches that state by running
silence through the model before it plays, which NAM's own core does.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.errors import ModelError
from trainer.model_json import numbers

VERSION = "0.5.4"
EPSILON = 2.0**-11  # a power of two: scaling by it rounds nothing
FIELDS = (
    "name",
    "modeled_by",
    "gear_type",
    "gear_make",
    "gear_model",
    "tone_type",
    "input_level_dbu",
    "output_level_dbu",
)


def build_nam(content: dict[str, Any]) -> dict[str, Any]:
    """The .nam content for the content of one of the project's model files.

    raises: ModelError for a net that is not causal: NAM's residual path has no delay, so a
        centred net cannot be said in it
    """
    metadata = content["metadata"]
    if not content["causal"]:
        raise ModelError(
            f"{metadata.get('name')}: this net is not causal and .nam cannot hold it, expected "
            "model.causal true; use the .json, or train with --model.causal true"
        )
    known = {k: metadata[k] for k in ("date", "loudness", *FIELDS) if k in metadata}
    essentials = {k: v for k, v in content.items() if k not in ("tensors", "metadata")}
    essentials["licence"] = metadata.get("licence")
    essentials["training"] = metadata.get("training")
    return {
        "version": VERSION,
        "architecture": "WaveNet",
        "config": _config(content),
        "weights": numbers(universal_weights(content).astype(np.float32)),
        "sample_rate": content["sample_rate"],
        "metadata": {**known, "ampd": essentials},
    }


def _config(content: dict[str, Any]) -> dict[str, Any]:
    common = {"input_size": 1, "condition_size": 1, "activation": "Tanh", "gated": False}
    first = {"head_size": content["channels"], "channels": 1, "kernel_size": 1, "dilations": [1]}
    second = {
        "head_size": 1,
        "channels": content["channels"],
        "kernel_size": content["kernel_size"],
        "dilations": content["dilations"],
    }
    layers = [{**common, **first, "head_bias": False}, {**common, **second, "head_bias": True}]
    return {"layers": layers, "head": None, "head_scale": 1.0}


def universal_weights(content: dict[str, Any]) -> NDArray[np.float64]:
    """NAM's flat list: per array rechannel, per layer conv bias mixer 1x1 bias, head; scale.

    returns: (count,), float64
    """
    tensors = {k: np.array(v, dtype=np.float64) for k, v in content["tensors"].items()}
    channels, taps = content["channels"], content["kernel_size"]
    entrance, entrance_bias = tensors["input.weight"], tensors["input.bias"]
    parts: list[Any] = [1.0]  # first array: rechannel
    parts += [0.0, 0.0, EPSILON, 0.0, 0.0]  # conv, bias, mixer, 1x1, its bias
    parts += [entrance / EPSILON, entrance]  # its head; the second array's rechannel
    for number in range(len(content["dilations"])):
        weight = tensors[f"blocks.{number}.weight"].reshape(channels, channels, taps)
        bias = tensors[f"blocks.{number}.bias"] + weight.sum(2) @ entrance_bias
        parts += [weight, bias, np.zeros(channels), np.eye(channels), np.zeros(channels)]
    exit_weight = tensors["output.weight"]
    parts += [exit_weight, tensors["output.bias"] + exit_weight @ entrance_bias, 1.0]
    return np.concatenate([np.ravel(part) for part in parts])
