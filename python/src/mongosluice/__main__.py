"""python -m mongosluice"""

import sys

from mongosluice.cli import console

sys.exit(console())
