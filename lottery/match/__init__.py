"""Match a market and verify an outcome with the standard library only."""
