#!/usr/bin/env python3
"""Adapter (fuzz/adapters/protocol.md) for Wasmtime as the PyPI package `wasmtime` ships it, 27.0.2 to 50.0.1.

It calls libwasmtime's C API through the wheel's own ctypes bindings, whose structures fit the library beside them. The
wheel's classes are of no use here: they fail on signatures that mention GC types. So no type of an export is ever asked
for; functions are called with the types that the request names, which the library checks.

Only Python's standard library is needed beside the wheel, which PYTHONPATH leads to.
"""

import argparse
import base64
import ctypes
import json
import re
import sys
from ctypes import POINTER, byref
from importlib import metadata

from wasmtime import _bindings as c
from wasmtime._ffi import dll

PROTOCOL = 1

KINDS = {"i32": 0, "i64": 1, "f32": 2, "f64": 3}
BITS = {"i32": 32, "i64": 64, "f32": 32, "f64": 64}
EXTERN_FUNC, EXTERN_GLOBAL = 0, 1
NO_FINALIZER = dll.wasmtime_store_new.argtypes[2](0)

# Set where the version has such a setter. Elsewhere the version lacks the feature, or always has it.
SWITCHES = (
    ("wasm_reference_types", True),
    ("wasm_function_references", True),
    ("gc_support", True),
    ("wasm_gc", True),
    ("wasm_tail_call", True),
    ("wasm_exceptions", True),
    ("wasm_simd", True),
    ("wasm_relaxed_simd", True),
    ("wasm_relaxed_simd_deterministic", True),
    ("wasm_multi_memory", True),
    ("wasm_memory64", True),
    ("cranelift_nan_canonicalization", True),
    ("parallel_compilation", False),
)

# What each feature must run before it is claimed: modules whose export `f` returns the i32 1.
PROBES = {
    # struct.new, struct.get
    "gc": "0061736d010000000109026000017f5f017f0103020100070501016600000a0d010b004101fb0001fb0201000b",
    # i32x4.splat, struct.new and struct.get of a field of type v128, i32x4.extract_lane
    # (up to 31 objects hold no vectors)
    "simd": "0061736d010000000109026000017f5f017b0103020100070501016600000a120110004101fd11fb0001fb020100fd1b000b",
    # throw, try_table with catch_ref
    "exceptions": "0061736d01000000010e036000017f60017f006000027f69030201000d03010001070501016600000a1401120002021f4001"
    "010000410108000b000b1a0b",
    # return_call
    "tail-calls": "0061736d010000000105016000017f0303020000070501016600000a0b02040012010b040041010b",
    # i32.store and i32.load at addresses of 64 bits
    "memory64": "0061736d010000000105016000017f030201000503010401070501016600000a10010e004200410136020042002802000b",
    # i32.store and i32.load in the second of two memories
    "multi-memory": "0061736d010000000105016000017f0302010005050200010001070501016600000a120110004100410136420100410028"
    "4201000b",
}

# What stands after `wasm trap: ` in a message, and the kinds of the protocol. Codes (`wasmtime_trap_code`) would not
# do: up to 31 they have none for traps of GC.
TRAPS = {
    "wasm `unreachable` instruction executed": ["unreachable"],
    "integer divide by zero": ["integer-divide-by-zero"],
    "integer overflow": ["integer-overflow"],
    "invalid conversion to integer": ["invalid-conversion-to-integer"],
    "out of bounds memory access": ["memory-out-of-bounds"],
    "undefined element: out of bounds table access": ["table-out-of-bounds"],
    "uninitialized element": ["uninitialized-element"],
    "indirect call type mismatch": ["indirect-call-type-mismatch"],
    "null reference": ["null-reference"],
    "out of bounds array access": ["array-out-of-bounds"],
    "cast failure": ["cast-failure"],
    "allocation size too large": ["allocation-too-large"],
}

