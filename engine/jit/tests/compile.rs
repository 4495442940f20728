//! Whole modules through the compiler, in every configuration, with Cranelift's verifier on. Nothing is run.

use std::sync::Arc;

use assay_gc::TypeRegistry;
use assay_jit::{CompileOptions, CompiledModule, Compiler, Error, ErrorKind, OptLevel, RegAlloc, Validated};

fn all_options() -> Vec<CompileOptions> {
    let mut all = Vec::new();
    for opt in [OptLevel::None, OptLevel::Speed] {
        for regalloc in [RegAlloc::SinglePass, RegAlloc::Backtracking] {
            for (fuel, alias_analysis) in [(false, true), (true, false)] {
                all.push(CompileOptions {
                    opt,
                    regalloc,
                    fuel,
                    slow_barriers: fuel,
                    verifier: true,
                    alias_analysis,
                    ..CompileOptions::default()
                });
            }
        }
    }
    all
}

fn compiler(options: CompileOptions) -> Compiler {
    let types = TypeRegistry::new().expect("address space");
    let collector = assay_gc::registry().last().expect("a collector");
    Compiler::new(options, collector.constraints.code, types).expect("settings")
}

fn compile(text: &str) -> Result<CompiledModule, Error> {
    compiler(CompileOptions::default()).compile(&wat::parse_str(text).expect("text"))
}

/// Compiles `text` in every configuration.
fn compile_all(text: &str) -> Vec<CompiledModule> {
    let wasm = wat::parse_str(text).expect("text");
    let all = all_options().into_iter();
    all.map(|options| compiler(options).compile(&wasm).unwrap_or_else(|e| panic!("{options:?}: {e}\n{text}")))
        .collect()
}

/// Compiles a module around `body`, which must call `$gc` where something has to be live.
fn slots(body: &str) -> Vec<usize> {
    let text = format!(
        "(module
            (type $s (sub (struct (field (mut i32)) (field (mut anyref)))))
            (type $f (func (result anyref)))
            (import \"\" \"gc\" (func $gc))
            (import \"\" \"make\" (func $make (result anyref)))
            (import \"\" \"make2\" (func $make2 (result i32 anyref externref)))
            (import \"\" \"use\" (func $use (param anyref)))
            (table $t 4 anyref) (table $ft 4 funcref) (global $g (mut anyref) (ref.null any))
            (elem declare func $make)
            {body})"
    );
    compile_all(&text)
        .iter()
        .map(|module| module.map.stack_maps.iter().map(|map| map.slots.len()).max().unwrap_or(0))
        .collect()
}

#[test]
fn every_producer_of_a_reference_is_in_the_stack_map() {
    for (what, body) in [
        ("parameter", "(func (param $x anyref) (call $gc) (call $use (local.get $x)))"),
        ("unnamed operand", "(func (param $x anyref) (local.get $x) (local.set $x (ref.null any)) (call $gc) (call $use))"),
        ("result", "(func (call $make) (call $gc) (call $use))"),
        ("indirect result", "(func (call_indirect $ft (type $f) (i32.const 0)) (call $gc) (call $use))"),
        ("call_ref result", "(func (call_ref $f (ref.func $make)) (call $gc) (call $use))"),
        ("table.get", "(func (table.get $t (i32.const 0)) (call $gc) (call $use))"),
        ("global.get", "(func (global.get $g) (call $gc) (call $use))"),
        ("struct.get", "(func (param $s (ref $s)) (struct.get $s 1 (local.get $s)) (call $gc) (call $use))"),
        ("struct.new", "(func (struct.new $s (i32.const 1) (ref.null any)) (call $gc) (call $use))"),
        (
            "select",
            "(func (param i32) (select (result anyref) (global.get $g) (table.get $t (i32.const 0)) (local.get 0))
                (call $gc) (call $use))",
        ),
        (
            "block result",
            "(func (param i32) (block $b (result anyref) (br_if $b (global.get $g) (local.get 0))
                (drop) (table.get $t (i32.const 1))) (call $gc) (call $use))",
        ),
        (
            "if result",
            "(func (param i32) (if (result anyref) (local.get 0) (then (global.get $g))
                (else (table.get $t (i32.const 1)))) (call $gc) (call $use))",
        ),
        (
            "loop parameter",
            "(func (param i32) (global.get $g) (loop $l (param anyref) (call $gc) (call $use) (global.get $g)
                (br_if $l (local.get 0)) (drop)))",
        ),
        ("ref.cast", "(func (ref.cast (ref $s) (global.get $g)) (call $gc) (call $use))"),
        ("br_on_null", "(func (block $b (br_on_null $b (global.get $g)) (call $gc) (call $use)))"),
        (
            "br_on_non_null",
            "(func (block $b (result (ref any)) (br_on_non_null $b (global.get $g)) (return)) (call $gc) (call $use))",
        ),
        ("ref.as_non_null", "(func (ref.as_non_null (global.get $g)) (call $gc) (call $use))"),
        ("externref", "(func (param $x externref) (call $gc) (call $use (any.convert_extern (local.get $x))))"),
        (
            "br_table",
            "(func (param i32) (block $b (result anyref) (block $c (result anyref)
                (br_table $b $c $b (global.get $g) (local.get 0))) (call $gc)) (call $gc) (call $use))",
        ),
    ] {
        for count in slots(body) {
            assert!(count >= 1, "{what}: no stack map has a slot");
        }
    }
}

