"""The results of published rounds: for a child, for a program, and for the public."""
