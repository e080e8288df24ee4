"""The extension module: what pyproject.toml cannot say."""

from Cython.Build import cythonize
from setuptools import Extension, setup

import pyactx

kernel = Extension("pyactx_swoosh._kernel", ["src/pyactx_swoosh/_kernel.pyx"], include_dirs=[pyactx.get_include()])

setup(ext_modules=cythonize([kernel], language_level=3, build_dir="build"))
