"""A city's round from beginning to end, over HTTP, as everybody who takes part in it."""
