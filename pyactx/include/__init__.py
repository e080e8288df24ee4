"""The public C header."""

from pathlib import Path


def get_include():
    """Return the folder of ``pyactx.h``, for the include_dirs of a plugin's extension module.  Loads nothing else."""
    return str(Path(__file__).parent)
