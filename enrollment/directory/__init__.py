"""The directory of operators, schools and programs, and the programs that a cycle offers."""
