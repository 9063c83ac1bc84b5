"""Floor 4: what a model emits per probe. A metric is a pure function of one scored probe."""
