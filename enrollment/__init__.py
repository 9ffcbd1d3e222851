"""The service: schools that choose to take part, families' rankings through partners, rounds that anybody can check."""
