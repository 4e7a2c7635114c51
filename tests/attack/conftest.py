"""Fixtures shared by the attack tests: those of all tests."""

from support.fixtures import *  # noqa: F403
