//! Calls, traps, limits and mistakes, one store at a time.

use crate::common::*;
use assay_runtime::*;

fn fuel_engines() -> Vec<(String, Engine)> {
    engines(|config| config.fuel = true)
}

#[test]
fn typed_calls_carry_every_number() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(
            &engine,
            r#"(module
                (func (export "add") (param i32 i64) (result i64)
                    (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1)))
                (func (export "swap") (param f32 f64) (result f64 f32) (local.get 1) (local.get 0))
                (func (export "many") (param i32 i64 f32 f64 i32 i64 f32 f64)
                    (result f64 f32 i64 i32 f64 f32 i64 i32)
                    (local.get 7) (local.get 6) (local.get 5) (local.get 4)
                    (local.get 3) (local.get 2) (local.get 1) (local.get 0)))"#,
        );
        let add = func(&store, instance, "add").typed::<(i32, i64), i64>(&store).unwrap();
        assert_eq!(add.call(&mut store, (-2, 44)).unwrap(), 42, "{name}");
        let swap = func(&store, instance, "swap").typed::<(f32, f64), (f64, f32)>(&store).unwrap();
        assert_eq!(swap.call(&mut store, (1.5, -2.5)).unwrap(), (-2.5, 1.5), "{name}");
        type Eight = (i32, i64, f32, f64, i32, i64, f32, f64);
        type Back = (f64, f32, i64, i32, f64, f32, i64, i32);
        let many = func(&store, instance, "many").typed::<Eight, Back>(&store).unwrap();
        let back = many.call(&mut store, (1, 2, 3.0, 4.0, 5, 6, 7.0, 8.0)).unwrap();
        assert_eq!(back, (8.0, 7.0, 6, 5, 4.0, 3.0, 2, 1), "{name}");
        assert!(func(&store, instance, "add").typed::<i32, i64>(&store).is_err());
    }
}

#[test]
fn hundreds_of_parameters_and_results_pass_both_bridges() {
    for (name, engine) in engines(|_| {}) {
        let count = 300;
        let params = "i64 ".repeat(count);
        let gets: String = (0..count).rev().map(|index| format!("(local.get {index})")).collect();
        let text = format!(
            r#"(module (import "h" "f" (func $f (param {params}) (result {params})))
                (func (export "g") (param {params}) (result {params}) {gets} (call $f)))"#
        );
        let mut store = Store::new(&engine).unwrap();
        let ty =
            FuncType { params: vec![ValType::I64; count].into(), results: vec![ValType::I64; count].into() };
        let host = Func::new(&mut store, ty, |_, args, results| {
            results.extend_from_slice(args);
            Ok(())
        })
        .unwrap();
        let module = module(&engine, &text);
        let instance = Instance::new(&mut store, &module, &[Extern::Func(host)]).unwrap();
        let args: Vec<Val> = (0..count as i64).map(Val::I64).collect();
        let results = func(&store, instance, "g").call(&mut store, &args).unwrap();
        for (index, value) in results.iter().enumerate() {
            assert!(matches!(value, Val::I64(value) if *value == (count - 1 - index) as i64), "{name}");
        }
    }
}

