"""Attendance zones of a cycle: import zones as GeoJSON, and find the zones of a point."""
