"""Attendance zones of a cycle: brought in as GeoJSON, and found for a point."""