#[test]
fn two_of_several_results_are_in_the_stack_map() {
    let body = "(func (local i32 anyref externref) (call $make2) (local.set 2) (local.set 1) (local.set 0)
        (call $gc) (call $use (local.get 1)) (call $use (any.convert_extern (local.get 2))))";
    assert!(slots(body).iter().all(|count| *count >= 2));
}

#[test]
fn numbers_and_functions_are_in_no_stack_map() {
    let body = "(func (param i32 i64 f32 f64 funcref) (result funcref i32)
        (local.get 4) (local.get 0) (call $gc))
        (func (result funcref) (table.get $ft (i32.const 0)) (call $gc))
        (func (result (ref $f)) (ref.func $make) (call $gc))";
    assert!(slots(body).iter().all(|count| *count == 0));
}

#[test]
fn tables_are_in_address_order() {
    let mut text = String::from("(module (import \"\" \"gc\" (func $gc (param anyref)))");
    for number in 0..100 {
        text += &format!(
            "(func (param anyref i32) (if (i32.div_u (i32.const {number}) (local.get 1))
                (then (call $gc (local.get 0)))) (call $gc (local.get 0))
                (block $h (try_table (catch_all $h) (call $gc (local.get 0)) (call $gc (local.get 0)))))"
        );
    }
    let module = compile(&(text + ")")).expect("valid");
    let map = &module.map;
    assert_eq!(module.entries.len(), 100);
    assert!(module.entries.is_sorted());
    assert_eq!(map.base, module.entries[0]);
    assert!(map.stack_maps.is_sorted_by_key(|m| m.return_offset));
    assert!(map.traps.is_sorted_by_key(|t| t.0));
    assert!(map.stack_maps.len() >= 100);
    // Calls within the try_tables and no others; both of one go to the same place.
    assert!(map.landings.is_sorted_by_key(|l| l.return_offset));
    assert_eq!(map.landings.len(), 200);
    for pair in map.landings.chunks(2) {
        assert_eq!(
            map.landing(map.base + pair[0].return_offset as usize).map(|l| l.handler),
            Some(pair[1].handler)
        );
        assert!(map.landing(map.base + pair[0].return_offset as usize + 1).is_none());
    }
    for (number, entry) in module.entries.iter().enumerate() {
        assert!(map.contains(*entry));
        assert_eq!(map.function(*entry), Some(number as u32 + 1));
    }
    assert_eq!(map.function(map.base + map.len), None);
    assert!(map.traps.iter().all(|(_, code)| assay_jit::TrapCode::from_raw(*code).is_some()));
}

