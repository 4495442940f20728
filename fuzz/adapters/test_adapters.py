#!/usr/bin/env python3
"""Tests of an adapter (fuzz/adapters/protocol.md), whichever engine stands behind it.

    python3 fuzz/adapters/test_adapters.py target/peers/bin/node [ENGINE FLAGS…]

speaks to that command. Modules are put together here, byte by byte, so that nothing else is needed.
"""

import base64
import json
import struct
import subprocess
import sys
import threading
import unittest

COMMAND: list = []
SECONDS = 60

FEATURES = {"gc", "simd", "exceptions", "tail-calls", "memory64", "multi-memory", "liveness"}
KINDS = {
    "unreachable", "integer-divide-by-zero", "integer-overflow", "invalid-conversion-to-integer",
    "memory-out-of-bounds", "table-out-of-bounds", "uninitialized-element", "indirect-call-type-mismatch",
    "null-reference", "array-out-of-bounds", "cast-failure", "allocation-too-large",
}  # fmt: skip

# Sections by their ids, in the order in which they stand; 13 is the tags', 12 the count of data segments.
ORDER = (1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11)
FUNC, GLOBAL = 0, 3


def number(value: int) -> bytes:
    """Unsigned LEB128."""
    code = b""
    while value > 0x7F:
        code += bytes([value & 0x7F | 0x80])
        value >>= 7
    return code + bytes([value])


def vector(items) -> bytes:
    """A count, then the items."""
    items = list(items)
    return number(len(items)) + b"".join(items)


def module(types, functions=(), exports=(("f", FUNC, 0),), **sections) -> bytes:
    """A module: types in hexadecimal; functions as a type's index and the code (locals too, without its length);
    `section_N` is section N as it stands."""
    body = {1: vector(map(bytes.fromhex, types))}
    if functions:
        body[3] = vector(number(kind) for kind, _ in functions)
        codes = (bytes.fromhex(code) for _, code in functions)
        body[10] = vector(number(len(code)) + code for code in codes)
    body[7] = vector(
        number(len(name.encode())) + name.encode() + bytes([kind]) + number(index) for name, kind, index in exports
    )
    for name, code in sections.items():
        body[int(name.removeprefix("section_"))] = bytes.fromhex(code)
    return b"\0asm\1\0\0\0" + b"".join(bytes([i]) + number(len(body[i])) + body[i] for i in ORDER if i in body)


def simple(code: str, *more_types: str, **sections) -> bytes:
    """A module whose export `f` has no parameters and no results: type 0, code without locals; further types from 1."""
    return module(["60 00 00", *more_types], [(0, "00" + code)], **sections)


STRUCT, ARRAY, FUNCS = "5f 01 7f 01", "5e 7f 01", "5e 70 01"

