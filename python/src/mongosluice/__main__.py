"""python -m mongosluice"""

import sys

from mongosluice.cli import main

sys.exit(main())
