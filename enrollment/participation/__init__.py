"""Schools take part in a cycle, or leave it."""
