"""The extension modules: what pyproject.toml cannot say.

PYACTX_OPENMP=auto|0|1    whether to build the OpenMP module: where it compiles, never, or else fail
PYACTX_REQUIRE_EXT=0|1    whether another module that does not compile is left out, or an error (wheels)
CC=clang-cl               on Windows, the compiler of the kernels; the rest is always compiled with MSVC

With every module left out, what is installed is the pure-Python package.
"""

import os
import shutil
import sysconfig
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError, CompileError


def choice(variable, *values):
    value = os.environ.get(variable) or values[0]
    if value not in values:
        raise SystemExit(f"{variable}={value!r} is not one of {', '.join(values)}")
    return value


OPENMP = choice("PYACTX_OPENMP", "auto", "0", "1")
REQUIRED = choice("PYACTX_REQUIRE_EXT", "0", "1") == "1"

PLATFORM = sysconfig.get_platform()  # what the modules are for, which need not be what they are built on
MSVC = PLATFORM.startswith("win")
CLANG_CL = MSVC and Path(os.environ.get("CC", "")).stem == "clang-cl"
if PLATFORM.startswith("emscripten") and OPENMP == "auto":  # compiles there, and does not load
    OPENMP = "0"

# Why each flag is there, and which may never be: docs/design.md.
if MSVC:
    FLAGS, LINK_FLAGS, OPENMP_FLAGS = ["/std:c11"], [], ["/openmp"]
    KERNEL_FLAGS = ["/clang:-O3", "/clang:-fno-math-errno", "/clang:-ffp-contract=off"] if CLANG_CL else []
    INSTRUCTION_SETS = {"baseline": [], "avx2": ["/arch:AVX2"], "avx512": ["/arch:AVX512"]}
else:
    LINK_FLAGS = ["-O2", "-fno-fast-math", "-fno-unsafe-math-optimizations"]  # whatever CFLAGS has
    FLAGS = [*LINK_FLAGS, "-g0", "-fvisibility=hidden"]
    KERNEL_FLAGS = ["-std=c11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fopenmp-simd",
                    "-fno-wrapv"]
    if not PLATFORM.startswith("macosx"):  # GCC; docs/design.md says why
        KERNEL_FLAGS += ["-fno-tree-pre", "-fno-thread-jumps", "--param=vect-epilogues-nomask=0"]
    OPENMP_FLAGS = ["-fopenmp"]
    INSTRUCTION_SETS = {
        "baseline": ["-msse4.2"],
        "avx2": ["-mavx2", "-mfma"],
        "avx512": ["-mavx512f", "-mavx512bw", "-mavx512cd", "-mavx512dq", "-mavx512vl", "-mfma",
                   "-mprefer-vector-width=512"],
    }
if PLATFORM.endswith("universal2"):  # x86-64 and arm64 in one module
    INSTRUCTION_SETS = {name: [word for flag in flags for word in ("-Xarch_x86_64", flag)]
                        for name, flags in INSTRUCTION_SETS.items()}
elif not PLATFORM.endswith(("x86_64", "amd64")):
    INSTRUCTION_SETS = {"baseline": []}


def extension(name, source, flags=(), link_flags=(), optional=not REQUIRED):
    return Extension(
        f"pyactx.{name}",
        [source],
        include_dirs=["src", "pyactx/include", numpy.get_include()],
        depends=["setup.py", "pyactx/include/pyactx.h", *map(str, Path("src").glob("*.[hd]*"))],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        extra_compile_args=[*FLAGS, *flags],
        extra_link_args=[*LINK_FLAGS, *link_flags],
        optional=optional,
    )


def extensions():
    for name, flags in INSTRUCTION_SETS.items():
        yield extension(f"_kernels_{name}", f"src/kernels_{name}.c", [*KERNEL_FLAGS, *flags])
    yield extension("_driver", "pyactx/_driver.pyx")
    yield extension("_omp", "pyactx/_omp.pyx", OPENMP_FLAGS, [] if MSVC else OPENMP_FLAGS, optional=OPENMP != "1")


class BuildExtensions(build_ext):
    """Setuptools leaves out what is `optional` and cannot be compiled; the rest is an error that says who wants it."""

    def initialize_options(self):
        super().initialize_options()
        self.cython_c_in_temp = True

    def build_extensions(self):
        super().build_extensions()
        self.extensions = [ext for ext in self.extensions if Path(self.get_ext_fullpath(ext.name)).exists()]

    def build_extension(self, ext):
        try:
            if ext.name == "pyactx._omp" and OPENMP == "0":
                raise CompileError("PYACTX_OPENMP=0")
            with self.compiler_of(ext):
                super().build_extension(ext)
        except (BaseError, CCompilerError) as error:
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)  # from an earlier build
            if ext.optional:
                raise
            wish = "PYACTX_OPENMP=1" if ext.name == "pyactx._omp" else "PYACTX_REQUIRE_EXT=1"
            raise CompileError(
                f"{ext.name} cannot be compiled, and {wish} requires it: {shorten(str(error), 160)}") from error

    @contextmanager
    def compiler_of(self, ext):
        if not CLANG_CL or not ext.name.startswith("pyactx._kernels"):
            yield
            return
        if not self.compiler.initialized:
            self.compiler.initialize()
        msvc, self.compiler.cc = self.compiler.cc, shutil.which("clang-cl") or "clang-cl"
        try:
            yield
        finally:
            self.compiler.cc = msvc


setup(ext_modules=list(extensions()), cmdclass={"build_ext": BuildExtensions})
