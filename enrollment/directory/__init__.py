"""The directory: operators, schools, and programs, and what a cycle offers of them."""
