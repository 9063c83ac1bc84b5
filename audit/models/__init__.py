"""Floor 3: language models: loading, scoring, training, scopes, quantization and the laboratory."""
