"""Many draws of one market, and what a change of its rules does."""
