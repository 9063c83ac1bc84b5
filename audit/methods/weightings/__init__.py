"""One file per weighting: a frozen record that says how often each forget sequence is seen."""
