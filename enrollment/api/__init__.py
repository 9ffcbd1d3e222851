"""The API: one file for each resource; the routes that partners, staff and the public call with JSON."""
