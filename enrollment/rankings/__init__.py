"""Rankings: ordered lists of programs, in versions."""
