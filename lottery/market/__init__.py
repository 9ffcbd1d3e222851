"""Define, read and write markets and outcomes, with the standard library only."""
