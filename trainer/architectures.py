"""Recipe -> net, whichever architecture it names."""

from trainer.networks import Network, ResidualWaveNet
from trainer.networks_nam import (
    A1_HEAD_SCALE,
    A2_HEAD_SCALE,
    Lstm,
    NamWaveNet,
    a1_shapes,
    a2_shape,
)
from trainer.recipe import ModelConfig


def build_network(config: ModelConfig) -> Network:
    """A net with first weights from torch's random numbers."""
    if config.architecture == "nam_a1":
        shapes = a1_shapes(
            config.channels, config.kernel_size, config.dilations, config.first_array_layers
        )
        return NamWaveNet(shapes, A1_HEAD_SCALE)
    if config.architecture == "nam_a2":
        return NamWaveNet([a2_shape(config.channels)], A2_HEAD_SCALE)
    if config.architecture == "lstm":
        return Lstm(config.channels, config.layers, config.warm_up_frames)
    return ResidualWaveNet(config)
