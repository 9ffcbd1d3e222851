"""A demo: one city's complete lottery round over HTTP, from the point of view of every participant."""
