"""Floor 1: the waist. One table of metric values, its units, probes and header; no text of anybody."""
