"""Bring the photographs, look after them, serve them: python -m tools.photographs --help."""

import sys

from tools.photographs.commands import main

sys.exit(main())
