"""The rig files that `ampd rig new` writes: short ones to begin with, and a whole board."""

SHORT = """\
# {name}: {model} and a loudspeaker. rigs/README.md explains every key.
# ampd rig validate {name} says whether it plays, ampd load {name} plays it.
chain:
  - amp: {{model: {model}, gain_db: 0, level_db: 0}}  # dB into the model, and dB after it
  - cab: {{}}  # the built-in speaker; {{impulse: NAME}} for a file in the folder of cabs
"""

FULL = """\
# {name}: a whole board; take out what you do not need. rigs/README.md explains every key.
# ampd rig validate {name} says whether it plays, ampd load {name} plays it.
input: {{gain_db: 0}}  # the guitar into the rig
chain:  # in the order of the signal
  - gate: {{threshold_db: -60, release_ms: 100}}  # closes when you stop playing
  - boost: {{gain_db: 6, bypass: true}}  # waits for the snapshot lead
  - amp: {{model: {model}, gain_db: 0, level_db: 0}}  # dB into the model, and dB after it
  - eq: {{low_cut_hz: 80, peak1_hz: 600, peak1_db: -2, high_db: 1}}
  - cab: {{}}  # the built-in speaker; {{impulse: NAME}} for a file in the folder of cabs
  - delay: {{time_ms: 380, feedback: 0.3, mix: 0.2, bypass: true}}
  - reverb: {{decay_s: 1.8, mix: 0.15}}
output: {{gain_db: 0}}  # level: normalized makes all rigs equally loud
snapshots:  # under the foot, without a reload
  - {{name: rhythm}}
  - {{name: lead, boost/bypass: false, delay/bypass: false, amp/level_db: 2}}
morph: [1, 2]  # what the morph pedal goes between
midi:  # on top of the player's own map
  - {{control: 11, path: delay/mix, low: 0, high: 0.5}}
"""


def starter(name: str, model: str, full: bool) -> str:
    """The text of a new rig that plays `model`."""
    return (FULL if full else SHORT).format(name=name, model=model)
