"""``python -m ribocast``: the command line."""

import sys

from ribocast.cli import main

sys.exit(main())
