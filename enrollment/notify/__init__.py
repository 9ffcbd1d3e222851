"""Notices: news that partners tell families."""
