"""The extension modules: what pyproject.toml cannot say.

PYACTX_OPENMP=auto|0|1    whether to build the OpenMP part; auto tries a small program
PYACTX_REQUIRE_EXT=1      a part that cannot be compiled is an error and not left out (wheels)
"""

import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

REQUIRED = os.environ.get("PYACTX_REQUIRE_EXT", "0") not in ("", "0")
X86_64 = platform.machine().lower() in ("x86_64", "amd64")
MACOS_UNIVERSAL = sys.platform == "darwin" and "universal2" in os.environ.get("ARCHFLAGS", "")

# The compiler flags of each instruction set, for GCC and Clang, and for MSVC.
INSTRUCTION_SETS = {"baseline": (["-march=x86-64-v2"] if X86_64 else [], [])}
if X86_64 and not MACOS_UNIVERSAL:
    INSTRUCTION_SETS["avx2"] = (["-march=x86-64-v3"], ["/arch:AVX2"])
    INSTRUCTION_SETS["avx512"] = (["-march=x86-64-v4", "-mprefer-vector-width=512"], ["/arch:AVX512"])

# Why each flag is there, and which may never be: docs/design.md.
KERNEL_FLAGS = ["-std=c11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]
COMMON_FLAGS = ["-fvisibility=hidden"]
HEADERS = [*Path("src").glob("*.h"), *Path("src").glob("*.def"), Path("pyactx/include/pyactx.h")]


def extension(name, source, flags=(), msvc_flags=(), **options):
    return Extension(
        f"pyactx.{name}",
        [source],
        include_dirs=["src", "pyactx/include", *options.pop("include_dirs", [])],
        depends=[str(path) for path in HEADERS],
        extra_compile_args={"unix": [*COMMON_FLAGS, *flags], "msvc": ["/std:c11", "/O2", *msvc_flags]},
        **options,
    )


def extensions():
    numpy_options = {
        "include_dirs": [numpy.get_include()],
        "define_macros": [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
    }
    for name, (flags, msvc_flags) in INSTRUCTION_SETS.items():
        yield extension(f"_kernels_{name}", f"src/kernels_{name}.c", [*KERNEL_FLAGS, *flags], msvc_flags)
    yield extension("_driver", "pyactx/_driver.pyx", ["-O2"], **numpy_options)
    if os.environ.get("PYACTX_OPENMP", "auto") != "0" and sys.platform != "emscripten":
        yield extension("_omp", "pyactx/_omp.pyx", ["-O2"])


class BuildExtensions(build_ext):
    """Flags by compiler, OpenMP where it works, and the pure-Python package where nothing compiles."""

    def finalize_options(self):
        modules = self.distribution.ext_modules
        modules[:] = cythonize(modules, language_level=3, build_dir="build/cython", quiet=True)
        super().finalize_options()

    def run(self):
        try:
            super().run()
        except Exception as error:
            self.leave_out(error)
            self.extensions = []

    def build_extensions(self):
        kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        for ext in self.extensions:
            ext.extra_compile_args = ext.extra_compile_args[kind]
        built = []
        for ext in self.extensions:
            try:
                if ext.name == "pyactx._omp":
                    self.add_openmp(ext, kind)
                self.build_extension(ext)
                built.append(ext)
            except Exception as error:
                self.leave_out(error, ext.name)
        self.extensions = built

    def add_openmp(self, ext, kind):
        flag = "/openmp" if kind == "msvc" else "-fopenmp"
        link = [] if kind == "msvc" else [flag]
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "openmp.c")
            source.write_text("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n")
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_preargs=[flag])
                self.compiler.link_executable(objects, str(Path(folder, "openmp")), extra_postargs=link)
            except Exception as error:
                raise RuntimeError(f"OpenMP does not work with this compiler: {error}") from error
        ext.extra_compile_args = [*ext.extra_compile_args, flag]
        ext.extra_link_args = link

    def leave_out(self, error, name="the compiled part"):
        optional = name == "pyactx._omp" and os.environ.get("PYACTX_OPENMP", "auto") == "auto"
        if REQUIRED and not optional:
            raise SystemExit(f"pyactx: {name} cannot be built and PYACTX_REQUIRE_EXT is set: {error}") from error
        print(f"pyactx: leaving out {name}: {error}", file=sys.stderr)


setup(ext_modules=list(extensions()), cmdclass={"build_ext": BuildExtensions})
