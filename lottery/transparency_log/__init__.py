"""Compute commitments, and read, make and verify the proofs of a public log. There is no database and no clock here."""
