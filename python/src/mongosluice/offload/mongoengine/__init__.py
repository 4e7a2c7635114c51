"""Offload for MongoEngine."""
