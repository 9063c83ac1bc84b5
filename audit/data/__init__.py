"""Floor 2: people and their probes, where they come from, and how they are split."""
