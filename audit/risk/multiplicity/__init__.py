"""One procedure per file; ``PROCEDURES`` in ``base`` finds them."""
