"""Make deeply nested JSON."""


def nested(levels: int, inside: str = "1") -> str:
    """Return lists inside one another."""
    return "[" * levels + inside + "]" * levels
