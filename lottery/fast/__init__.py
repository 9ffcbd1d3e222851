"""The fast engine: the same outcomes as `lottery.match`, on arrays and compiled loops."""
