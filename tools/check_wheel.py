"""Check wheels before they are published: python tools/check_wheel.py WHEEL...

Says what is in each wheel, and exits 1 if
  - it has more than 3.5 MB, lacks a file of the package, or holds one that does not belong there,
  - an extension module of its platform is missing,
  - a module other than _omp is linked with OpenMP,
  - a kernel calls anything but Python and memcpy, in particular the C library's mathematics,
  - loading a module runs code of its own, or a kernel changes the floating-point environment: start-up code that
    unsafe mathematics links in turns every subnormal number of the process into zero.
The last three are for Linux, and need readelf and objdump.
"""

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 3_500_000
SOURCES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pyactx").rglob("*")
           if path.suffix in (".py", ".pyi", ".pyx", ".pxd", ".h") or path.name == "py.typed"}
METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


def expected_modules(platform):
    names = {"_driver", "_kernels_baseline"}
    if re.search("x86_64|amd64|universal2", platform):
        names |= {"_kernels_avx2", "_kernels_avx512"}
    return names if "macosx" in platform else names | {"_omp"}


def problems(wheel):
    """Yield what is wrong with a wheel."""
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        modules = {name.split("/")[-1].split(".")[0]: name for name in names
                   if re.fullmatch(r"pyactx/[^/]*\.(so|pyd)", name)}
        libraries = {name for name in names if re.match(r"pyactx(\.libs|/\.dylibs)/", name)}
        metadata = {name.partition(".dist-info/")[2] for name in names if ".dist-info/" in name}
        size = wheel.stat().st_size
        print(f"{wheel.name}: {size} bytes, {len(SOURCES)} source files, modules {', '.join(sorted(modules))}; "
              f"with it: {', '.join(sorted(name.split('/')[-1] for name in libraries)) or 'nothing'}")
        if size > MOST_BYTES:
            yield f"has {size} bytes, more than {MOST_BYTES}"
        for name in sorted(SOURCES - names) + sorted(METADATA - metadata):
            yield f"lacks {name}"
        for name in sorted(names - SOURCES - libraries - set(modules.values())):
            if ".dist-info/" not in name:
                yield f"holds {name}"
        for name in sorted(expected_modules(wheel.stem.split("-")[-1]) ^ set(modules)):
            yield f"{'has an unexpected' if name in modules else 'lacks the'} module {name}"
        for name, member in sorted(modules.items()):
            with archive.open(member) as file:
                if file.read(4) == b"\x7fELF":
                    yield from linked(name, archive.extract(member, folder))


def linked(name, path):
    """Yield what is wrong with a module of Linux."""
    libraries = re.findall(r"NEEDED.*\[(.*)\]", output("readelf", "--dynamic", "--wide", path))
    if name != "_omp" and any("omp" in library for library in libraries):
        yield f"links {name} with OpenMP"
    # One pointer is that of the compiler itself.
    start_up = re.search(r" \.init_array +INIT_ARRAY +\w+ +\w+ +(\w+)", output("readelf", "--sections", "--wide", path))
    if start_up and int(start_up[1], 16) > 8:
        yield f"runs code when {name} is loaded"
    if name.startswith("_kernels"):
        calls = re.findall(r" UND +([^@\s]+)", output("readelf", "--dyn-syms", "--wide", path))
        foreign = [call for call in calls if not re.match(r"_|Py|mem(cpy|move|set)$", call)]
        if foreign:
            yield f"calls {', '.join(foreign)} in {name}"
        if re.search(r"\bv?ldmxcsr\b|\bmsr\s+fpcr\b", output("objdump", "--disassemble", "--no-show-raw-insn", path)):
            yield f"changes the floating-point environment in {name}"


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main():
    wheels = [Path(name) for name in sys.argv[1:]]
    found = [f"{wheel.name} {problem}" for wheel in wheels for problem in problems(wheel)]
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found or not wheels else 0


if __name__ == "__main__":
    sys.exit(main())
