"""Paired recordings in, a model file out: the desktop half of the amp rack.

Modules, low to high: errors | recipe networks losses muon files | data model_json nam |
train evaluate export doctor | commands | cli.  Nothing here imports `ampd`: the two meet in the
model file.
"""