#[test]
fn each_trap_has_its_code_and_a_backtrace() {
    for (name, engine) in engines(|_| {}) {
        let (mut store, instance) = instance(
            &engine,
            r#"(module
                (memory 1)
                (table 2 funcref)
                (type $t (func))
                (type $a (array (mut i32)))
                (func $unreachable (export "unreachable") unreachable)
                (func $outer (export "outer") (call $unreachable))
                (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
                (func (export "load") (param i32) (result i32) (i32.load offset=4294967295 (local.get 0)))
                (func (export "store") (param i32) (i32.store (local.get 0) (i32.const 1)))
                (func (export "call") (param i32) (call_indirect (type $t) (local.get 0)))
                (func (export "null") (result i32) (array.len (ref.null $a)))
                (func (export "elem") (param i32) (result i32)
                    (array.get $a (array.new_default $a (i32.const 3)) (local.get 0)))
                (func (export "cast") (result i31ref) (ref.cast i31ref (array.new_default $a (i32.const 1))))
                (func (export "huge") (drop (array.new_default $a (i32.const -1)))))"#,
        );
        let mut trap = |export: &str, args: &[i32]| {
            let args: Vec<Val> = args.iter().map(|value| Val::I32(*value)).collect();
            let error = func(&store, instance, export).call(&mut store, &args).unwrap_err();
            assert!(!error.backtrace().is_empty(), "{name} {export}");
            assert!(
                error.backtrace().iter().all(|frame| frame.instance == Some(0)),
                "{name} {export}: {error:?}"
            );
            error.trap().unwrap_or_else(|| panic!("{name} {export}: {error}"))
        };
        assert_eq!(trap("unreachable", &[]), TrapCode::Unreachable);
        assert_eq!(trap("outer", &[]), TrapCode::Unreachable);
        assert_eq!(trap("div", &[1, 0]), TrapCode::IntegerDivideByZero);
        assert_eq!(trap("div", &[i32::MIN, -1]), TrapCode::IntegerOverflow);
        assert_eq!(trap("load", &[0]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap("load", &[-1]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap("store", &[65533]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap("call", &[0]), TrapCode::UninitializedElement);
        assert_eq!(trap("call", &[2]), TrapCode::TableOutOfBounds);
        assert_eq!(trap("null", &[]), TrapCode::NullReference);
        assert_eq!(trap("elem", &[3]), TrapCode::ArrayOutOfBounds);
        assert_eq!(trap("cast", &[]), TrapCode::CastFailure);
        assert_eq!(trap("huge", &[]), TrapCode::AllocationTooLarge);
        let error = func(&store, instance, "outer").call(&mut store, &[]).unwrap_err();
        let functions: Vec<_> =
            error.backtrace().iter().map(|frame| (frame.function, frame.name.as_deref())).collect();
        assert_eq!(functions, [(Some(0), Some("unreachable")), (Some(1), Some("outer"))], "{name}");
        let error = func(&store, instance, "load").call(&mut store, &[Val::I32(0)]).unwrap_err();
        assert_eq!(error.backtrace()[0].function, Some(3), "{name}: a fault has its frame, too");
    }
}

#[test]
fn endless_recursion_exhausts_the_call_stack_and_nothing_else() {
    for (name, engine) in engines(|config| config.max_wasm_stack = 64 << 10) {
        let (mut store, instance) = instance(
            &engine,
            r#"(module
                (type $s (struct (field i32)))
                (func $f (export "f") (param i32) (result i32)
                    (local $keep (ref null $s))
                    (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
                    (local.set $keep (struct.new $s (local.get 0)))
                    (i32.add (struct.get $s 0 (local.get $keep)) (call $f (i32.sub (local.get 0) (i32.const 1))))))"#,
        );
        let f = func(&store, instance, "f");
        let error = f.call(&mut store, &[Val::I32(i32::MAX)]).unwrap_err();
        assert_eq!(error.exhausted(), Some(Resource::CallStack), "{name}");
        assert_eq!(error.backtrace().len(), 64, "{name}");
        assert_eq!(i32_of(&f.call(&mut store, &[Val::I32(50)]).unwrap()), 1275, "{name}");
    }
}

#[test]
fn fuel_is_charged_by_the_contract() {
    for (name, engine) in fuel_engines() {
        let (mut store, instance) = instance(
            &engine,
            r#"(module
                (memory 1)
                (type $a (array (mut i8)))
                (func (export "nop"))
                (func (export "loop") (param i32)
                    (loop $l (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $l (local.get 0))))
                (func (export "fill") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0)))
                (func (export "byte") (result i32) (i32.load8_u (i32.const 0)))
                (func (export "array") (param i32) (drop (array.new $a (i32.const 1) (local.get 0))))
                (func (export "fixed") (drop (array.new_fixed $a 3 (i32.const 1) (i32.const 1) (i32.const 1))))
                (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#,
        );
        let mut cost = |export: &str, args: &[i32]| {
            let args: Vec<Val> = args.iter().map(|value| Val::I32(*value)).collect();
            store.set_fuel(1000);
            func(&store, instance, export).call(&mut store, &args).unwrap();
            let exact = 1000 - store.fuel();
            store.set_fuel(exact);
            func(&store, instance, export).call(&mut store, &args).unwrap();
            assert_eq!(store.fuel(), 0, "{name} {export}");
            store.set_fuel(exact - 1);
            let error = func(&store, instance, export).call(&mut store, &args).unwrap_err();
            assert_eq!(error.exhausted(), Some(Resource::Fuel), "{name} {export}");
            assert_eq!(store.fuel(), 0, "{name} {export}");
            exact
        };
        assert_eq!(cost("nop", &[]), 1, "{name}");
        assert_eq!(cost("loop", &[7]), 8, "{name}");
        assert_eq!(cost("fill", &[0]), 1, "{name}");
        assert_eq!(cost("fill", &[64]), 2, "{name}");
        assert_eq!(cost("fill", &[65]), 3, "{name}");
        assert_eq!(cost("array", &[10]), 11, "{name}");
        assert_eq!(cost("fixed", &[]), 4, "{name}");
        assert_eq!(cost("grow", &[2]), 3, "{name}");
        // Growth over the limit costs nothing but the call.
        assert_eq!(cost("grow", &[65536]), 1, "{name}");
    }
}

#[test]
fn a_full_heap_is_an_error_and_stays_usable() {
    for (name, engine) in engines(|config| {
        config.gc_heap_max = 1 << 20;
        config.gc_heap_initial = 1 << 16;
        config.stress.every_alloc = false;
        config.stress.verify = false;
    }) {
        let (mut store, instance) = instance(
            &engine,
            r#"(module
                (type $n (struct (field i32) (field (ref null $n))))
                (global $list (mut (ref null $n)) (ref.null $n))
                (func (export "fill") (loop $l
                    (global.set $list (struct.new $n (i32.const 1) (global.get $list))) (br $l)))
                (func (export "count") (result i32) (local $n i32) (local $at (ref null $n))
                    (local.set $at (global.get $list))
                    (block $done (loop $l
                        (br_if $done (ref.is_null (local.get $at)))
                        (local.set $n (i32.add (local.get $n) (struct.get $n 0 (local.get $at))))
                        (local.set $at (struct.get $n 1 (local.get $at)))
                        (br $l)))
                    (local.get $n))
                (func (export "clear") (global.set $list (ref.null $n)))
                (func (export "one") (global.set $list (struct.new $n (i32.const 1) (ref.null $n)))))"#,
        );
        let error = func(&store, instance, "fill").call(&mut store, &[]).unwrap_err();
        assert_eq!(error.exhausted(), Some(Resource::GcHeap), "{name}: {error}");
        let count = i32_of(&func(&store, instance, "count").call(&mut store, &[]).unwrap());
        assert!(count > 10_000, "{name}: {count}");
        store.verify_heap().unwrap();
        func(&store, instance, "clear").call(&mut store, &[]).unwrap();
        let one = func(&store, instance, "one").call(&mut store, &[]);
        assert_eq!(one.is_ok(), !name.starts_with("null"), "{name}");
    }
}

#[test]
fn oversized_memories_and_tables_are_refused() {
    let config = |config: &mut Config| {
        config.max_memory_pages = 100;
        config.max_table_elements = 1000;
    };
    for (name, engine) in engines(config) {
        let mut store = Store::new(&engine).unwrap();
        for (text, resource) in [
            ("(module (memory 101))", Resource::Memory),
            ("(module (memory 65536))", Resource::Memory),
            ("(module (memory i64 0x1000000000000))", Resource::Memory),
            ("(module (table 1001 funcref))", Resource::Table),
            ("(module (table 0xffffffff externref))", Resource::Table),
        ] {
            let module = module(&engine, text);
            let error = Instance::new(&mut store, &module, &[]).unwrap_err();
            assert_eq!(error.exhausted(), Some(resource), "{name} {text}");
        }
        let (mut store, instance) = instance(
            &engine,
            r#"(module (memory 1) (table 1 anyref)
                (func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
                (func (export "table") (param i32) (result i32) (table.grow (ref.null any) (local.get 0))))"#,
        );
        let mut grow = |export: &str, by: i32| {
            i32_of(&func(&store, instance, export).call(&mut store, &[Val::I32(by)]).unwrap())
        };
        assert_eq!((grow("memory", 99), grow("memory", 1), grow("memory", -1)), (1, -1, -1), "{name}");
        assert_eq!((grow("table", 999), grow("table", 1), grow("table", -1)), (1, -1, -1), "{name}");
    }
}

#[test]
fn handles_of_another_store_are_refused() {
    let (_, engine) = engines(|_| {}).remove(0);
    let text = r#"(module
        (memory (export "m") 1) (table (export "t") 1 anyref) (global (export "g") (mut anyref) (ref.null any))
        (func (export "f") (param anyref)))"#;
    let (mut one, in_one) = instance(&engine, text);
    let (mut two, _) = instance(&engine, text);
    let wrong =
        |error: Error| assert!(matches!(error.kind(), ErrorKind::Usage(Usage::WrongStore)), "{error}");
    let rooted = ExternRef::new(&mut one, Box::new(1u8)).unwrap();
    let val = Val::AnyRef(Some(rooted.clone()));
    let f = func(&one, in_one, "f");
    wrong(f.call(&mut two, std::slice::from_ref(&val)).unwrap_err());
    wrong(in_one.exports(&two).unwrap_err());
    wrong(rooted.kind(&two).unwrap_err());
    wrong(ExternRef::value(&two, &rooted).unwrap_err());
    let exports = in_one.exports(&one).unwrap();
    for (_, item) in &exports {
        wrong(item.ty(&two).unwrap_err());
    }
    let global = exports[2].1.global().unwrap();
    global.set(&mut one, &val).unwrap();
    wrong(global.get(&mut two).unwrap_err());
    let two_f = in_two_func(&mut two, &engine);
    wrong(two_f.call(&mut two, &[val]).unwrap_err());

    let other = Engine::new(engine.config().clone()).unwrap();
    let foreign = module(&other, "(module)");
    let error = Instance::new(&mut one, &foreign, &[]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Usage(Usage::WrongEngine)));
}

