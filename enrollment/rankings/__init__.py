"""Rankings: a family's ordered list of programs, in versions."""
