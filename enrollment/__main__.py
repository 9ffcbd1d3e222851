"""`python -m enrollment` is the `enrollment` command."""

from enrollment.cli import main

main()