# Parts of messages, for what is no trap or comes as an error: the first that occurs counts.
ENDS = (
    ("call stack exhausted", {"exhausted": "call-stack"}),
    ("GC heap out of memory", {"exhausted": "gc-heap"}),
    ("failed to allocate GC heap", {"exhausted": "gc-heap"}),
    ("thrown Wasm exception", {"thrown": True}),
    ("all fuel consumed", {"exhausted": "fuel"}),
    ("table minimum size", {"exhausted": "table"}),
    ("memory minimum size", {"exhausted": "memory"}),
    ("exceeds memory limits", {"exhausted": "memory"}),
    ("failed to allocate memory for table", {"exhausted": "table"}),
    ("mmap failed", {"exhausted": "memory"}),
    ("out of bounds: elements segment does not fit", {"trap": ["table-out-of-bounds"]}),
    ("out of bounds: data segment does not fit", {"trap": ["memory-out-of-bounds"]}),
)

UNLINKABLE = ("unknown import", "incompatible import type", "has not been defined")


class Fault(Exception):
    """What the adapter cannot answer: becomes an `error` reply."""


class Missing(Exception):
    """Something that a request names and that is not there: becomes a `missing` reply."""


class Failed(Exception):
    """An error or a trap of the library; its text."""


def text_of(read, subject) -> str:
    """The message that `read` (wasmtime_error_message or wasm_trap_message) gives of `subject`."""
    vector = c.wasm_byte_vec_t()
    read(subject, byref(vector))
    text = ctypes.string_at(vector.data, vector.size).decode("utf-8", "replace").rstrip("\0")
    c.wasm_byte_vec_delete(byref(vector))
    # Of the library's own frames, where RUST_BACKTRACE asks for them.
    return text.partition("\n\nStack backtrace:")[0].rstrip()


def check(error, trap=None) -> None:
    """Raises `Failed` for an error or trap of the library, and frees it; None is neither."""
    if error:
        text = text_of(c.wasmtime_error_message, error)
        c.wasmtime_error_delete(error)
        raise Failed(text)
    if trap:
        text = text_of(c.wasm_trap_message, trap)
        c.wasm_trap_delete(trap)
        raise Failed(text)


def name_of(text: str):
    """A name as the C API takes it: an array of bytes and its length."""
    data = text.encode()
    return ctypes.create_string_buffer(data, len(data) or 1), len(data)


def end_of(text: str) -> dict:
    """The reply for a call or start function that ended with this message."""
    trap = re.findall(r"wasm trap: ([^\n]*)", text)
    if trap and trap[-1] in TRAPS:
        return {"trap": TRAPS[trap[-1]], "text": trap[-1]}
    for part, end in ENDS:
        if part in text:
            return {**end, "text": text}
    # Nothing a program should be able to cause ("GC heap corruption detected").
    raise Fault(text)


def encode(kind: str, value) -> list:
    """A value as replies have it; floats by their bits, which share their place in the union with integers."""
    if value.kind != KINDS.get(kind):
        raise Missing(f"{kind} asked for, the value is of kind {value.kind}")
    number = value.of.i32 if BITS[kind] == 32 else value.of.i64
    if kind[0] == "f":
        number &= (1 << BITS[kind]) - 1
    return [kind, str(number)]


def decode(kind: str, text: str, into) -> None:
    """The inverse of `encode`."""
    if kind not in KINDS:
        raise Fault(f"no type for an argument: {kind}")
    number, bits = int(text), BITS[kind]
    if not (-(1 << bits - 1) <= number < 1 << bits):
        raise Fault(f"{text} is no {kind}")
    into.kind = KINDS[kind]
    if bits == 32:
        into.of.i32 = ctypes.c_int32(number).value
    else:
        into.of.i64 = ctypes.c_int64(number).value


