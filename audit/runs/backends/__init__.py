"""Backends only start workers; what runs and in what order lives in the run directory."""
