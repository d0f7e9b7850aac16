"""Bring the photographs, look after them, serve them: python tools/photographs --help."""

import sys

from commands import main

sys.exit(main())