class Engine:
    """An engine with the options of the command line; its configuration stays what it is."""

    def __init__(self, options) -> None:
        config = dll.wasm_config_new()
        for name, value in SWITCHES:
            if hasattr(dll, f"wasmtime_config_{name}_set"):
                self.configure(config, name, value)
        if options.collector != "auto":
            # The default is reference counting (drc) in all of them: a capped heap is exhausted by dead cycles.
            raise Fault("up to 50.0.1 the C API has no setter for the collector: only --collector auto")
        if options.opt:
            self.configure(config, "cranelift_opt_level", {"none": 0, "speed": 1}[options.opt])
        self.limit = options.gc_heap_max
        for setting in options.config:
            name, _, value = setting.partition("=")
            self.configure(config, name, value)
        self.handle = dll.wasm_engine_new_with_config(config)
        if not self.handle:
            raise Fault("the library refuses this configuration")

    def configure(self, config, name: str, value) -> None:
        """Calls `wasmtime_config_NAME_set`; a string is read as the setter's type asks for."""
        setter = getattr(dll, f"wasmtime_config_{name}_set", None)
        if setter is None:
            raise Fault(f"this version has no wasmtime_config_{name}_set")
        if len(setter.argtypes) == 3:
            # cranelift_flag: a pair of strings
            key, _, value = value.partition("=")
            setter(config, ctypes.create_string_buffer(key.encode()), ctypes.create_string_buffer(value.encode()))
            return
        if isinstance(value, str):
            words = {"true": True, "false": False, "y": True, "n": False}
            try:
                value = words[value] if value in words else int(value, 0)
            except ValueError:
                raise Fault(f"no value for {name}: {value}") from None
        check(setter(config, value))

    def features(self) -> list:
        """The features whose probe gives 1."""
        claimed = []
        for feature, code in PROBES.items():
            case = Case(self)
            try:
                case.compile(0, bytes.fromhex(code))
                case.instantiate(0, 0, [])
                if case.invoke(0, "f", [], ["i32"]) == [["i32", "1"]]:
                    claimed.append(feature)
            except Failed:
                pass
            finally:
                case.drop()
        return claimed


