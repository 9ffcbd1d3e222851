"""Seats after a match: offers, vacancies, and administrative placements."""
