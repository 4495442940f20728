"""Runs of the subjects, interleaved so that a machine's noise falls on all of them."""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field


@dataclass
class Samples:
    """Of one subject on one program; times in seconds."""

    # Whole processes, by the wall and of the processor.
    wall: list = field(default_factory=list)
    cpu: list = field(default_factory=list)
    # Of the wall: a process that does nothing but start and compile.
    start: list = field(default_factory=list)
    start_cpu: list = field(default_factory=list)
    # The largest resident set, in MiB; and that of a process that needs nothing.
    resident: list = field(default_factory=list)
    floor: list = field(default_factory=list)
    # `assay run --stats --json`, a run each.
    stats: list = field(default_factory=list)

    @property
    def own(self):
        """The program's own times, of the processor: each run without the start beside it."""
        return [cpu - start for cpu, start in zip(self.cpu, self.start_cpu)]

    @property
    def own_wall(self):
        """The same by the wall."""
        return [wall - start for wall, start in zip(self.wall, self.start)]


class Failed(Exception):
    """A subject that did not run to its end."""


def run(argv):
    """A process: what it printed, seconds by the wall, seconds of the processor, MiB resident at most."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        child = subprocess.Popen([str(word) for word in argv], stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode != 0:
            raise Failed(f"{' '.join(map(str, argv))}: exit {child.returncode}: {err.read().decode()[:400]}")
        return out.read().decode(), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def one(subject, program, argument, samples):
    """One repetition; gives the program's result."""
    command = subject.commands[program.name]
    _, start, start_cpu, _ = run([*command, program.least])
    text, wall, cpu, resident = run([*command, argument])
    for name, value in [
        ("start", start), ("start_cpu", start_cpu), ("wall", wall), ("cpu", cpu), ("resident", resident),
        ("floor", run(["true"])[3]),
    ]:
        getattr(samples, name).append(value)
    if subject.engine == "Assay":
        # Apart from what is timed: at the end it counts what is alive.
        head, *rest = command
        samples.stats.append(json.loads(run([head, rest[0], "--stats", "--json", *rest[1:], argument])[0]))
    return text.strip()


def measure(subjects, programs, repeat, minutes, quick):
    """`repeat` rounds over everything, each in an order of its own, none begun when `minutes` have passed; samples by
    program and label."""
    until = time.monotonic() + minutes * 60
    samples = {p.name: {s.label: Samples() for s in subjects} for p in programs}
    results = {}
    order = random.Random(0)
    for turn in range(repeat):
        if turn > 0 and time.monotonic() > until:
            break
        for program in programs:
            for subject in order.sample(subjects, len(subjects)):
                argument = program.quick if quick else program.argument
                result = one(subject, program, argument, samples[program.name][subject.label])
                if results.setdefault(program.name, result) != result:
                    raise Failed(f"{subject.label}: {program.name} gives {result}, others {results[program.name]}")
            print(f"round {turn + 1} of {repeat}: {program.name}", file=sys.stderr)
    return samples


class Machine:
    """How busy others keep the processors while something is measured."""

    def __init__(self):
        self.before = self.now()

    @staticmethod
    def now():
        """Ticks that all processors were busy, all ticks, and seconds of our children."""
        with open("/proc/stat") as stat:
            ticks = [int(word) for word in stat.readline().split()[1:9]]
        times = os.times()
        idle = ticks[3] + ticks[4]
        ours = times.user + times.system + times.children_user + times.children_system
        return sum(ticks) - idle, sum(ticks), ours

    def others(self):
        """Their share of the processors' time so far."""
        busy, everything, ours = (now - then for now, then in zip(self.now(), self.before))
        return max(0.0, busy - ours * os.sysconf("SC_CLK_TCK")) / max(everything, 1)


def median(values):
    return statistics.median(values)


def spread(values):
    """Half the distance between the quartiles, as a share of the median; negative if there is none."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / middle if middle > 0 else -1