class Case:
    """A store, with the modules and instances of one case."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.store = dll.wasmtime_store_new(engine.handle, None, NO_FINALIZER)
        self.context = dll.wasmtime_store_context(self.store)
        self.modules = {}
        self.instances = {}
        if engine.limit is not None:
            # From 33 on a GC heap is a memory to the limiter; up to 32 it has 512 KiB, whatever one says.
            dll.wasmtime_store_limiter(self.store, engine.limit, -1, -1, -1, -1)

    def drop(self) -> None:
        """Frees all that it holds."""
        for module in self.modules.values():
            dll.wasmtime_module_delete(module)
        dll.wasmtime_store_delete(self.store)

    def compile(self, number: int, code: bytes) -> None:
        module = POINTER(c.wasmtime_module_t)()
        buffer = (ctypes.c_uint8 * len(code)).from_buffer_copy(code)
        check(dll.wasmtime_module_new(self.engine.handle, buffer, len(code), byref(module)))
        old = self.modules.pop(number, None)
        if old is not None:
            dll.wasmtime_module_delete(old)
        self.modules[number] = module

    def instantiate(self, module: int, number: int, imports: list) -> None:
        if module not in self.modules:
            raise Missing(f"no module {module}")
        linker = dll.wasmtime_linker_new(self.engine.handle)
        try:
            dll.wasmtime_linker_allow_shadowing(linker, True)
            for name, source in imports:
                buffer, length = name_of(name)
                instance = self.instance(source)
                check(dll.wasmtime_linker_define_instance(linker, self.context, buffer, length, byref(instance)))
            instance, trap = c.wasmtime_instance_t(), POINTER(c.wasm_trap_t)()
            error = dll.wasmtime_linker_instantiate(
                linker, self.context, self.modules[module], byref(instance), byref(trap)
            )
            check(error, trap)
            self.instances[number] = instance
        finally:
            dll.wasmtime_linker_delete(linker)

    def invoke(self, number: int, field: str, arguments: list, kinds: list) -> list:
        func = self.export(number, field, EXTERN_FUNC, "function").func
        args = (c.wasmtime_val_t * len(arguments))()
        results = (c.wasmtime_val_t * len(kinds))()
        for slot, (kind, text) in zip(args, arguments):
            decode(kind, text, slot)
        trap = POINTER(c.wasm_trap_t)()
        error = dll.wasmtime_func_call(
            self.context, byref(func), args, len(args), results, len(results), byref(trap)
        )
        check(error, trap)
        return [encode(kind, value) for kind, value in zip(kinds, results)]

    def global_value(self, number: int, name: str, kind: str) -> list:
        found = self.export(number, name, EXTERN_GLOBAL, "global").global_
        value = c.wasmtime_val_t()
        dll.wasmtime_global_get(self.context, byref(found), byref(value))
        return encode(kind, value)

    def collect(self) -> None:
        check(dll.wasmtime_context_gc(self.context))

    def instance(self, number: int):
        if number not in self.instances:
            raise Missing(f"no instance {number}")
        return self.instances[number]

    def export(self, number: int, name: str, kind: int, noun: str):
        """The export `name` as a union, if it is of the kind."""
        instance, found = self.instance(number), c.wasmtime_extern_t()
        buffer, length = name_of(name)
        if not dll.wasmtime_instance_export_get(self.context, byref(instance), buffer, length, byref(found)):
            raise Missing(f"no export {name!r}")
        if found.kind != kind:
            raise Missing(f"the export {name!r} is no {noun}")
        return found.of


class Adapter:
    """Requests and replies."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.case = Case(engine)

    def reply(self, line: bytes) -> dict:
        """The reply to one line, under the request's number."""
        try:
            request = json.loads(line)
            return {"id": request["id"], **self.answer(request)}
        except Exception as error:  # whatever a malformed request leads to
            return {"error": f"{type(error).__name__}: {error}"}

    def answer(self, request: dict) -> dict:
        """The reply to a request."""
        try:
            operation = request["op"]
            handler = getattr(self, f"op_{operation}", None)
            if handler is None:
                raise Fault(f"unknown request: {operation}")
            return handler(request)
        except Missing as missing:
            return {"missing": str(missing)}
        except Fault as fault:
            return {"error": str(fault)}
        except Exception as error:  # whatever a malformed request leads to
            return {"error": f"{type(error).__name__}: {error}"}

    def op_hello(self, request: dict) -> dict:
        if request["version"] != PROTOCOL:
            raise Fault(f"this adapter speaks version {PROTOCOL}")
        version = metadata.version("wasmtime")
        return {"version": PROTOCOL, "engine": f"wasmtime {version}", "features": self.engine.features()}

    def op_case(self, _request: dict) -> dict:
        self.case.drop()
        self.case = Case(self.engine)
        return {"ok": True}

    def op_compile(self, request: dict) -> dict:
        code = base64.b64decode(request["bytes"], validate=True)
        try:
            self.case.compile(request["module"], code)
        except Failed as failed:
            # The library does not tell malformed from invalid.
            return {"refused": "invalid", "text": str(failed)}
        return {"ok": True}

    def op_instantiate(self, request: dict) -> dict:
        try:
            self.case.instantiate(request["module"], request["instance"], request["imports"])
        except Failed as failed:
            text = str(failed)
            if "wasm trap: " not in text and any(part in text for part in UNLINKABLE):
                return {"refused": "unlinkable", "text": text}
            return end_of(text)
        return {"ok": True}

    def op_invoke(self, request: dict) -> dict:
        try:
            values = self.case.invoke(request["instance"], request["field"], request["args"], request["results"])
        except Failed as failed:
            text = str(failed)
            if re.match(r"expected \d+ (arguments|results), got|argument type mismatch", text):
                raise Missing(text) from failed
            return end_of(text)
        return {"values": values}

    def op_state(self, request: dict) -> dict:
        number = request["instance"]
        return {"globals": [self.case.global_value(number, name, kind) for name, kind in request["globals"]]}

    def op_gc(self, _request: dict) -> dict:
        self.case.collect()
        return {"ok": True}


def main() -> None:
    parser = argparse.ArgumentParser(description="Adapter for the PyPI package wasmtime (fuzz/adapters/protocol.md).")
    parser.add_argument("--collector", choices=["auto", "drc", "null", "copying"], default="auto")
    parser.add_argument("--opt", choices=["none", "speed"])
    parser.add_argument(
        "--gc-heap-max",
        type=int,
        metavar="BYTES",
        help="limit of GC heaps (from 33 on; earlier they have 512 KiB) and of each memory",
    )
    parser.add_argument(
        "--config", action="append", default=[], metavar="NAME=VALUE", help="call wasmtime_config_NAME_set"
    )
    options = parser.parse_args()
    try:
        adapter = Adapter(Engine(options))
    except Fault as fault:
        sys.exit(f"wasmtime_wheel: {fault}")
    for line in iter(sys.stdin.buffer.readline, b""):
        sys.stdout.write(json.dumps(adapter.reply(line), ensure_ascii=False) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
