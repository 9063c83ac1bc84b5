"""Floor 1: arrays in, numbers out. Losses, exact bounds, multiplicity, the model, planning, the proof."""