/// A module compiled once runs in stores of every engine that shares its code, and is refused elsewhere.
#[test]
fn engines_of_one_code_shape_share_modules() {
    let config = |collector: &str| Config { collector: collector.into(), ..Config::default() };
    for from in assay_gc::registry() {
        let engine = Engine::new(config(from.constraints.name)).unwrap();
        let module = module(
            &engine,
            "(module (type $box (struct (field (mut anyref)) (field i32)))
               (global $kept (mut anyref) (ref.null any))
               (func (export \"f\") (param i32) (result i32)
                 (global.set $kept (struct.new $box (global.get $kept) (local.get 0)))
                 (struct.get $box 1 (ref.cast (ref $box) (struct.get $box 0 (ref.cast (ref $box) (global.get $kept)))))))",
        );
        for to in assay_gc::registry() {
            let same = from.constraints.code == to.constraints.code;
            let mut wanted = config(to.constraints.name);
            wanted.gc_heap_max = 1 << 20;
            let Some(sibling) = engine.sibling(wanted).unwrap() else {
                assert!(!same);
                let other = Engine::new(config(to.constraints.name)).unwrap();
                let error = Instance::new(&mut Store::new(&other).unwrap(), &module, &[]).unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::Usage(Usage::WrongEngine)));
                continue;
            };
            assert!(same);
            assert_eq!(sibling.collector().constraints.name, to.constraints.name);
            let mut store = Store::new(&sibling).unwrap();
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            let f = func(&store, instance, "f");
            // The first call reads through null.
            assert!(f.call(&mut store, &[Val::I32(1)]).is_err());
            store.gc(CollectKind::Full).unwrap();
            assert!(matches!(f.call(&mut store, &[Val::I32(2)]).unwrap()[..], [Val::I32(1)]));
            let stats = store.heap_stats();
            assert_eq!(stats.collections > 0, to.constraints.collects, "{}", to.constraints.name);
        }
    }
    let engine = Engine::new(config("copying")).unwrap();
    let fuel = Config { fuel: true, ..config("copying") };
    assert!(engine.sibling(fuel).unwrap().is_none(), "other code");
    let error = engine.sibling(config("none such")).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Usage(Usage::UnknownCollector(_))));
}

