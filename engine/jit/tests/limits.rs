//! A module beyond each limit of wasmparser (its file `limits.rs`) is refused for the limit: neither as malformed nor as
//! invalid. What wasmparser refuses to read and the specification reads keeps the specification's class.

use assay_gc::TypeRegistry;
use assay_jit::{CompileOptions, Compiler, Error, ErrorKind};

fn validate(wasm: &[u8]) -> Result<(), Error> {
    let types = TypeRegistry::new().expect("address space");
    let collector = assay_gc::registry().first().expect("a collector");
    let compiler = Compiler::new(CompileOptions::default(), collector.constraints.code, types);
    compiler.expect("settings").validate(wasm)
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A vector of `count` times `item`.
fn list(count: usize, item: &[u8]) -> Vec<u8> {
    [leb(count), item.repeat(count)].concat()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [leb(bytes.len()), bytes.to_vec()].concat()
}

/// A module of sections.
fn module(sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut wasm = b"\0asm\x01\0\0\0".to_vec();
    for (id, content) in sections {
        wasm.push(*id);
        wasm.extend(sized(content));
    }
    wasm
}

const TYPE: u8 = 1;
const IMPORT: u8 = 2;
const FUNCTION: u8 = 3;
const TABLE: u8 = 4;
const MEMORY: u8 = 5;
const GLOBAL: u8 = 6;
const EXPORT: u8 = 7;
const ELEMENT: u8 = 9;
const CODE: u8 = 10;
const DATA: u8 = 11;
const DATA_COUNT: u8 = 12;
const TAG: u8 = 13;

/// `[] → []`, as the only type.
fn empty_type() -> (u8, Vec<u8>) {
    (TYPE, list(1, b"\x60\0\0"))
}

/// A module with one function of type `[] → []`; `code` is its locals and its body.
fn function(code: &[u8]) -> Vec<u8> {
    module(&[empty_type(), (FUNCTION, list(1, b"\0")), (CODE, list(1, &sized(code)))])
}

fn types(types: &[u8]) -> Vec<u8> {
    module(&[(TYPE, types.to_vec())])
}

/// A chain of `length` types, each but the first a subtype of the one before.
fn chain(length: usize) -> Vec<u8> {
    let mut bytes = [leb(length), b"\x50\0\x5f\0".to_vec()].concat();
    for index in 1..length {
        bytes.extend([&b"\x50\x01"[..], &leb(index - 1), b"\x5f\0"].concat());
    }
    types(&bytes)
}

/// A module with `count` of what has a limit.
type Make = fn(usize) -> Vec<u8>;

/// Of what, wasmparser's limit, a module with so many.
const LIMITS: [(&str, usize, Make); 23] = [
    ("types", 1_000_000, |n| types(&list(n, b"\x60\0\0"))),
    ("types of a recursion group", 1_000_000, |n| types(&[&b"\x01\x4e"[..], &list(n, b"\x60\0\0")].concat())),
    ("imports", 1_000_000, |n| module(&[(IMPORT, list(n, b"\0\0\x03\x7f\0"))])),
    ("functions", 1_000_000, |n| {
        module(&[empty_type(), (FUNCTION, list(n, b"\0")), (CODE, list(n, b"\x02\0\x0b"))])
    }),
    ("tables", 100_000, |n| module(&[(TABLE, list(n, b"\x70\0\0"))])),
    ("memories", 100, |n| module(&[(MEMORY, list(n, b"\0\0"))])),
    ("tags", 1_000_000, |n| module(&[empty_type(), (TAG, list(n, b"\0\0"))])),
    ("globals", 1_000_000, |n| module(&[(GLOBAL, list(n, b"\x7f\0\x41\0\x0b"))])),
    ("exports", 1_000_000, |n| {
        let mut exports = leb(n);
        for number in 0..n {
            exports.extend([&sized(format!("{number:x}").as_bytes())[..], b"\x03\0"].concat());
        }
        module(&[(GLOBAL, list(1, b"\x7f\0\x41\0\x0b")), (EXPORT, exports)])
    }),
    ("element segments", 100_000, |n| module(&[(ELEMENT, list(n, b"\x01\0\0"))])),
    ("elements of a segment", 10_000_000, |n| {
        let element = [&b"\x01\x01\0"[..], &list(n, b"\0")].concat();
        module(&[
            empty_type(),
            (FUNCTION, list(1, b"\0")),
            (ELEMENT, element),
            (CODE, list(1, b"\x02\0\x0b")),
        ])
    }),
    ("data segments", 100_000, |n| module(&[(DATA, list(n, b"\x01\0"))])),
    ("data segments", 100_000, |n| module(&[(DATA_COUNT, leb(n)), (DATA, list(n, b"\x01\0"))])),
    ("bytes of a name", 100_000, |n| {
        let export = [&b"\x01"[..], &list(n, b"n"), b"\x02\0"].concat();
        module(&[(MEMORY, list(1, b"\0\0")), (EXPORT, export)])
    }),
    ("parameters of a function type", 1000, |n| {
        types(&[&b"\x01\x60"[..], &list(n, b"\x7f"), b"\0"].concat())
    }),
    ("results of a function type", 1000, |n| types(&[&b"\x01\x60\0"[..], &list(n, b"\x7f")].concat())),
    ("fields of a structure", 10_000, |n| types(&[&b"\x01\x5f"[..], &list(n, b"\x7f\0")].concat())),
    ("supertypes of a type", 63, |n| chain(n + 1)),
    // The module counts 1, a global 1, a function 2 more than it has parameters and results.
    ("values in the types of imports and exports", 999_999, |n| {
        let wide = [&b"\x01\x60"[..], &list(997, b"\x7f"), b"\0"].concat();
        let (wides, rest) = ((n - 1) / 999, (n - 1) % 999);
        let imports = [leb(wides + rest), b"\0\0\0\0".repeat(wides), b"\0\0\x03\x7f\0".repeat(rest)];
        module(&[(TYPE, wide), (IMPORT, imports.concat())])
    }),
    ("locals of a function", 50_000, |n| function(&[&b"\x01"[..], &leb(n), b"\x7f\x0b"].concat())),
    ("bytes of a function's body", 7_654_321, |n| {
        function(&[&b"\0"[..], &b"\x01".repeat(n - 2), b"\x0b"].concat())
    }),
    ("clauses of a try_table", 10_000, |n| {
        function(&[&b"\0\x1f\x40"[..], &list(n, b"\x02\0"), b"\x0b\x0b"].concat())
    }),
    ("targets of a br_table", 7_654_321, |n| {
        function(&[&b"\0\x41\0\x0e"[..], &list(n, b"\0"), b"\0\x0b"].concat())
    }),
];

#[test]
fn beyond_a_limit_is_neither_malformed_nor_invalid() {
    for (what, most, make) in LIMITS {
        let kind = validate(&make(most + 1)).expect_err(what).kind().clone();
        let expected = ErrorKind::Limit { what, given: most as u64 + 1, limit: most as u64, place: None };
        assert_eq!(kind, expected, "{what}");
        // As many as the limit allows are fine, unless they are beyond another one.
        if let Err(error) = validate(&make(most)) {
            let other = matches!(error.kind(), ErrorKind::Limit { what: other, .. } if *other != what);
            assert!(
                other && ["imports", "exports", "targets of a br_table"].contains(&what),
                "{what}: {error}"
            );
        }
    }
}

/// A list that is longer than the limit and ends behind the module.
#[test]
fn beyond_a_limit_and_cut_off_is_malformed() {
    for cut in [
        types(&[&b"\x01\x60"[..], &leb(1001), b"\x7f\0"].concat()),
        types(&[&b"\x01\x5f"[..], &leb(10_001), b"\x7f\0"].concat()),
        types(&[&b"\x01\x50"[..], &leb(100), b"\0\x5f\0"].concat()),
        module(&[(EXPORT, [&b"\x01"[..], &leb(100_001), b"n\0\0"].concat())]),
        function(&[&b"\0\x1f\x40"[..], &leb(10_001), b"\x02\0\x0b\x0b"].concat()),
    ] {
        let kind = validate(&cut).expect_err("cut off").kind().clone();
        assert!(matches!(kind, ErrorKind::Malformed { .. }), "{kind:?}");
    }
}

#[test]
fn what_a_rule_forbids_is_invalid_however_much() {
    let supertypes = |n: usize| types(&[&b"\x02\x50\0\x5f\0\x50"[..], &list(n, b"\0"), b"\x5f\0"].concat());
    let select = |n: usize| function(&[&b"\0\0\x1c"[..], &list(n, b"\x7f"), b"\x0b"].concat());
    for count in [2, 5, 6, 10, 11, 200] {
        for wasm in [supertypes(count), select(count)] {
            let kind = validate(&wasm).expect_err("a rule").kind().clone();
            assert!(matches!(kind, ErrorKind::Invalid { .. }), "{count}: {kind:?}");
        }
    }
}

/// wasmparser reads type indices up to some 2²⁰.
#[test]
fn a_type_index_that_nothing_has_is_invalid() {
    let index = [0xff, 0xff, 0xff, 0xff, 0x07];
    let field = |count: usize, items: &[u8]| {
        types(&[&leb(count + 1)[..], items, b"\x5f\x01\x63", &index, b"\0"].concat())
    };
    let super_type = types(&[&b"\x01\x50\x01"[..], &index, b"\x5f\0"].concat());
    let null = function(&[&b"\0\xd0"[..], &index, b"\x1a\x0b"].concat());
    for wasm in [field(0, &[]), super_type, null] {
        let kind = validate(&wasm).expect_err("unknown type").kind().clone();
        assert!(matches!(kind, ErrorKind::Invalid { .. }), "{kind:?}");
    }
    let many = field(1_000_000, &b"\x60\0\0".repeat(1_000_000));
    let kind = validate(&many).expect_err("types").kind().clone();
    assert_eq!(kind, ErrorKind::Limit { what: "types", given: 1_000_001, limit: 1_000_000, place: None });
}
