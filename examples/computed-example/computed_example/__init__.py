"""A package that adds a periodic task and a driver to computed."""
