"""Floor 5: what will be tested against which budgets, what it costs, what it can prove, and its lock."""
