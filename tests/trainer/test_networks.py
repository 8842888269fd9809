import numpy as np
import pytest
import torch

from tests.trainer.conftest import make_net
from tests.trainer.reference import project_forward
from trainer.model_json import build_model
from trainer.networks import padded_slice, reference_forward, render
from trainer.signals import riff

FLOAT32_TOLERANCE = 1e-5  # sums of a few dozen products of order 1, rounded at 6e-8 each


def dependencies(causal: bool) -> tuple[list[int], int]:
    """(offsets of the input frames that one output frame depends on, receptive field)."""
    net = make_net(causal=causal).double()
    signal = torch.zeros(64, dtype=torch.float64, requires_grad=True)
    middle = 32
    padded = torch.nn.functional.pad(signal, (net.before_frames, net.after_frames))
    net(padded[None])[0, middle].backward()
    assert signal.grad is not None
    return (signal.grad.nonzero()[:, 0] - middle).tolist(), net.receptive_field_frames


def test_causal_net_sees_its_field_and_nothing_ahead() -> None:
    offsets, field = dependencies(causal=True)
    assert field == 1 + 2 * (1 + 2 + 4)
    assert offsets == list(range(1 - field, 1))


def test_centred_net_sees_as_far_ahead_as_back() -> None:
    offsets, field = dependencies(causal=False)
    half = (field - 1) // 2
    assert offsets == list(range(-half, half + 1))


@pytest.mark.parametrize(
    ("layers", "frames"), [(10, 2047), (6, 127), (5, 63)], ids=["10", "6", "5"]
)
def test_field_of_doubling_dilations_matches_the_formula(layers: int, frames: int) -> None:
    net = make_net(dilations=tuple(2**i for i in range(layers)))
    assert net.receptive_field_frames == frames


@pytest.mark.parametrize("causal", [True, False])
def test_valid_forward_of_a_cut_equals_the_whole_file(causal: bool) -> None:
    net = make_net(causal=causal)
    signal = torch.from_numpy(riff(0.1, 48000)).float()
    whole = render(net, signal)
    cut = signal[1000 - net.before_frames : 1200 + net.after_frames]
    assert len(whole) == len(signal)
    assert (net(cut[None])[0] - whole[1000:1200]).abs().max() <= FLOAT32_TOLERANCE


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("chunk_frames", [1, 7, 64, 4096])
def test_chunks_do_not_change_the_sound(causal: bool, chunk_frames: int) -> None:
    net = make_net(causal=causal).double()
    signal = torch.from_numpy(riff(0.01, 48000))
    difference = render(net, signal, chunk_frames=chunk_frames) - render(net, signal)
    assert difference.abs().max() <= 1e-13  # float64, sums in another order


@pytest.mark.parametrize("causal", [True, False])
def test_reference_forward_equals_the_formula_in_plain_numpy(causal: bool) -> None:
    net = make_net(causal=causal)
    silence = np.zeros(100)
    signal = np.concatenate([silence, riff(0.02, 48000), silence])
    found = reference_forward(net, torch.from_numpy(signal)).numpy()
    expected = project_forward(build_model(net, 48000, {}), signal)
    assert np.abs(found - expected).max() <= 1e-7  # the file rounds weights to nine digits


def test_first_frame_is_that_of_a_net_warmed_with_silence() -> None:
    net = make_net()
    signal = torch.from_numpy(riff(0.01, 48000))
    after_silence = torch.cat([torch.zeros(500, dtype=torch.float64), signal])
    difference = reference_forward(net, signal) - reference_forward(net, after_silence, 500)
    assert difference.abs().max() <= 1e-13  # the same sums


def test_render_of_a_span_takes_history_from_the_recording() -> None:
    net = make_net(causal=False).double()
    signal = torch.from_numpy(riff(0.02, 48000))
    difference = render(net, signal, 300, 400) - render(net, signal)[300:400]
    assert difference.abs().max() <= 1e-13  # the same sums


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(-2, 2, [0, 0, 1, 2]), (1, 3, [2, 3]), (2, 5, [3, 0, 0]), (-3, -1, [0, 0]), (4, 6, [0, 0])],
)
def test_frames_outside_a_recording_are_silence(start: int, end: int, expected: list[int]) -> None:
    signal = torch.tensor([1.0, 2.0, 3.0])
    assert padded_slice(signal, start, end).tolist() == expected


def test_cost_counts_every_weight_once() -> None:
    net = make_net(channels=12, dilations=tuple(2**i for i in range(10)))
    assert net.mac_per_sample == 12 + 10 * 12 * 12 * 3 + 12


@pytest.mark.parametrize("channels", [3, 9], ids=["narrow", "wide"])
@pytest.mark.parametrize("causal", [True, False])
def test_answer_and_gradients_are_those_of_plain_convolutions(channels: int, causal: bool) -> None:
    net = make_net(causal=causal, channels=channels).double().requires_grad_(True)
    signal = torch.randn(2, 40, dtype=torch.float64)

    def plain() -> torch.Tensor:
        stream = torch.nn.functional.conv1d(signal[:, None], net.input.weight, net.input.bias)
        for block in net.blocks:
            change = torch.tanh(block(stream))
            lost = stream.shape[-1] - change.shape[-1]
            first = lost if causal else lost // 2
            stream = stream[..., first : first + change.shape[-1]] + change
        return torch.nn.functional.conv1d(stream, net.output.weight, net.output.bias)[:, 0]

    parameters = list(net.parameters())
    found, expected = net(signal), plain()
    assert (found - expected).abs().max() <= 1e-13  # float64, sums in another order
    for mine, theirs in zip(
        torch.autograd.grad(found.square().sum(), parameters),
        torch.autograd.grad(expected.square().sum(), parameters),
        strict=True,
    ):
        assert (mine - theirs).abs().max() <= 1e-11 * theirs.abs().max()