# Traps: the kind and a module whose `f` has it.
TRAPS = {
    "unreachable": ("unreachable", simple("00 0b")),
    "i32.div_s by zero": ("integer-divide-by-zero", simple("41 01 41 00 6d 1a 0b")),
    "i64.rem_u by zero": ("integer-divide-by-zero", simple("42 01 42 00 82 1a 0b")),
    "i32.div_s overflows": ("integer-overflow", simple("41 80 80 80 80 78 41 7f 6d 1a 0b")),
    "i32.trunc_f32_s of infinity": ("integer-overflow", simple("43 00 00 80 7f a8 1a 0b")),
    "i32.trunc_f32_s of a NaN": ("invalid-conversion-to-integer", simple("43 00 00 c0 7f a8 1a 0b")),
    "i32.load": ("memory-out-of-bounds", simple("41 7f 28 02 00 1a 0b", section_5="01 00 01")),
    "memory.fill": ("memory-out-of-bounds", simple("41 7f 41 00 41 02 fc 0b 00 0b", section_5="01 00 01")),
    "memory.init": (
        "memory-out-of-bounds",
        simple("41 00 41 00 41 05 fc 08 00 00 0b", section_5="01 00 01", section_12="01", section_11="01 01 01 2a"),
    ),
    "table.get": ("table-out-of-bounds", simple("41 05 25 00 1a 0b", section_4="01 70 00 01")),
    "table.set": ("table-out-of-bounds", simple("41 05 d0 70 26 00 0b", section_4="01 70 00 01")),
    "table.copy": ("table-out-of-bounds", simple("41 00 41 01 41 01 fc 0e 00 00 0b", section_4="01 70 00 01")),
    "table.init": (
        "table-out-of-bounds",
        simple("41 00 41 00 41 02 fc 0c 00 00 0b", section_4="01 70 00 01", section_9="01 01 00 01 00"),
    ),
    "call_indirect past the end": ("table-out-of-bounds", simple("41 05 11 00 00 0b", section_4="01 70 00 01")),
    "call_indirect of null": ("uninitialized-element", simple("41 00 11 00 00 0b", section_4="01 70 00 01")),
    "call_indirect of another type": (
        "indirect-call-type-mismatch",
        simple("41 00 11 01 00 1a 0b", "60 00 01 7f", section_4="01 70 00 01", section_9="01 00 41 00 0b 01 00"),
    ),
    "call_ref": ("null-reference", simple("d0 00 14 00 0b")),
    "struct.get": ("null-reference", simple("d0 01 fb 02 01 00 1a 0b", STRUCT)),
    "struct.set": ("null-reference", simple("d0 01 41 00 fb 05 01 00 0b", STRUCT)),
    "array.get of null": ("null-reference", simple("d0 01 41 00 fb 0b 01 1a 0b", ARRAY)),
    "array.len": ("null-reference", simple("d0 01 fb 0f 1a 0b", ARRAY)),
    "array.fill of null": ("null-reference", simple("d0 01 41 00 41 00 41 00 fb 10 01 0b", ARRAY)),
    "ref.as_non_null": ("null-reference", simple("d0 01 d4 1a 0b", STRUCT)),
    "i31.get_s": ("null-reference", simple("d0 6c fb 1d 1a 0b")),
    "array.get": ("array-out-of-bounds", simple("41 03 fb 07 01 41 03 fb 0b 01 1a 0b", ARRAY)),
    "array.set": ("array-out-of-bounds", simple("41 03 fb 07 01 41 03 41 00 fb 0e 01 0b", ARRAY)),
    "array.fill": ("array-out-of-bounds", simple("41 03 fb 07 01 41 01 41 00 41 03 fb 10 01 0b", ARRAY)),
    "array.copy": (
        "array-out-of-bounds",
        simple("41 03 fb 07 01 41 01 41 03 fb 07 01 41 00 41 03 fb 11 01 01 0b", ARRAY),
    ),
    "array.init_data past the array": (
        "array-out-of-bounds",
        simple(
            "41 01 fb 07 01 41 01 41 00 41 01 fb 12 01 00 0b", ARRAY, section_12="01", section_11="01 01 08" + "00" * 8
        ),
    ),
    "array.init_elem past the array": (
        "array-out-of-bounds",
        simple("41 01 fb 07 01 41 01 41 00 41 01 fb 13 01 00 0b", FUNCS, section_9="01 01 00 01 00"),
    ),
    "array.new_data": (
        "memory-out-of-bounds",
        simple("41 00 41 02 fb 09 01 00 1a 0b", ARRAY, section_12="01", section_11="01 01 04" + "00" * 4),
    ),
    "array.new_elem": (
        "table-out-of-bounds",
        simple("41 00 41 02 fb 0a 01 00 1a 0b", FUNCS, section_9="01 01 00 01 00"),
    ),
    "ref.cast": ("cast-failure", simple("41 05 fb 1c fb 16 01 1a 0b", STRUCT)),
    "ref.cast of null": ("cast-failure", simple("d0 6e fb 16 01 1a 0b", STRUCT)),
}


class Peer:
    """An adapter that runs."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, line: bytes) -> dict:
        """The reply to a line; an adapter that says nothing for too long is ended."""
        watch = threading.Timer(SECONDS, self.process.kill)
        watch.start()
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        reply = self.process.stdout.readline()
        watch.cancel()
        if not reply.endswith(b"\n"):
            raise AssertionError(f"no reply to {line[:200]}; exit status {self.process.wait()}")
        return json.loads(reply)

    def ask(self, op: str, **fields) -> dict:
        self.number = getattr(self, "number", 0) + 1
        reply = self.say(json.dumps({"id": self.number, "op": op, **fields}).encode())
        if reply.pop("id", None) != self.number:
            raise AssertionError(f"the reply to {op} has another number")
        return reply

    def stop(self) -> int:
        """Ends the input; the exit status."""
        self.process.stdin.close()
        status = self.process.wait(SECONDS)
        self.process.stdout.close()
        return status


class Adapter(unittest.TestCase):
    """One adapter for all tests, a case each."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.peer = Peer()
        cls.hello = cls.peer.ask("hello", version=1)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.peer.stop()

    def setUp(self) -> None:
        self.assertEqual(self.ask("case"), {"ok": True})

    def ask(self, op: str, **fields) -> dict:
        return self.peer.ask(op, **fields)

    def need(self, feature: str) -> None:
        if feature not in self.hello["features"]:
            self.skipTest(f"no {feature}")

    def compile(self, code: bytes, index: int = 0) -> dict:
        return self.ask("compile", module=index, bytes=base64.b64encode(code).decode())

    def instantiate(self, code: bytes, index: int = 0, imports=()) -> dict:
        self.assertEqual(self.compile(code, index), {"ok": True})
        return self.ask("instantiate", module=index, instance=index, imports=[list(pair) for pair in imports])

    def load(self, code: bytes, index: int = 0, imports=()) -> None:
        self.assertEqual(self.instantiate(code, index, imports), {"ok": True})

    def invoke(self, field: str, args=(), results=(), instance: int = 0) -> dict:
        return self.ask(
            "invoke", instance=instance, field=field, args=[list(pair) for pair in args], results=list(results)
        )

    def assert_trap(self, reply: dict, kind: str) -> None:
        self.assertIn(kind, reply.get("trap", []), reply)
        self.assertLessEqual(set(reply["trap"]), KINDS)
        self.assertIsInstance(reply["text"], str)


