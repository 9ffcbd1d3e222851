"""Outcomes in words and numbers, in the reader's language."""
