"""Prompt attacks: the same model, asked in another way. One file per way; ``rewording`` holds what they share."""
