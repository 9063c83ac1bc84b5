"""One file per driver: an edit that runs trainings of its own, one after the other."""
