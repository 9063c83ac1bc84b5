"""Floor 6: what follows from the measurements. Knows nothing of how they were made."""
