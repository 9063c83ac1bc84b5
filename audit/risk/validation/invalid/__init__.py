"""One procedure known to be invalid per file; ``INVALID`` in ``base`` finds them."""
