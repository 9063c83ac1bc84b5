"""One file per objective: a frozen record with a forget term and a retain term."""
