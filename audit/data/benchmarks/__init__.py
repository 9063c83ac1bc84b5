"""Readers of published data schemas: rows become probes, the benchmark's own units stay together."""
