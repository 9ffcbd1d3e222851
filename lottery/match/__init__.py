"""The match as it is specified, and the verifier that checks it: the standard library only."""
