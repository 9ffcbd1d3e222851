"""What a market is, and how markets and outcomes are read and written: the standard library only."""
