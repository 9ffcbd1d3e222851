"""What a published round gave: to a child, at a program, to the city."""
