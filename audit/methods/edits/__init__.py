"""One file per edit: a frozen record that changes weights in one stroke instead of by an objective."""
