"""Measures the collectors; see ci/measure-collectors.sh."""

import argparse
import datetime
import json
import os
import platform
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import report
import subjects
from measure import Failed, Machine, measure


def processor():
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} processors"


def conditions(versions, options, rounds, others):
    """What a reader needs to judge the numbers."""
    commit = subjects.first_line("git", "describe", "--always", "--dirty", "--exclude", "*")
    command = " ".join(["ci/measure-collectors.sh", f"--repeat {options.repeat}", f"--minutes {options.minutes}", *["--quick"] * options.quick])
    sizes = ", ".join(f"`{p.name} {p.quick if options.quick else p.argument}`" for p in subjects.ALL_PROGRAMS)
    lines = [
        f"`{command}` on {datetime.date.today()}, commit {commit}; {processor()}, {platform.system()} {platform.release()}",
        *[f"{engine}: {version}" for engine, version in versions.items()],
        f"programs: {sizes}; {rounds} rounds, each in an order of its own",
        f"limits: {subjects.LIMIT} MiB of objects, except `null` (none); Wasmtime {subjects.PEER_LIMIT} MiB of whole heap, except"
        " `null`, and `drc` in `rings` (none)",
        f"other processes had {others * 100:.0f} % of the processors' time during the run",
    ]
    return "".join(f"- {line}\n" for line in lines)


def write(out, readme, found, samples, facts):
    """The document, the plot, the headline."""
    # Not before all is measured: processes inherit the peak of this one's memory.
    import plot

    programs = subjects.ALL_PROGRAMS
    document = out / "collectors.md"
    report.replace(document, "conditions", facts)
    for program in programs:
        report.replace(document, f"throughput of {program.name}", report.throughput(found, samples[program.name]))
        report.replace(document, f"pauses of {program.name}", report.collections(found, samples[program.name]))
    report.replace(readme, "headline", report.headline(found, programs, samples))
    plot.draw(out / "collectors.svg", found, programs, samples)


def main():
    parser = argparse.ArgumentParser(prog="ci/measure-collectors.sh", description=__doc__)
    parser.add_argument("--repeat", type=int, default=9, help="rounds (default 9)")
    parser.add_argument("--minutes", type=int, default=60, help="after which no round begins (default 60)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it all works")
    parser.add_argument("--out", type=Path, help="write copies of the documents there, and leave these alone")
    options = parser.parse_args()
    out, readme = Path("engine/runtime/benches"), Path("README.md")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        shutil.copy("engine/runtime/benches/collectors.md", options.out)
        shutil.copy(readme, options.out)
        out, readme = options.out, options.out / readme.name
    found, versions = subjects.present()
    machine = Machine()
    samples = measure(found, subjects.ALL_PROGRAMS, options.repeat, options.minutes, options.quick)
    others = machine.others()
    rounds = len(samples[subjects.ALL_PROGRAMS[0].name][found[0].label].wall)
    raw = {name: {label: asdict(sample) for label, sample in row.items()} for name, row in samples.items()}
    (subjects.TOOLS / "collectors.json").write_text(json.dumps(raw, indent=1))
    write(out, readme, found, samples, conditions(versions, options, rounds, others))


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(str(failed))
