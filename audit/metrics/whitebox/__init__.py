"""Diagnostics of a whole model that read its activations: shown beside a verdict, never part of one."""
