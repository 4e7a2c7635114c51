"""Offload for Beanie 2.x and 1.30."""
