"""Invent cities and flat markets."""
