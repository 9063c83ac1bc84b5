"""Floor 4: ways of forgetting. A recipe (method, budget, scope) turns one model into another."""
