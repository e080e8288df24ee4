"""``python -m pyactx``."""

import sys

from pyactx.cli import main

if __name__ == "__main__":
    sys.exit(main())
