"""A school takes part in a cycle, or leaves it."""
