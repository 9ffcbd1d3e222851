"""Invented cities and flat markets, from which `lottery.generate.generate` makes documents."""
