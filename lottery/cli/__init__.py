"""The `lottery` command."""
