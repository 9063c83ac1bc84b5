"""One file per post-calibration: a frozen record that moves a finished model along a path."""
