"""Ways in: each translates the outside to a Command and the State back, and decides nothing."""
