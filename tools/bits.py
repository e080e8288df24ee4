"""Show that results have the same bits on every instruction set, by hashes of what kernels make of a sweep of inputs.

    python tools/bits.py                                     # one float32 bit pattern in 4 001, and as many doubles
    python tools/bits.py --step 400009                       # quickly
    python tools/bits.py --step 1 "tanh forward float32"     # every bit pattern, for what matches

The kernels are compiled as setup.py compiles them and called as the driver calls them, for each instruction set that
this processor has, and for NEON under an emulator where Debian's gcc-aarch64-linux-gnu and qemu-user are installed.
Exits 1 where instruction sets differ, and says in what.  The baseline of x86-64 has no fused multiply-add: there only
the bounds of the errors hold, and what differs is counted.

Needs a C compiler, setuptools and numpy.
"""

import argparse
import os
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from platform import machine
from unittest.mock import patch

ROOT = Path(__file__).parent.parent
EMULATED, EMULATOR, CROSS_COMPILER = "linux-aarch64", "qemu-aarch64", "aarch64-linux-gnu-gcc"
NOT_ON_THIS_PROCESSOR = 3  # what bits.c exits with
KERNELS = """
#include "cpu.h"
#include "kernels.h"
const pyactx_kernel *const *const bits_kernels = kernels;
const size_t bits_kernel_count = sizeof kernels / sizeof kernels[0];
const int bits_level = CPU_{};
"""


def extensions(platform):
    """Return the extension modules of setup.py by name, for a platform that need not be this one."""
    with patch.dict(os.environ, _PYTHON_HOST_PLATFORM=platform), patch("setuptools.setup") as setup:
        runpy.run_path("setup.py")
    return {extension.name: extension for extension in setup.call_args.kwargs["ext_modules"]}


def compiled(module, platform, compiler, folder):
    """Return the program made of the kernels of a module and of bits.c, each with the flags of setup.py."""
    program, modules = folder / f"{module}-{platform}", extensions(platform)
    for part, extension, source in (("kernels", modules[f"pyactx._kernels_{module}"], ["-x", "c", "-"]),
                                    ("sweep", modules["pyactx._driver"], ["tools/bits.c"])):
        include = [f"-I{path}" for path in extension.include_dirs]
        subprocess.run([*compiler, *extension.extra_compile_args, *include, "-c", *source, "-o", f"{program}.{part}"],
                       input=KERNELS.format(module.upper()), text=True, check=True)
    subprocess.run([*compiler, f"{program}.kernels", f"{program}.sweep", "-lm", "-o", program], check=True)
    return program


def programs(folder, wanted):
    """Yield (instruction set, command) for those that are wanted and can be run here, best first."""
    platform, compiler = sysconfig.get_platform(), shlex.split(os.environ.get("CC", "cc"))
    modules = [name.removeprefix("pyactx._kernels_") for name in extensions(platform) if "._kernels_" in name]
    on_arm = machine() in ("aarch64", "arm64")
    for module in reversed(modules):
        name = "neon" if on_arm else module
        if not wanted or name in wanted:
            program = compiled(module, platform, compiler, folder)
            if subprocess.run([program, "1", "nothing"], check=False).returncode == NOT_ON_THIS_PROCESSOR:
                print(f"{name}: not on this processor", file=sys.stderr)
            else:
                yield name, [program]
    if (not wanted or "neon" in wanted) and not on_arm:
        missing = [name for name in (EMULATOR, CROSS_COMPILER) if not shutil.which(name)]
        if missing:
            print(f"neon: needs {' and '.join(missing)}", file=sys.stderr)
        else:
            yield "neon", [EMULATOR, compiled("baseline", EMULATED, [CROSS_COMPILER, "-static"], folder)]


def hashes(command, step, patterns):
    """Return {operation of a kernel for a dtype: hash}."""
    run = subprocess.run([*command, str(step), *patterns], stdout=subprocess.PIPE, text=True, check=True)
    return dict(line.rsplit(" ", 1) for line in run.stdout.splitlines())


def difference(title, step, *commands):
    """Return for how many elements the results of an operation differ, and for which first."""
    one, other = (subprocess.Popen([*command, str(step), "-v", title], stdout=subprocess.PIPE, text=True)
                  for command in commands)
    count, first = -1, None  # the hash at the end is one more
    with one, other:
        for lines in zip(one.stdout, other.stdout):
            if lines[0] != lines[1]:
                first = first or lines
                count += 1
    return f"{count} elements, first in\n    {first[0]}    {first[1]}"


def show(found, best):
    """Print for each kernel and dtype a hash of those of all operations, and which instruction sets have other bits."""
    def line(kernel, dtype, titles):
        cells = [sha256("".join(found[best][title] for title in titles).encode()).hexdigest()[:16]]
        for name in others:
            different = sum(found[name][title] != found[best][title] for title in titles)
            cells.append(f"{different} differ" if different else "same")
        print(f"{kernel:20} {dtype:7} {len(titles):10}  {'  '.join(f'{cell:>10}' for cell in cells)}")

    def kernel_and_dtype(title):
        return title.split()[0], title.split()[-1]

    others = [name for name in found if name != best]
    print(f"{'kernel':20} {'dtype':7} operations  {best:>16}  {'  '.join(f'{name:>10}' for name in others)}")
    for (kernel, dtype), titles in groupby(sorted(found[best], key=kernel_and_dtype), kernel_and_dtype):
        line(kernel, dtype, list(titles))
    line("all", "", list(found[best]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help='such as "gelu* forward float32"')
    parser.add_argument("--step", type=int, default=4001, help="take one float32 bit pattern in so many")
    parser.add_argument("--sets", help="instruction sets, such as avx512,avx2; by default all")
    options = parser.parse_args()
    os.chdir(ROOT)
    found, commands = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, command in programs(Path(folder), options.sets and options.sets.split(",")):
            start = time.monotonic()
            found[name], commands[name] = hashes(command, options.step, options.patterns), command
            print(f"{name}: {len(found[name])} operations in {time.monotonic() - start:.0f} s", file=sys.stderr)
        if not found:
            print("none of these can be run here", file=sys.stderr)
            return 0
        if not any(found.values()):
            parser.error(f"no operation matches {' or '.join(options.patterns)}")
        fused = [name for name in found if name != "baseline"] or ["baseline"]
        best = fused[0]
        show(found, best)
        wrong = [(title, name) for title in found[best] for name in fused if found[name][title] != found[best][title]]
        for title, name in wrong:
            where = difference(title, options.step, commands[best], commands[name])
            print(f"{title}: {best} and {name} differ in {where}", end="")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
