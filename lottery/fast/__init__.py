"""Match with arrays and compiled loops, with the same outcomes as `lottery.match`."""