#[test]
fn errors_tell_malformed_invalid_and_unsupported_apart() {
    let kind = |text: &str| compile(text).expect_err("refused").kind().clone();
    let bytes =
        |wasm: &[u8]| compiler(CompileOptions::default()).compile(wasm).expect_err("refused").kind().clone();
    assert!(matches!(bytes(b""), ErrorKind::Malformed { .. }));
    assert!(matches!(bytes(b"\0asm\x01\0\0\0\x01\xff"), ErrorKind::Malformed { .. }));
    assert!(matches!(bytes(b"\0asm\x0d\0\x01\0"), ErrorKind::Malformed { .. }));
    let illegal = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\xff\x0b";
    assert!(matches!(bytes(illegal), ErrorKind::Malformed { .. }));
    assert!(matches!(kind("(module (func (result i32)))"), ErrorKind::Invalid { .. }));
    assert!(matches!(kind("(module (func (result i32) i64.const 1))"), ErrorKind::Invalid { .. }));
    let result = "(module (tag (result i32)))";
    assert!(matches!(kind(result), ErrorKind::Invalid { .. }), "{:?}", kind(result));
    let legacy = "(module (tag $t) (func try throw $t catch_all end))";
    assert!(matches!(kind(legacy), ErrorKind::Malformed { .. }), "{:?}", kind(legacy));
    let on = compiler(CompileOptions { legacy_exceptions: true, ..CompileOptions::default() });
    on.compile(&wat::parse_str(legacy).expect("the text is right")).expect("legacy exceptions are on");
    let unannounced = "(module (memory 1) (func (data.drop 0)) (data \"\"))";
    let wasm = wat::parse_str(unannounced).expect("text");
    assert!(compiler(CompileOptions::default()).compile(&wasm).is_ok());
}

/// Compiles quickly, whatever the optimisation; a refusal by a limit is fine, anything else is not.
fn bounded(text: &str) -> Option<CompiledModule> {
    let wasm = wat::parse_str(text).expect("text");
    let mut modules = [OptLevel::None, OptLevel::Speed].into_iter().flat_map(|opt| {
        [RegAlloc::SinglePass, RegAlloc::Backtracking].map(|regalloc| {
            let options = CompileOptions { opt, regalloc, verifier: false, ..CompileOptions::default() };
            match compiler(options).compile(&wasm) {
                Ok(module) => Some(module),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Limit { .. }), "{error}");
                    None
                }
            }
        })
    });
    let first = modules.next()?;
    assert!(modules.all(|module| module.is_some() == first.is_some()), "options change the limits");
    first
}

/// Debug builds of Cranelift are some 20 times slower than release builds: smaller shapes there.
const SCALE: usize = if cfg!(debug_assertions) { 10 } else { 1 };

fn increments(locals: usize) -> String {
    (0..locals).map(|n| format!("(local.set {n} (i32.add (local.get {n}) (i32.const 1)))")).collect()
}

#[test]
fn many_named_locals() {
    let count = 10_000 / SCALE;
    let (locals, gets) = ("i32 ".repeat(count), increments(count));
    assert!(bounded(&format!("(module (func (local {locals}) {gets}))")).is_some());
}

#[test]
fn many_named_locals_in_many_loops() {
    let count = 10_000 / SCALE;
    let (locals, gets) = ("i32 ".repeat(count), increments(count));
    let (open, close) = ("(loop ".repeat(count / 10), ")".repeat(count / 10));
    bounded(&format!("(module (func (local {locals}) {open} {gets} {close}))"));
}

#[test]
fn many_locals_over_many_branches() {
    let count = 20_000 / SCALE;
    let (locals, gets) = ("i32 ".repeat(count), increments(count));
    let checks = "(drop (i32.div_u (local.get 0) (local.get 1)))".repeat(count);
    assert!(bounded(&format!("(module (func (local {locals}) {gets} {checks} {gets}))")).is_some());
}

#[test]
fn many_references_over_many_branches() {
    let count = 20_000 / SCALE;
    let locals = "anyref ".repeat(count);
    let gets: String = (0..count).map(|n| format!("(local.set {n} (global.get 0))")).collect();
    let uses: String = (0..count).map(|n| format!("(call 0 (local.get {n}))")).collect();
    let checks = "(if (i32.const 1) (then (call 0 (local.get 0))))".repeat(count);
    let text = format!(
        "(module (import \"\" \"f\" (func (param anyref))) (global (mut anyref) (ref.null any))
            (func (local {locals}) {gets} {checks} {uses}))"
    );
    bounded(&text);
}

#[test]
fn many_unnamed_locals() {
    let unnamed = "i64 ".repeat(49_999);
    assert!(bounded(&format!("(module {})", format!("(func (local {unnamed}))").repeat(20))).is_some());
}

#[test]
fn many_functions() {
    let count = 50_000 / SCALE;
    let module = bounded(&format!("(module {})", "(func (result i32) (i32.const 1))".repeat(count)));
    assert_eq!(module.expect("below the limits").entries.len(), count);
}