/// Engines of other code shapes call and are called through the same trampolines, with types and code of their own.
#[test]
fn engines_of_one_machine_share_trampolines() {
    let config = |collector: &str| Config { collector: collector.into(), ..Config::default() };
    let engine = Engine::new(config("null")).unwrap();
    for entry in assay_gc::registry() {
        let name = entry.constraints.name;
        let neighbour = engine.neighbour(Config { fuel: true, ..config(name) }).unwrap().unwrap();
        assert!(neighbour.shares_trampolines_with(&engine));
        assert!(!neighbour.shares_code_with(&engine), "fuel is other code");
        for engine in [&engine, &neighbour] {
            let module = module(
                engine,
                r#"(module (import "" "f" (func $f (param i64 anyref) (result i64 anyref)))
                     (func (export "g") (param i64) (result i64 anyref)
                       (call $f (local.get 0) (ref.i31 (i32.const 5)))))"#,
            );
            let mut store = Store::new(engine).unwrap();
            if engine.config().fuel {
                store.set_fuel(100);
            }
            let ty = match &module.imports()[0].ty {
                ExternType::Func(ty) => engine.types().get(*ty).unwrap(),
                other => panic!("{other:?}"),
            };
            let assay_gc::CompositeType::Func(ty) = &ty.composite else { panic!("{ty:?}") };
            let f = Func::new(&mut store, ty.clone(), |_, args, results| {
                results.extend_from_slice(args);
                Ok(())
            });
            let instance = Instance::new(&mut store, &module, &[Extern::Func(f.unwrap())]).unwrap();
            let g = func(&store, instance, "g");
            let results = g.call(&mut store, &[Val::I64(7)]).unwrap();
            assert!(matches!(results[..], [Val::I64(7), Val::AnyRef(Some(_))]), "{name}: {results:?}");
        }
    }
    for other in [
        Config { opt: OptLevel::None, ..config("null") },
        Config { regalloc: RegAlloc::SinglePass, ..config("null") },
        Config { cpu: Cpu::Sse41, ..config("null") },
        Config { verifier: !engine.config().verifier, ..config("null") },
        Config { alias_analysis: false, ..config("null") },
    ] {
        assert!(engine.neighbour(other).unwrap().is_none(), "other machine code");
    }
    assert!(engine.neighbour(config("none such")).is_err());
}

