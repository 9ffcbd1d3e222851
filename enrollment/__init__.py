"""The enrollment service: participation, rankings, rounds, offers and the public log."""
