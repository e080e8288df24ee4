"""Check what is in a wheel: python tools/check_wheel.py WHEEL...

Prints the compiled modules and the size of each wheel, and exits 1 where something is missing, does not belong, or is
linked with what it must not be linked with.
"""

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

MOST_BYTES = 2_000_000
NEEDED = ["py.typed", "__init__.pyi", "__init__.pxd", "_driver.pyx", "_omp.pyx", "include/pyactx.h"]
FORBIDDEN = re.compile(r"\.(c|o|py[co])$|^(tests|src|tools|examples|benchmarks)/")


def problems(wheel):
    """Yield what is wrong with a wheel."""
    if wheel.stat().st_size > MOST_BYTES:
        yield f"has {wheel.stat().st_size} bytes, more than {MOST_BYTES}"
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        names = archive.namelist()
        for name in NEEDED:
            if f"pyactx/{name}" not in names:
                yield f"lacks pyactx/{name}"
        for name in filter(FORBIDDEN.search, names):
            yield f"holds {name}"
        modules = [name for name in names if name.startswith("pyactx/") and name.endswith((".so", ".pyd"))]
        print(f"{wheel.name}: {wheel.stat().st_size} bytes, {', '.join(Path(m).name.split('.')[0] for m in modules)}")
        if not any("_driver" in module for module in modules):
            yield "has no compiled driver"
        for module in modules:
            if module.endswith(".so") and sys.platform == "linux":
                yield from linked(Path(archive.extract(module, folder)))


def linked(module):
    """Yield what a shared object must not have: OpenMP outside _omp, a start-up that flushes subnormal numbers."""
    needed = re.findall(r"NEEDED.*\[(.*?)\]", readelf("--dynamic", module))
    if any("omp" in library for library in needed) and not module.name.startswith("_omp."):
        yield f"links {module.name} with OpenMP"
    if any("libm." in library for library in needed) and module.name.startswith("_kernels"):
        yield f"links {module.name} with the C library's mathematics"
    if "set_fast_math" in readelf("--symbols", module):
        yield f"has the start-up code of -ffast-math in {module.name}"


def readelf(what, module):
    return subprocess.run(["readelf", what, "--wide", module], capture_output=True, text=True, check=True).stdout


def main():
    found = [(wheel, problem) for wheel in map(Path, sys.argv[1:]) for problem in problems(wheel)]
    for wheel, problem in found:
        print(f"{wheel.name}: {problem}", file=sys.stderr)
    return 1 if found or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
