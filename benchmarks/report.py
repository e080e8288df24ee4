"""What a comparison has shown: the figures as they are written to JSON, the tables, and the plot."""

import math
from statistics import geometric_mean

MODES = [("value", "fresh"), ("value", "out"), ("value", "in place"), ("backward", "fresh"), ("backward", "out"),
         ("backward_from_output", "fresh"), ("backward_from_output", "out"),
         ("value_and_derivative", "fresh"), ("value_and_derivative", "out")]
ARRAYS = {"value": 2, "backward": 3, "backward_from_output": 3, "value_and_derivative": 3}  # read and written
BEYOND_CACHES = 1 << 24  # elements from which the memory bounds the speed
FLAT = (65_536, 1_000_000, 32_000_000)  # sizes whose times per element are compared
STEP = 1.25  # of the time per element: more than the noise beyond what the caches explain
SLOWER = 0.95  # one thread / two threads: more than the noise below 1
EXP = "np.exp"
EXP_GOAL = 0.5  # of the time of np.exp, for few elements

# ---- Figures ---------------------------------------------------------------------------------------------------------


def figures(setup, comparisons, rooflines, import_cost):
    """Return everything that was measured, as it is written to JSON."""
    memory = [roofline.figures() for roofline in rooflines]
    copy = {roofline["threads"]: roofline["copy"] for roofline in memory}
    cells = [cell_figures(comparison, copy) for comparison in comparisons]
    ratios = [cell["ratio"] for cell in cells]
    return {
        "setup": setup,
        "bytes_per_second": memory,
        "import": import_cost,
        "cells": cells,
        "speedup": speedups(cells),
        "summary": {"geometric_mean": geometric_mean(ratios), "cells": len(ratios),
                    "below_1": sum(ratio < 1 for ratio in ratios)},
    }


def cell_figures(comparison, copy):
    """Return the facts of a comparison, the seconds of each library, and what follows from them."""
    facts, seconds = comparison.facts, comparison.seconds
    best = comparison.best_peer()
    cell = {**facts, "elements": comparison.elements, "seconds": seconds, "best_peer": best,
            "ratio": seconds[best] / seconds["pyactx"]}
    if comparison.elements >= BEYOND_CACHES:
        moved = comparison.elements * bytes_of_element(facts)
        cell["of_copy_bandwidth"] = moved / seconds["pyactx"] / copy[facts["threads"]]
    return cell


def bytes_of_element(facts):
    """Return how many bytes are read and written for an element."""
    return ARRAYS[facts["operation"]] * int(facts["dtype"].removeprefix("float")) // 8


def key(cell, *without):
    """Return what identifies a cell, leaving out some of it."""
    return tuple((name, str(cell[name])) for name in ("function", "operation", "result", "dtype", "shape", "threads")
                 if name not in without)


def speedups(cells):
    """Return the time of pyactx on the fewest threads / that on the most, for each cell of the most."""
    fewest, most = (choose(cell["threads"] for cell in cells) for choose in (min, max))
    if fewest == most:
        return []
    alone = {key(cell, "threads"): cell for cell in cells if cell["threads"] == fewest}
    pairs = [(alone.get(key(cell, "threads")), cell) for cell in cells if cell["threads"] == most]
    return [{**{name: cell[name] for name in ("function", "operation", "result", "dtype", "shape", "axis", "elements")},
             "threads": [fewest, most], "speedup": one["seconds"]["pyactx"] / cell["seconds"]["pyactx"]}
            for one, cell in pairs if one]


# ---- Tables ----------------------------------------------------------------------------------------------------------


def show_setup(setup):
    print(", ".join(f"{name} {version}" for name, version in setup["versions"].items()))
    load = "" if setup["load"] is None else f" with a load of {setup['load']} before the start"
    print(f"{setup['processor']}, {setup['cores']} cores{load}; pyactx: {setup['implementation']}, "
          f"{setup['instruction_set']}", flush=True)


