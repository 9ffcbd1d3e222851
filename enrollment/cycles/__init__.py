"""Cycles: enrollment seasons, with their calendars and policies."""
