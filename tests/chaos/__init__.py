"""Random bad days, repeatable by their seed: ``make chaos SEED=7``."""