def show(figures, every_cell):
    cells = figures["cells"]
    peers = [name for name in figures["setup"]["versions"] if name not in ("pyactx", "Python")]
    if every_cell:
        show_cells(cells, [*peers, EXP])
    show_summary(cells)
    show_means(cells)
    show_peers(cells, peers)
    show_memory(figures["bytes_per_second"])
    show_time_per_element(cells, figures["speedup"])
    show_flat(cells, figures["bytes_per_second"])
    show_slower(figures["speedup"])
    show_small(cells)
    show_import(figures["import"])
    show_below(cells)
    summary = figures["summary"]
    print(f"\nall cells: geometric mean {summary['geometric_mean']:.2f}, "
          f"{summary['below_1']} of {summary['cells']} below 1")


def groups(cells, *names):
    """Return the cells by those facts, in their order."""
    found = {}
    for cell in cells:
        found.setdefault(tuple(cell[name] for name in names), []).append(cell)
    return found


def marked(ratio):
    return f"{ratio:.2f}{'<' if ratio < 1 else ' '}"


def shape_text(cell):
    if cell["axis"] is None:
        return f"{cell['elements']:,}"
    return f"({', '.join(map(str, cell['shape']))}) axis {cell['axis']}"


def setting_text(cell):
    return f"{cell['dtype']}, {thread_text(cell['threads'])}"


def thread_text(threads):
    return f"{threads} thread{'s' if threads > 1 else ''}"


def mode_text(cell):
    return f"{cell['operation']}, {cell['result']}"


def show_cells(cells, peers):
    """Print the ratio of every peer in every cell; those that were soon given up are rough."""
    print(f"\n{'every cell: peer / pyactx':86}{'ns/element':>10} " + "".join(f"{peer:>13}" for peer in peers))
    for cell in cells:
        own = cell["seconds"]["pyactx"]
        ratios = [marked(cell["seconds"][peer] / own) if peer in cell["seconds"] else "- " for peer in peers]
        print(f"{cell['function']:17}{mode_text(cell):28}{shape_text(cell):>22} {setting_text(cell):18}"
              f"{1e9 * own / cell['elements']:10.3f} " + "".join(f"{ratio:>13}" for ratio in ratios))


def show_summary(cells):
    print(f"\n{'best peer / pyactx':45}{'mean':>7}{'below 1':>13}   worst cell")
    for (function, operation, result), group in groups(cells, "function", "operation", "result").items():
        worst = min(group, key=lambda cell: cell["ratio"])
        ratios = [cell["ratio"] for cell in group]
        print(f"{function:17}{operation + ', ' + result:28}{marked(geometric_mean(ratios)):>8}"
              f"{sum(ratio < 1 for ratio in ratios):>5} of {len(ratios):3}   {marked(worst['ratio'])} "
              f"{shape_text(worst)}, {setting_text(worst)}: {worst['best_peer']}")


def show_means(cells):
    """Print the means over all functions, by mode and setting, and by size and setting."""
    settings = list(groups(cells, "dtype", "threads"))
    titles = "".join(f"{dtype + ', ' + thread_text(threads):>20}" for dtype, threads in settings)
    rows = [(("operation", "result"), cells, mode_text),
            (("shape", "axis"), [{**cell, "shape": tuple(cell["shape"])} for cell in cells], shape_text)]
    for names, chosen, text in rows:
        print(f"\n{'geometric mean, and cells below 1':34}{titles}")
        for group in groups(chosen, *names).values():
            columns = groups(group, "dtype", "threads")
            print(f"{text(group[0]):34}" + "".join(f"{mean_text(columns.get(setting)):>20}" for setting in settings))


def mean_text(cells):
    if not cells:
        return "-"
    ratios = [cell["ratio"] for cell in cells]
    return f"{marked(geometric_mean(ratios))} {sum(ratio < 1 for ratio in ratios):>3} of {len(ratios):3}"


def show_peers(cells, peers):
    print(f"\n{'peer / pyactx':20}{'mean':>7}{'cells':>8}{'best peer in':>14}")
    for peer in peers:
        ratios = [cell["seconds"][peer] / cell["seconds"]["pyactx"] for cell in cells if peer in cell["seconds"]]
        if ratios:
            print(f"{peer:20}{marked(geometric_mean(ratios)):>8}{len(ratios):7}"
                  f"{sum(cell['best_peer'] == peer for cell in cells):14}")


