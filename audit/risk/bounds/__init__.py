"""One theorem per file; ``BOUNDS`` in ``base`` finds them."""
