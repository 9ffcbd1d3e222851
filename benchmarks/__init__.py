"""Speed as ratios measured in one run, since machines differ: `python -m benchmarks`."""
