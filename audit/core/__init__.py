"""Floor 0: errors, registries, digests, seeds, progress, lazy imports. Knows nothing of models or statistics."""
