"""What is measured: programs, and the command that runs one on each engine and collector."""

import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ASSAY = Path("target/release/assay")
PROGRAMS = Path("engine/runtime/benches/programs")
TOOLS = Path("target/measure")

# MiB of objects that a program may see at once on Assay: two to four times what is alive at most in `trees` (4 MiB) and
# `table` (6 MiB).
LIMIT = 16
# MiB for the collector that never collects: what there is.
UNLIMITED = 4095
# MiB of a peer's whole heap. A semi-space has two halves there; Assay's limit counts one of them.
PEER_LIMIT = 2 * LIMIT


@dataclass(frozen=True)
class Program:
    """A module that exports `run (param i32) (result i32)`."""

    name: str
    # What is measured.
    argument: int
    # What does nothing but start and compile: the difference is the program's own time.
    least: int
    # What is enough to see that everything works.
    quick: int

    @property
    def text(self):
        return PROGRAMS / f"{self.name}.wat"

    @property
    def binary(self):
        return TOOLS / f"{self.name}.wasm"


ALL_PROGRAMS = [
    Program("trees", argument=16, least=2, quick=8),
    Program("table", argument=3_000_000, least=1, quick=10_000),
    Program("rings", argument=400_000, least=1, quick=2_000),
]


@dataclass(frozen=True)
class Subject:
    """An engine with a collector."""

    engine: str
    # The collector, or the limit of V8's heap.
    name: str
    # By program, the command that an argument follows.
    commands: dict

    @property
    def label(self):
        return self.name if self.engine == "Assay" else f"{self.engine} {self.name}".strip()


def assay():
    """Each collector of Assay's JIT engine."""
    for name in ["null", "copying", "marksweep", "drc", "generational", "incremental"]:
        limit = UNLIMITED if name == "null" else LIMIT
        head = [ASSAY, "run", "-O", "opt=speed", "-C", f"collector={name}", "-C", f"gc-heap-max={limit}m"]
        yield Subject("Assay", name, {p.name: [*head, "--invoke", "run", p.text] for p in ALL_PROGRAMS})


def wasmtime_program():
    import wasmtime_cli

    program = Path(wasmtime_cli.__file__).parent / "wasmtime"
    # The wheel forgets it.
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def wasmtime():
    """Wasmtime's collectors. Its `drc` frees no cycles: nothing limits it in `rings`."""
    engine = wasmtime_program()
    for name in ["null", "copying", "drc"]:
        commands = {}
        for program in ALL_PROGRAMS:
            bounded = name == "copying" or (name == "drc" and program.name != "rings")
            limit = f",max-memory-size={PEER_LIMIT << 20}" if bounded else ""
            options = ["-O", "opt-level=2", "-C", f"collector={name},cache=n", "-W", f"gc=y,function-references=y{limit}"]
            commands[program.name] = [engine, "run", *options, "--invoke", "run", program.text]
        yield Subject("Wasmtime", name, commands)


def node():
    return TOOLS / "node_modules/node/bin/node"


# Another process, so that this one stays small: its children inherit its peak of memory.
ENCODE = "import sys, pathlib, wasmtime; pathlib.Path(sys.argv[2]).write_bytes(wasmtime.wat2wasm(pathlib.Path(sys.argv[1]).read_text()))"


def v8():
    """V8 as it comes, and with about as much heap as the others have."""
    for program in ALL_PROGRAMS:
        subprocess.run([sys.executable, "-c", ENCODE, program.text, program.binary], check=True)
    script = Path(__file__).parent / "run.mjs"
    for name, options in [("", []), (f"{PEER_LIMIT} MB", [f"--max-heap-size={PEER_LIMIT}"])]:
        yield Subject("V8", name, {p.name: [node(), *options, script, p.binary] for p in ALL_PROGRAMS})


def first_line(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()[0]


PEERS = [
    ("Wasmtime", wasmtime, lambda: first_line(wasmtime_program(), "--version")),
    ("V8", v8, lambda: first_line(node(), "-p", "process.versions.v8 + ' (node ' + process.versions.node + ')'")),
]


def present():
    """The subjects that can run, and the peers' versions; a peer that cannot is named, with its reason for a version."""
    subjects, versions = list(assay()), {}
    for engine, make, version in PEERS:
        try:
            versions[engine] = version()
            subjects += make()
        except (ImportError, OSError, subprocess.CalledProcessError) as error:
            versions[engine] = f"left out: {error}"
            print(f"{engine} is {versions[engine]}", file=sys.stderr)
    return subjects, versions
