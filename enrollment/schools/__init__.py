"""Operators, schools, programs; zones; who takes part; the rules, in the database and over HTTP."""