def show_memory(memory):
    print()
    for roofline in memory:
        bandwidths = (f"{name} {roofline[name] / 1e9:.1f} GB/s" for name in ("copy", "scale in place"))
        print(f"memory, {thread_text(roofline['threads'])}: {', '.join(bandwidths)}")


def show_time_per_element(cells, speedup):
    """Print how the time per element grows with the size, what more threads gain, and how near the memory is."""
    most = max(cell["threads"] for cell in cells)
    sizes = sorted({cell["elements"] for cell in speedup if cell["axis"] is None and cell["elements"] > 1_000})
    speedup = {key(cell, "threads"): cell["speedup"] for cell in speedup}
    flat = [cell for cell in cells if cell["axis"] is None and cell["threads"] == most and cell["elements"] in FLAT]
    if not flat:
        return
    times = "".join(f"{size:>12,}" for size in FLAT)
    gains = "".join(f"{size:>12,}" for size in sizes)
    print(f"\n{f'pyactx on {thread_text(most)}':54}{'ns/element at' + times:>49}{'of copy':>9}"
          + (f"   gain by threads at{gains}" if sizes else ""))
    for group in groups([cell for cell in cells if cell["axis"] is None and cell["threads"] == most],
                        "function", "operation", "result", "dtype").values():
        seconds = {cell["elements"]: cell["seconds"]["pyactx"] for cell in group}
        gained = {cell["elements"]: speedup.get(key(cell, "threads")) for cell in group}
        bandwidth = [cell["of_copy_bandwidth"] for cell in group if "of_copy_bandwidth" in cell]
        first = group[0]
        print(f"{first['function']:17}{mode_text(first):28}{first['dtype']:22}"
              + "".join(f"{1e9 * seconds[n] / n:12.3f}" if n in seconds else f"{'-':>12}" for n in FLAT)
              + (f"{max(bandwidth):9.0%}" if bandwidth else f"{'-':>9}") + (" " * 21 if sizes else "")
              + "".join(f"{gain_text(gained.get(n)):>12}" for n in sizes))


def gain_text(gain):
    return "-" if gain is None else f"{gain:.2f}{'<' if gain < SLOWER else ' '}"


def show_flat(cells, memory):
    """Print how the time per element grows beyond that of the first size, or that of copying where it is longer."""
    copy = {roofline["threads"]: roofline["copy"] for roofline in memory}
    growth = {size: [] for size in FLAT[1:]}
    for group in groups([cell for cell in cells if cell["axis"] is None],
                        "function", "operation", "result", "dtype", "threads").values():
        times = {cell["elements"]: cell["seconds"]["pyactx"] / cell["elements"] for cell in group}
        first = group[0]
        copying = bytes_of_element(first) / copy[first["threads"]]
        for size in growth:
            if FLAT[0] in times and size in times:
                growth[size].append((times[size] / max(times[FLAT[0]], copying), first))
    if any(growth.values()):
        print(f"\ntime per element / the longer of that at {FLAT[0]:,} elements and a copy's")
    for size, found in growth.items():
        if found:
            ratios = [ratio for ratio, _ in found]
            ratio, worst = max(found, key=lambda pair: pair[0])
            print(f"{size:>10,} elements: mean {geometric_mean(ratios):.2f}, worst {ratio:.2f} ({worst['function']}, "
                  f"{mode_text(worst)}, {setting_text(worst)}), more than {STEP} in {sum(r > STEP for r in ratios)} of "
                  f"{len(ratios)}")


def show_slower(speedup):
    if not speedup:
        return
    fewest, most = speedup[0]["threads"]
    slower = sorted((cell for cell in speedup if cell["speedup"] < SLOWER), key=lambda cell: cell["speedup"])
    print(f"\n{thread_text(most)} take more than {1 / SLOWER - 1:.0%} longer than {fewest}: "
          f"{len(slower)} of {len(speedup)} cells")
    for cell in slower:
        print(f"{cell['speedup']:.2f}< {cell['function']:17}{mode_text(cell):28}{shape_text(cell)}, {cell['dtype']}")


