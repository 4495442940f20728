"""Tables in Markdown, and their place in a document."""

import re

from measure import median, spread

# Counters of `assay run --stats` that say what kinds of collections there were.
KINDS = ["minor", "full", "slices", "degenerate"]


def table(header, rows):
    """The first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def ratio(value, base):
    # Tiny sizes end before the start beside them does.
    if value <= 0 or base <= 0:
        return "–"
    times = value / base
    return f"{times:.2f}" if times < 10 else f"{times:.0f}"


def duration(nanoseconds):
    for unit, size in [("ms", 1e6), ("µs", 1e3)]:
        if nanoseconds >= size:
            number = nanoseconds / size
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{nanoseconds:.0f} ns"


def pauses(sample):
    """Of the run that others disturbed least: the sum of its pauses differs from run to run, their number does not."""
    return min((stats["pauses"] for stats in sample.stats), key=lambda pauses: pauses["total"])


def percent(share):
    return f"{share * 100:.0f} %" if 0 <= share <= 1 else "–"


def share_in_pauses(sample):
    """The part of the program's own time in which it stood still, both by the wall."""
    own = median(sample.own_wall)
    return median([stats["pauses"]["total"] for stats in sample.stats]) / 1e9 / own if own > 0 else -1


def resident(sample):
    """A process inherits the measuring one's peak: what is not above it is not seen."""
    most, floor = median(sample.resident), median(sample.floor)
    return f"{most:.0f}" if most > floor * 1.02 else f"≤ {most:.0f}"


def throughput(subjects, samples):
    """A row for each subject: times as multiples of those of V8, of Wasmtime's `copying` and of Assay's `null`."""
    bases = ["V8", "Wasmtime copying", "null"]
    base = [median(samples[label].own) if label in samples else 0 for label in bases]
    wall = median(samples["V8"].own_wall) if "V8" in samples else 0
    whole = median(samples["V8"].cpu) if "V8" in samples else 0
    header = [
        "", "own time, ms", "±", "÷ V8", "÷ Wasmtime `copying`", "÷ our `null`", "by the wall ÷ V8", "whole process ÷ V8",
        "MiB resident",
    ]
    rows = []
    for subject in subjects:
        sample = samples[subject.label]
        own = median(sample.own)
        rows.append([
            f"`{subject.name}`" if subject.engine == "Assay" else subject.label,
            f"{own * 1e3:.0f}",
            percent(spread(sample.own)),
            *[ratio(own, other) for other in base],
            ratio(median(sample.own_wall), wall),
            ratio(median(sample.cpu), whole),
            resident(sample),
        ])
    return table(header, rows)


def collections(subjects, samples):
    """A row for each collector of Assay's: how often, and how long the program stood still."""
    header = ["", "time in pauses", *KINDS, "pauses", "p50", "p90", "p99", "longest"]
    rows = []
    for subject in subjects:
        if subject.engine != "Assay":
            continue
        sample = samples[subject.label]
        paused, counters = pauses(sample), sample.stats[0]["counters"]
        rows.append([
            f"`{subject.name}`",
            percent(share_in_pauses(sample)),
            *[str(counters[kind]) for kind in KINDS],
            str(paused["count"]),
            *[duration(paused[key]) if paused["count"] else "–" for key in ["p50", "p90", "p99", "longest"]],
        ])
    return table(header, rows)


def headline(subjects, programs, samples):
    """One row a subject: own time as a multiple of V8's, and the pause that 99 % do not exceed."""
    rows = []
    for subject in subjects:
        row = [f"`{subject.name}`" if subject.engine == "Assay" else subject.label]
        for program in programs:
            sample = samples[program.name][subject.label]
            reference = samples[program.name].get("V8")
            row.append(ratio(median(sample.own), median(reference.own) if reference else 0))
            paused = pauses(sample) if sample.stats else None
            row.append("" if paused is None else duration(paused["p99"]) if paused["count"] else "–")
        rows.append(row)
    header = [""]
    for program in programs:
        header += [f"{program.name} ÷ V8", "p99 pause"]
    return table(header, rows)


def replace(path, name, text):
    """Puts `text` between the document's marks of `name`."""
    document = path.read_text()
    marks = re.compile(f"(<!-- measured: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    document, count = marks.subn(lambda found: f"{found[1]}{text}{found[2]}", document)
    if count != 1:
        raise ValueError(f"{path}: {count} places marked {name!r}")
    path.write_text(document)
