"""Match a market, check an outcome, explain it: no database, no web."""
