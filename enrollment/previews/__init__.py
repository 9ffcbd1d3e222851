"""Previews: what a proposed rule, or joining at all, would do, over many simulated draws."""