class Greeting(Adapter):
    def test_hello_tells_version_engine_and_features(self) -> None:
        self.assertEqual(self.hello["version"], 1)
        self.assertIsInstance(self.hello["engine"], str)
        self.assertLessEqual(set(self.hello["features"]), FEATURES)
        self.assertIn("gc", self.hello["features"])

    def test_another_version_is_an_error(self) -> None:
        self.assertIn("error", self.ask("hello", version=2))

    def test_malformed_requests_are_errors(self) -> None:
        for line in (b"{", b"[]", b"7", b"null", b'"case"', b"{}", b'{"op":7}', b'{"op":"__proto__"}', b"\xff"):
            self.assertIn("error", self.peer.say(line), line)
        self.assertIn("error", self.ask("dance"))
        self.assertIn("error", self.ask("compile", module=0))
        self.assertIn("error", self.ask("compile", module=0, bytes="?"))
        self.load(module(["60 01 7f 00"], [(0, "00 0b")]))
        self.assertIn("error", self.invoke("f", [("i16", "1")]))
        self.assertEqual(self.ask("case"), {"ok": True})

    def test_it_ends_with_its_input(self) -> None:
        peer = Peer()
        peer.ask("hello", version=1)
        self.assertEqual(peer.stop(), 0)


class Refusals(Adapter):
    def test_malformed(self) -> None:
        for code in (b"", b"\0asm\2\0\0\0", b"\0asm\1\0\0\0\x63"):
            self.assertIn(self.compile(code).get("refused"), ("malformed", "invalid"))

    def test_invalid(self) -> None:
        reply = self.compile(simple("41 00 0b"))
        self.assertEqual(reply["refused"], "invalid")
        self.assertIsInstance(reply["text"], str)

    def test_unlinkable(self) -> None:
        imports = module(["60 00 00"], section_2="01 01 6d 01 66 00 00", exports=())  # m.f: a function of type 0
        self.assertEqual(self.instantiate(imports, 1)["refused"], "unlinkable")
        self.load(module(["60 00 01 7f"], [(0, "00 41 00 0b")]), 0)
        self.assertEqual(self.instantiate(imports, 1, [("m", 0)])["refused"], "unlinkable")
        self.load(module(["60 00 00"], [(0, "00 0b")], exports=(("g", FUNC, 0),)), 0)
        self.assertEqual(self.instantiate(imports, 1, [("m", 0)])["refused"], "unlinkable")

    def test_what_is_missing(self) -> None:
        self.assertIn("missing", self.ask("instantiate", module=3, instance=0, imports=[]))
        self.assertIn("missing", self.invoke("f"))
        self.load(module(["60 01 7f 01 7f"], [(0, "00 20 00 0b")]))
        self.assertIn("missing", self.ask("instantiate", module=0, instance=1, imports=[["m", 9]]))
        self.assertIn("missing", self.invoke("g"))
        self.assertIn("missing", self.invoke("f", [], ["i32"]))
        self.assertIn("missing", self.invoke("f", [("i64", "1")], ["i32"]))
        self.assertIn("missing", self.invoke("f", [("i32", "1")], ["i32", "i32"]))
        self.assertIn("missing", self.invoke("f", [("i32", "1")], ["i64"]))
        self.assertIn("missing", self.ask("state", instance=0, globals=[["f", "i32"]]))
        self.assertIn("missing", self.ask("state", instance=0, globals=[["g", "i32"]]))
        self.assertEqual(self.invoke("f", [("i32", "1")], ["i32"]), {"values": [["i32", "1"]]})

    def test_a_case_forgets(self) -> None:
        self.load(simple("0b"))
        self.ask("case")
        self.assertIn("missing", self.invoke("f"))
        self.assertIn("missing", self.ask("instantiate", module=0, instance=0, imports=[]))