#[test]
fn wide_blocks_in_a_row() {
    let params = "i32 ".repeat(1000);
    let gets: String = (0..1000).map(|n| format!("local.get {n} ")).collect();
    let wide = "block (type $t) end ".repeat(3000 / SCALE);
    let ty = format!("(type $t (func (param {params}) (result {params})))");
    bounded(&format!("(module {ty} (func (type $t) {gets} {wide}))"));
}

#[test]
fn deep_nest() {
    let deep = 20_000 / SCALE;
    for op in ["block ", "loop ", "i32.const 1 if "] {
        bounded(&format!("(module (func {} {}))", op.repeat(deep), "end ".repeat(deep)));
    }
}

#[test]
fn catches_within_each_other_by_the_thousand() {
    let options = CompileOptions { legacy_exceptions: true, verifier: false, ..CompileOptions::default() };
    for (depth, fits) in [(20, true), (5000, false)] {
        let (open, close) = (
            "try call $g catch_all ".repeat(depth),
            "call $g global.get 0 if rethrow 1 end end ".repeat(depth),
        );
        let text =
            format!("(module (global (mut i32) (i32.const 0)) (func $g) (func {open} call $g {close}))");
        match compiler(options).compile(&wat::parse_str(text).expect("text")) {
            Ok(_) => assert!(fits),
            Err(error) => assert!(!fits && matches!(error.kind(), ErrorKind::Limit { .. }), "{error}"),
        }
    }
}

/// Shapes for which optimisation, or the allocator that goes with it, takes a time that is quadratic or worse: minutes at
/// these sizes.
#[test]
fn quadratic_shapes_are_compiled_plainly() {
    let count = 10_000 / SCALE;
    let loads: String =
        (0..count).map(|n| format!("(i64.load offset={} (local.get 0)) i64.add ", n * 8)).collect();
    let lives = |get: &str| (1..=3000).map(|n| get.replace('N', &n.to_string())).collect::<String>();
    for (what, body) in [
        ("try_tables in a row", "try_table (catch $t 0) call 0 end ".repeat(count)),
        (
            "try_tables within each other",
            "try_table (catch $t 0) ".repeat(count) + "call 0 " + &"end ".repeat(count),
        ),
        ("a sum of loads", format!("i64.const 0 {loads} drop")),
        ("divisions", "i32.const 1 ".to_owned() + &"i32.const 2 i32.div_u ".repeat(count) + "drop"),
        ("allocations", "(drop (struct.new $s (ref.null any))) ".repeat(count)),
        ("calls in branches", "i32.const 1 if call 0 end ".repeat(count)),
        (
            "locals that live long",
            lives("(local.set N (call $get))")
                + &"(br_if 0 (call $get))".repeat(count / 10)
                + &lives("(call $take (local.get N))"),
        ),
    ] {
        let text = format!(
            "(module (type $s (struct (field anyref))) (func) (memory i64 1) (tag $t)
                (func $get (result i32) i32.const 1) (func $take (param i32))
                (func (param i64) (local {}) {body}))",
            "i32 ".repeat(3000)
        );
        let module = bounded(&text).unwrap_or_else(|| panic!("{what}: refused"));
        assert!(module.plain == 1 || SCALE > 1, "{what}");
    }
}

/// What is quadratic even so: the liveness of operands that wait, the nest of loops.
#[test]
fn too_much_work_is_a_limit_of_a_function() {
    let count = 60_000;
    for (what, body) in [
        (
            "pairs of an operand that waits and a block",
            format!(
                "block {} {} end",
                "global.get 0 (br_if 0 (global.get 0)) ".repeat(count),
                "global.set 0 ".repeat(count)
            ),
        ),
        (
            "pairs of an open label and a block",
            "loop ".repeat(count) + &"global.get 0 br_if 0 end ".repeat(count),
        ),
    ] {
        let text = format!(
            "(module (import \"\" \"\" (func)) (global (mut i32) (i32.const 0)) (func) (func {body}))"
        );
        let error = compile(&text).expect_err(what);
        let ErrorKind::Limit { what: of, place: Some(place), .. } = error.kind() else { panic!("{error}") };
        assert_eq!((*of, place.function), (what, 2));
        assert!(place.offset > 20 && error.to_string().contains("in function 2 at offset 0x"), "{error}");
    }
}

