"""Invented cities and flat markets, from which `lottery.generate` makes documents."""
