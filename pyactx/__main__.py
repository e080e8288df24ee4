"""``python -m pyactx``."""

import sys

from pyactx.cli import main

sys.exit(main())
