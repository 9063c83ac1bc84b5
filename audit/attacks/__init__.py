"""Floor 4: frozen ways of getting at a model. An attack changes what is asked or what answers."""
