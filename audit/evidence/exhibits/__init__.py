"""One exhibit per file; ``EXHIBITS`` in ``base`` finds them."""
