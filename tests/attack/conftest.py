"""What attackers' tests share: the fixtures of all."""

from support.fixtures import *  # noqa: F403
