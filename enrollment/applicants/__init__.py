"""Applicants: applications, households, claims and transfers."""