def show_small(cells):
    """Print the time of pyactx / that of np.exp where elements are few."""
    small = [{**cell, "part": cell["seconds"]["pyactx"] / cell["seconds"][EXP]}
             for cell in cells if EXP in cell["seconds"]]
    if small:
        print("\npyactx / np.exp")
    for group in groups(small, "result", "elements").values():
        worst = max(group, key=lambda cell: cell["part"])
        print(f"{group[0]['elements']:3} elements, {group[0]['result']:6}"
              f"mean {geometric_mean(cell['part'] for cell in group):.2f}, worst {worst['part']:.2f} "
              f"({worst['function']}, {setting_text(worst)}), "
              f"more than {EXP_GOAL} in {sum(cell['part'] > EXP_GOAL for cell in group)} of {len(group)}")


def show_import(cost):
    threads = "unknown" if cost["threads"] is None else f"{cost['threads']:.0f}"
    print(f"\nimport pyactx adds to import numpy: {cost['milliseconds']:.1f} ms, threads started: {threads}")


def show_below(cells):
    below = sorted((cell for cell in cells if cell["ratio"] < 1), key=lambda cell: cell["ratio"])
    if below:
        print("\ncells below 1")
    for cell in below:
        bandwidth = f", {cell['of_copy_bandwidth']:.0%} of copy" if "of_copy_bandwidth" in cell else ""
        print(f"{marked(cell['ratio'])} {cell['function']:17}{mode_text(cell):28}{shape_text(cell):>27} "
              f"{setting_text(cell):18}  {cell['best_peer']}{bandwidth}")


# ---- Plot ------------------------------------------------------------------------------------------------------------


def draw(figures, path):
    """Draw the ratio of every cell: blue where pyactx is faster, red where it is not, a dot where it is below 1."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import TwoSlopeNorm

    of_sizes = [cell for cell in figures["cells"] if cell["axis"] is None]
    of_rows = [cell for cell in figures["cells"] if cell["axis"] is not None]
    # A row of panels for each setting and one for the functions of rows, whose sizes are shapes.
    rows = [(setting_text(group[0]), group, "function")
            for group in groups(of_sizes, "dtype", "threads").values()]
    if of_rows:
        rows.append(("by rows", [{**cell, "what": f"{cell['function']}, {setting_text(cell)}"} for cell in of_rows],
                     "what"))
    modes = [mode for mode in MODES if any((cell["operation"], cell["result"]) == mode for cell in figures["cells"])]
    lines = [list(dict.fromkeys(cell[name] for cell in group)) for _, group, name in rows]
    figure, axes = plt.subplots(
        len(rows), len(modes), squeeze=False, layout="constrained",
        figsize=(3 + 1.6 * len(modes), 1.5 + sum(0.17 * len(line) + 1 for line in lines)),
        height_ratios=[len(line) + 4 for line in lines])
    norm = TwoSlopeNorm(0, -2, 2)
    for panel, mode in zip(axes[0], modes):
        panel.set_title("\n".join(mode), fontsize=7)
    for row, (title, group, name), line in zip(axes, rows, lines):
        columns = list(dict.fromkeys(shape_text(cell) for cell in sorted(group, key=lambda cell: cell["elements"])))
        for panel, mode in zip(row, modes):
            image = [[math.nan] * len(columns) for _ in line]
            for cell in group:
                if (cell["operation"], cell["result"]) == mode:
                    i, j = line.index(cell[name]), columns.index(shape_text(cell))
                    image[i][j] = math.log2(cell["ratio"])
                    if cell["ratio"] < 1:
                        panel.plot(j, i, "k.", markersize=2)
            colours = panel.imshow(image, cmap="RdBu", norm=norm, aspect="auto", interpolation="none")
            panel.set_xticks(range(len(columns)), columns, rotation=90, fontsize=6)
            panel.set_yticks(range(len(line)), line if panel is row[0] else [""] * len(line), fontsize=6)
            panel.tick_params(length=0)
        row[0].set_ylabel(title, fontsize=8)
    bar = figure.colorbar(colours, ax=axes, location="bottom", shrink=0.3, aspect=40, extend="both")
    bar.set_ticks([-2, -1, 0, 1, 2], labels=["1/4", "1/2", "1", "2", "4"], fontsize=7)
    bar.set_label("time of the best peer / time of pyactx; a dot: below 1", fontsize=7)
    figure.savefig(path, dpi=150)
    plt.close(figure)
