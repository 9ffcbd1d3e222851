"""Rounds: rehearse, freeze, draw, match, publish, void; and what came of them."""
