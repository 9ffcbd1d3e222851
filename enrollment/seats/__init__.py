"""Seats after a match: offers, vacancies, waitlists, placements outside the lottery."""