fn in_two_func(store: &mut Store, engine: &Engine) -> Func {
    let module = module(engine, r#"(module (func (export "f") (param anyref)))"#);
    let instance = Instance::new(store, &module, &[]).unwrap();
    func(store, instance, "f")
}

#[test]
fn links_by_name_and_type() {
    for (_, engine) in engines(|_| {}) {
        let mut store = Store::new(&engine).unwrap();
        let exporter = module(
            &engine,
            r#"(module
                (type $super (sub (func (result anyref))))
                (type $sub (sub $super (func (result anyref))))
                (func (export "f") (type $sub) (ref.null any))
                (memory (export "m") 1 2)
                (global (export "g") (ref i31) (ref.i31 (i32.const 1)))
                (global (export "mut") (mut (ref i31)) (ref.i31 (i32.const 1))))"#,
        );
        let instance = Instance::new(&mut store, &exporter, &[]).unwrap();
        let mut linker = Linker::new();
        linker.instance(&store, "x", instance).unwrap();
        let mut why = |import: &str| {
            let text = format!(
                r#"(module (type $super (sub (func (result anyref)))) (type $sub (sub $super (func (result anyref))))
                    (type $plain (func (result anyref)))
                    (import "x" {import}))"#
            );
            let module = module(&engine, &text);
            match linker.instantiate(&mut store, &module) {
                Ok(_) => None,
                Err(error) => match error.kind() {
                    ErrorKind::Link { why, .. } => Some(*why),
                    other => panic!("{other:?}"),
                },
            }
        };
        assert_eq!(why(r#""f" (func (type $sub))"#), None);
        assert_eq!(why(r#""f" (func (type $super))"#), None);
        assert_eq!(why(r#""f" (func (type $plain))"#), Some(LinkReason::Incompatible));
        assert_eq!(why(r#""h" (func)"#), Some(LinkReason::Unknown));
        assert_eq!(why(r#""m" (memory 1 2)"#), None);
        assert_eq!(why(r#""m" (memory 2)"#), Some(LinkReason::Incompatible));
        assert_eq!(why(r#""m" (memory 1 1)"#), Some(LinkReason::Incompatible));
        assert_eq!(why(r#""g" (global eqref)"#), None);
        assert_eq!(why(r#""mut" (global (mut eqref))"#), Some(LinkReason::Incompatible));
        assert_eq!(why(r#""g" (memory 1)"#), Some(LinkReason::Incompatible));
    }
}

#[test]
fn bad_bytes_are_told_apart() {
    let (_, engine) = engines(|_| {}).remove(0);
    let kind = |bytes: &[u8]| Module::new(&engine, bytes).map(drop).unwrap_err().into_kind();
    assert!(matches!(kind(b""), ErrorKind::Malformed { .. }));
    assert!(matches!(kind(b"\0asm\x01\0\0\0\x01"), ErrorKind::Malformed { .. }));
    let invalid = wat::parse_str("(module (func (result i32)))").unwrap();
    assert!(matches!(kind(&invalid), ErrorKind::Invalid { .. }));
    let legacy = wat::parse_str("(module (func try catch_all end))").unwrap();
    assert!(matches!(kind(&legacy), ErrorKind::Malformed { .. }));
}
