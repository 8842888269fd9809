"""ampd: a guitar amp rack without a screen; the Python control plane of the daemon."""

__version__ = "0.1.0"
PROTOCOL = 1  # of the OSC address tree; grows when an address changes its meaning
