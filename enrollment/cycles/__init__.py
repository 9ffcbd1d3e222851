"""Cycles: one enrollment season, its calendar and policy."""
