"""Compute commitments and log proofs with the standard library only."""
