"""The field's scores of a whole model, recomputed from per-probe values; they stand beside the verdict."""
