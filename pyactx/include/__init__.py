"""The public C header."""

import os


def get_include() -> str:
    """Return the folder of ``pyactx.h``, for the include_dirs of a plugin's extension module."""
    return os.path.dirname(__file__)
