"""A periodic task and a driver for computed, in a package of their own."""