class Values(Adapter):
    def test_numbers_come_back_as_they_went(self) -> None:
        types = ["60 01 7f 01 7f", "60 01 7e 01 7e", "60 01 7d 01 7d", "60 01 7c 01 7c"]
        names = ["i32", "i64", "f32", "f64"]
        self.load(
            module(
                types,
                [(i, "00 20 00 0b") for i in range(4)],
                exports=[(name, FUNC, i) for i, name in enumerate(names)],
            )
        )
        bits32 = [struct.unpack("<I", struct.pack("<f", value))[0] for value in (0.0, -0.0, 1e-45, -1.5, float("inf"))]
        bits64 = [struct.unpack("<Q", struct.pack("<d", value))[0] for value in (-0.0, 5e-324, 1e300, float("-inf"))]
        values = {
            "i32": [0, 1, -1, 2**31 - 1, -(2**31)],
            "i64": [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)],
            "f32": bits32,
            "f64": bits64,
        }
        for name, numbers in values.items():
            for value in map(str, numbers):
                self.assertEqual(self.invoke(name, [(name, value)], [name]), {"values": [[name, value]]})

    def test_bits_of_nans(self) -> None:
        # `f` returns its arguments, `bits` those of its argument, as an integer.
        self.load(
            module(
                ["60 04 7d 7f 7c 7e 04 7e 7c 7f 7d", "60 01 7c 01 7e"],
                [(0, "00 20 03 20 02 20 01 20 00 0b"), (1, "00 20 00 bd 0b")],
                exports=[("f", FUNC, 0), ("bits", FUNC, 1)],
            )
        )
        for bits32, bits64 in ((0x7FC00000, 0x7FF8 << 48), (0xFFC12345, 0xFFFC000000001234), (0xFFFFFFFF, 2**64 - 1)):
            args = [("f32", str(bits32)), ("i32", "-2"), ("f64", str(bits64)), ("i64", "-3")]
            values = [["i64", "-3"], ["f64", str(bits64)], ["i32", "-2"], ["f32", str(bits32)]]
            self.assertEqual(self.invoke("f", args, ["i64", "f64", "i32", "f32"]), {"values": values})
            signed = bits64 - 2**64 if bits64 >= 2**63 else bits64
            self.assertEqual(self.invoke("bits", [args[2]], ["i64"]), {"values": [["i64", str(signed)]]})

    def test_several_results(self) -> None:
        self.load(module(["60 02 7f 7e 03 7e 7f 7d"], [(0, "00 20 01 20 00 43 00 00 80 3f 0b")]))
        self.assertEqual(
            self.invoke("f", [("i32", "-7"), ("i64", "8")], ["i64", "i32", "f32"]),
            {"values": [["i64", "8"], ["i32", "-7"], ["f32", str(0x3F800000)]]},
        )

    def test_globals_in_the_order_asked(self) -> None:
        code = module(
            [],
            section_6="04 7f 01 41 7b 0b 7e 00 42 06 0b 7d 00 43 00 00 80 bf 0b 7c 00 44 00 00 00 00 00 00 f0 3f 0b",
            exports=[("a", GLOBAL, 0), ("b", GLOBAL, 1), ("c", GLOBAL, 2), ("d", GLOBAL, 3)],
        )
        self.load(code)
        asked = [["d", "f64"], ["a", "i32"], ["b", "i64"], ["c", "f32"]]
        values = [["f64", str(0x3FF0 << 48)], ["i32", "-5"], ["i64", "6"], ["f32", str(0xBF800000)]]
        self.assertEqual(self.ask("state", instance=0, globals=asked), {"globals": values})

    def test_exports_are_imports_of_others(self) -> None:
        # 0: a global of 5, its setter, and exports with types of objects. 1: imports both under two names.
        self.load(
            module(
                ["60 01 7f 00", "5f 00", "60 01 63 01 01 64 01"],
                [(0, "00 20 00 24 00 0b"), (2, "00 20 00 d4 0b")],
                section_6="02 7f 01 41 05 0b 63 01 00 d0 01 0b",
                exports=[("set", FUNC, 0), ("g", GLOBAL, 0), ("object", FUNC, 1), ("null", GLOBAL, 1)],
            )
        )
        self.load(
            module(
                ["60 01 7f 00", "60 01 7f 01 7f"],
                [(1, "00 20 00 10 00 23 00 0b")],
                section_2="02 01 61 03 73 65 74 00 00 01 62 01 67 03 7f 01",
                exports=[("f", FUNC, 1)],
            ),
            1,
            [("a", 0), ("b", 0), ("unused", 0)],
        )
        self.assertEqual(self.invoke("f", [("i32", "9")], ["i32"], instance=1), {"values": [["i32", "9"]]})
        self.assertEqual(self.ask("state", instance=0, globals=[["g", "i32"]]), {"globals": [["i32", "9"]]})

    def test_objects_live_through_collections(self) -> None:
        # A global that holds an array of 3; `f` returns its length.
        self.load(
            module(["60 00 01 7f", ARRAY], [(0, "00 23 00 fb 0f 0b")], section_6="01 63 01 00 41 03 fb 07 01 0b")
        )
        for _ in range(3):
            reply = self.ask("gc")
            self.assertTrue(reply.pop("ok"), reply)
            self.assertEqual(self.invoke("f", [], ["i32"]), {"values": [["i32", "3"]]})


