"""Proofs, without a database."""
