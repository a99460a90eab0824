"""`python -m bot` is `firstmate`."""

import sys

from bot.cli import main

sys.exit(main())
