"""One kind of promise per file; ``PARTS`` in ``base`` finds them."""