#[test]
fn functions_of_common_size_are_not_compiled_plainly() {
    let body = "(drop (struct.new $s (local.get 0)))
        (if (local.get 1) (then (call $g (struct.get $s 0 (ref.cast (ref $s) (local.get 0))))))
        (block $h (try_table (catch_all $h) (call $g (local.get 0)))) "
        .repeat(100);
    let text = format!(
        "(module (type $s (sub (struct (field (mut anyref))))) (func $g (param anyref))
            (func (param anyref i32) {body}))"
    );
    assert!(compile_all(&text).iter().all(|module| module.plain == 0));
}

#[test]
fn large_branch_tables() {
    let targets = "0 1 ".repeat(20_000);
    let table = format!("(block (block (br_table {targets} (local.get 0))))");
    assert!(bounded(&format!("(module (func (param i32) {}))", table.repeat(5))).is_some());
}

#[test]
fn wide_calls_compile() {
    let wide = "i32 i64 f32 f64 anyref ".repeat(40);
    let gets: String = (0..200).map(|n| format!("local.get {n} ")).collect();
    let text = format!(
        "(module (type $t (func (param {wide}) (result {wide})))
            (import \"\" \"f\" (func $i (type $t)))
            (table 1 (ref null $t))
            (func $a (type $t) {gets} (call $b))
            (func $b (type $t) {gets} (return_call $a))
            (func $c (type $t) {gets} (return_call $i))
            (func $d (type $t) {gets} (return_call_indirect (type $t) (i32.const 0)))
            (func $e (type $t) {gets} (call_indirect (type $t) (i32.const 0)))
            (func $f (result i32) (return_call $g (i32.const 1)))
            (func $g (param i32) (result i32) (return_call $f)))"
    );
    compile_all(&text);
}

#[test]
fn trampolines_compile() {
    use assay_gc::{AbstractHeapType, FuncType, HeapType, RefType, ValType};
    use assay_jit::trampoline::AbiSignature;
    let any = ValType::Ref(RefType { nullable: true, heap: HeapType::Abstract(AbstractHeapType::Any) });
    let few = [ValType::I32, ValType::I64, ValType::F32, ValType::F64, any];
    let many: Vec<ValType> = few.into_iter().cycle().take(1000 / SCALE).collect();
    for options in all_options().into_iter().step_by(2) {
        let compiler = compiler(options);
        for params in [&[][..], &few, &many] {
            for results in [&[][..], &few, &many] {
                let ty = FuncType { params: params.into(), results: results.into() };
                let made = compiler.trampolines(&AbiSignature::of(&ty)).expect("compiles");
                assert!(made.map.contains(made.entry) && made.map.contains(made.host_thunk));
                assert!(made.map.stack_maps.is_empty());
            }
        }
    }
}

#[test]
fn a_validated_module_compiles_under_the_same_rules_only() {
    let legacy = CompileOptions { legacy_exceptions: true, ..CompileOptions::default() };
    // (module (func (try (do) (catch_all)))), with the legacy instructions.
    let body = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x08\x01\x06\0\x06\x40\x19\x0b\x0b";
    let valid = Validated::new(body, &legacy).expect("valid");
    assert_eq!(valid.bytes(), body);
    assert_eq!(compiler(legacy).compile_validated(&valid).expect("valid").entries.len(), 1);
    let strict = CompileOptions::default();
    assert!(Validated::new(body, &strict).is_err());
    let refused = compiler(strict).compile_validated(&valid).expect_err("other rules");
    assert_eq!(refused.kind(), compiler(strict).compile(body).expect_err("other rules").kind());
    let plain = Validated::new(b"\0asm\x01\0\0\0", &strict).expect("valid");
    assert!(compiler(legacy).compile_validated(&plain).is_ok());
}

#[test]
fn compiled_modules_can_move_between_threads() {
    fn send_sync<T: Send + Sync>() {}
    send_sync::<CompiledModule>();
    send_sync::<Compiler>();
    let compiler = Arc::new(compiler(CompileOptions::default()));
    let wasm = wat::parse_str("(module (func))").expect("text");
    let module =
        std::thread::spawn(move || compiler.compile(&wasm)).join().expect("no panic").expect("valid");
    assert_eq!(module.entries.len(), 1);
}
