"""The plot: times as multiples of V8's, and how long the pauses of each collector are."""

import matplotlib
import matplotlib.pyplot as plt

from measure import median
from report import pauses

COLOURS = {"Assay": "#2a6f97", "Wasmtime": "#c77d0a", "V8": "#7a7a7a"}
matplotlib.use("svg")
# Names as text, and the same bytes for the same numbers.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "assay", "font.size": 9, "font.family": "sans-serif"}


def times(axes, subjects, samples, reference):
    """Bars, from the slowest collector at the bottom of its engine's group."""
    labels = [subject.label for subject in subjects]
    base = median(samples[reference].own)
    # Tiny sizes end before the start beside them does.
    lengths = [max(median(samples[label].own) / base, 1e-3) if base > 0 else 1 for label in labels]
    axes.barh(labels, lengths, color=[COLOURS[subject.engine] for subject in subjects])
    for at, length in enumerate(lengths):
        axes.text(length * 1.05, at, f"{length:.2g}", va="center", fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    low, high = min(lengths) / 1.5, max(lengths) * 2.5
    ticks = [tick for tick in (2.0**power for power in range(-10, 11)) if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(low, high)
    axes.axvline(1, color="black", linewidth=0.5)
    axes.set_xlabel(f"own processor time ÷ {reference} (log; shorter is faster)")


def histograms(axes, subjects, samples):
    """One line a collector: the share of its pauses in each power of two, and the longest as a stroke."""
    collectors = [subject for subject in subjects if subject.engine == "Assay"]
    for line, subject in enumerate(reversed(collectors)):
        axes.axhline(line, color="#dddddd", linewidth=0.5)
        paused = pauses(samples[subject.label])
        if not paused["count"]:
            axes.text(1.2e3, line + 0.1, "no pause", fontsize=8, color="#7a7a7a")
            continue
        for bucket in paused["buckets"]:
            height = 0.85 * bucket["count"] / paused["count"]
            axes.bar(
                bucket["from"], height, width=bucket["below"] - bucket["from"], bottom=line, align="edge",
                color=COLOURS["Assay"], linewidth=0,
            )
        axes.plot([paused["longest"]] * 2, [line, line + 0.5], color="#b00020", linewidth=1.5)
    axes.set_yticks(range(len(collectors)), [subject.label for subject in reversed(collectors)])
    axes.set_ylim(-0.1, len(collectors))
    axes.set_xscale("log")
    axes.set_xlim(1e3, 1e8)
    axes.set_xticks([1e3, 1e4, 1e5, 1e6, 1e7, 1e8], ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms"])
    axes.set_xlabel("pauses by length (share of each; red: the longest)")


def draw(path, subjects, programs, samples):
    """Writes the plot to `path`."""
    reference = "V8" if any(subject.label == "V8" for subject in subjects) else "null"
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(2, len(programs), figsize=(4.6 * len(programs), 6.4), layout="constrained")
        for column, program in enumerate(programs):
            grid[0][column].set_title(program.name)
            times(grid[0][column], subjects, samples[program.name], reference)
            histograms(grid[1][column], subjects, samples[program.name])
        figure.savefig(path, metadata={"Date": None})