class Ends(Adapter):
    def test_traps(self) -> None:
        for name, (kind, code) in TRAPS.items():
            with self.subTest(name):
                self.ask("case")
                self.load(code)
                self.assert_trap(self.invoke("f"), kind)

    def test_a_trap_of_exceptions(self) -> None:
        self.need("exceptions")
        self.load(simple("d0 69 0a 0b"))
        self.assert_trap(self.invoke("f"), "null-reference")

    def test_a_start_function_traps(self) -> None:
        self.assert_trap(self.instantiate(simple("00 0b", section_8="00")), "unreachable")

    def test_segments_that_do_not_fit(self) -> None:
        data = module([], section_5="01 00 01", section_11="01 00 41 ff ff 03 0b 02 01 02", exports=())
        self.assert_trap(self.instantiate(data), "memory-out-of-bounds")
        elements = simple("0b", section_4="01 70 00 01", section_9="01 00 41 01 0b 01 00")
        self.assert_trap(self.instantiate(elements), "table-out-of-bounds")

    def test_an_array_as_long_as_can_be(self) -> None:
        self.load(simple("41 7f fb 07 01 1a 0b", ARRAY))
        reply = self.invoke("f")
        if reply.get("exhausted") != "gc-heap":
            self.assert_trap(reply, "allocation-too-large")

    def test_recursion(self) -> None:
        self.load(simple("10 00 0b"))
        self.assertEqual(self.invoke("f").get("exhausted"), "call-stack")
        self.assertEqual(self.invoke("f").get("exhausted"), "call-stack")

    def test_an_exception_leaves(self) -> None:
        self.need("exceptions")
        code = simple("08 00 0b", section_13="01 00 00")
        self.load(code)
        self.assertIs(self.invoke("f").get("thrown"), True)
        self.load(code)
        start = simple("08 00 0b", section_13="01 00 00", section_8="00")
        self.assertIs(self.instantiate(start, 1).get("thrown"), True)

    def test_a_heap_that_runs_out(self) -> None:
        if "--gc-heap-max" not in COMMAND:
            self.skipTest("the heap has no limit")
        # A list of as many arrays of 1,000 bytes as asked for; then one array.
        keep = "01 01 63 01 03 40 20 01 41 e8 07 fb 07 00 fb 00 01 21 01 20 00 41 01 6b 22 00 0d 00 0b 0b"
        self.load(
            module(
                ["5e 78 01", "5f 02 63 01 01 63 00 01", "60 01 7f 00"],
                [(2, keep), (2, "00 20 00 fb 07 00 1a 0b")],
                exports=[("f", FUNC, 0), ("small", FUNC, 1)],
            )
        )
        self.assertEqual(self.invoke("f", [("i32", "65536")]).get("exhausted"), "gc-heap")
        self.assertEqual(self.invoke("small", [("i32", "8")]), {"values": []})

    def test_it_goes_on_after_an_end(self) -> None:
        self.load(module(["60 01 7f 01 7f"], [(0, "00 20 00 41 02 6d 41 06 20 00 6d 6a 0b")]))
        self.assert_trap(self.invoke("f", [("i32", "0")], ["i32"]), "integer-divide-by-zero")
        self.assertEqual(self.invoke("f", [("i32", "2")], ["i32"]), {"values": [["i32", "4"]]})


if __name__ == "__main__":
    COMMAND = sys.argv[1:]
    if not COMMAND:
        sys.exit(f"usage: {sys.argv[0]} ADAPTER…")
    unittest.main(argv=sys.argv[:1])
