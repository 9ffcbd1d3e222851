"""Marks by which routes tell `enrollment.openapi` what FastAPI cannot say. They are not in the finished document."""

DEMANDED = "x-demanded"
"""On a header that FastAPI thinks is optional, because the service refuses a request without it in its own words."""

SHOWS_VERSION = "x-shows-version"
"""On an operation whose answers have an ETag."""
