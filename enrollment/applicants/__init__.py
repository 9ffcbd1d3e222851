"""Applicants: one child in one cycle, whatever partner it came by; households and claims."""
