"""Lets ``python -m gnnlib`` do what the command ``gnnlib`` does."""

import sys

from gnnlib.cli import main

sys.exit(main())
