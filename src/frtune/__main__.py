"""``python -m frtune`` is ``frtune``."""

import sys

from frtune.cli import main

sys.exit(main())
