"""Rounds: rehearse, freeze, draw, match, publish, or void."""
