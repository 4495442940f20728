//! A call in turns is the same call. Each program runs as plain call and as fiber, with slices of each size from 1 to 7, and
//! must leave the same results, memories, tables, globals, arrays, counters and fuel. Wherever the fiber is suspended after so much fuel, the
//! store must look as a plain call leaves it that runs out of fuel after as much: no effect of what is to start over.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use assay_interp::*;

/// What the programs share. Exports are looked at; `$twice` is of another instance.
const PRELUDE: &str = r#"
    (type $bytes (array (mut i8)))
    (type $words (array (mut i32)))
    (type $wide (array (mut v128)))
    (type $funcs (array (mut funcref)))
    (type $s (struct (field i32) (field (mut anyref))))
    (type $unary (func (param i32) (result i32)))
    (import "" "host" (func $host (param i32) (result i32)))
    (import "" "twice" (func $twice (type $unary)))
    (tag $e (param i32 anyref))
    (memory $m (export "memory") 1 4)
    (memory $small (export "small") 1)
    (table $t (export "table") 8 24 funcref)
    (table $long (export "long") i64 4 funcref)
    (global $n (export "n") (mut i32) (i32.const 0))
    (global $sum (export "sum") (mut i64) (i64.const 0))
    (global $a (export "a") (mut (ref null $words)) (ref.null $words))
    (global $b (export "b") (mut (ref null $words)) (ref.null $words))
    (data $d "0123456789abcdefghijklmnopqrstuvwxyz")
    (elem $el func $inc $dec $twice $host)
    (elem declare func $inc $dec $even $odd $fib)
    (elem (table $t) (i32.const 0) func $inc $dec $twice $host)
    (func $inc (type $unary) (i32.add (local.get 0) (i32.const 1)))
    (func $dec (type $unary) (i32.sub (local.get 0) (i32.const 1)))
    (func $even (type $unary)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
        (return_call $odd (call $dec (local.get 0))))
    (func $odd (type $unary)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
        (return_call_ref $unary (call $dec (local.get 0)) (ref.func $even)))
    (func $fib (type $unary)
        (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
            (then (local.get 0))
            (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
    (func $add (param i32) (global.set $n (i32.add (i32.mul (global.get $n) (i32.const 31)) (local.get 0))))
"#;

/// Name, body of a function without parameters and with a local i32 that gives an i32, the turns that it takes in slices of 1.
const PROGRAMS: &[(&str, &str, usize)] = &[
    ("entry", "(i32.const 1)", 1),
    ("call", "(call $inc (call $dec (i32.const 5)))", 3),
    ("call of another instance", "(i32.add (i32.const 1) (call $twice (i32.const 5)))", 2),
    ("call_indirect", "(call_indirect $t (type $unary) (i32.const 5) (i32.const 1))", 2),
    ("call_indirect of a host function", "(call_indirect $t (type $unary) (i32.const 5) (i32.const 3))", 1),
    ("call_ref", "(call_ref $unary (i32.const 5) (ref.func $inc))", 2),
    ("return_call", "(i32.const 100) (return_call $inc (call $host (i32.const 5)))", 2),
    (
        "return_call to a host function",
        "(call $dec (i32.const 1)) (drop) (return_call $host (i32.const 5))",
        2,
    ),
    ("return_call_indirect", "(return_call_indirect $t (type $unary) (i32.const 5) (i32.const 2))", 2),
    (
        "return_call_indirect to a host function",
        "(return_call_indirect $t (type $unary) (i32.const 5) (i32.const 3))",
        1,
    ),
    ("return_call_ref", "(return_call_ref $unary (i32.const 5) (ref.func $dec))", 2),
    ("tail calls in a row", "(return_call $even (i32.const 6))", 14),
    ("recursion", "(call $fib (i32.const 6))", 26),
    (
        "loop",
        "(local.set 0 (i32.const 5))
        (loop $l (call $add (local.get 0)) (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (global.get $n)",
        11,
    ),
    (
        "loop with parameters",
        "(i32.const 1) (i32.const 5)
        (loop $l (param i32 i32) (result i32)
            (local.set 0) (i32.mul (local.get 0)) (i32.sub (local.get 0) (i32.const 1))
            (br_if $l (local.tee 0) (local.get 0)) (drop))",
        6,
    ),
    (
        "loops by table",
        "(local.set 0 (i32.const 3))
        (block $out
            (loop $o (call $add (i32.const 1))
                (loop $i (call $add (i32.const 2))
                    (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                    (br_table $i $o $i $out (local.get 0)))))
        (global.get $n)",
        13,
    ),
    (
        "array.new",
        "(global.set $a (array.new $words (i32.const 3) (i32.const 5))) (array.len (global.get $a))",
        2,
    ),
    ("array.new of vectors", "(array.len (array.new $wide (v128.const i64x2 1 2) (i32.const 5)))", 2),
    ("array.new of none", "(array.len (array.new $words (i32.const 3) (i32.const 0)))", 2),
    (
        "array.new_default",
        "(global.set $a (array.new_default $words (i32.const 9))) (array.len (global.get $a))",
        2,
    ),
    (
        "array.new_fixed",
        "(array.len (array.new_fixed $words 3 (i32.const 1) (i32.const 2) (i32.const 3)))",
        2,
    ),
    (
        "array.new_data",
        "(array.get_u $bytes (array.new_data $bytes $d (i32.const 2) (i32.const 9)) (i32.const 1))",
        2,
    ),
    ("array.new_elem", "(array.len (array.new_elem $funcs $el (i32.const 1) (i32.const 3)))", 2),
    (
        "array.fill",
        "(global.set $a (array.new $words (i32.const 3) (i32.const 9)))
        (array.fill $words (global.get $a) (i32.const 2) (i32.const 8) (i32.const 4))
        (array.get $words (global.get $a) (i32.const 5))",
        3,
    ),
    (
        "array.copy",
        "(global.set $a (array.new_fixed $words 4 (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)))
        (global.set $b (array.new $words (i32.const 3) (i32.const 9)))
        (array.copy $words $words (global.get $b) (i32.const 2) (global.get $a) (i32.const 1) (i32.const 3))
        (array.copy $words $words (global.get $a) (i32.const 1) (global.get $a) (i32.const 0) (i32.const 3))
        (array.get $words (global.get $b) (i32.const 2))",
        5,
    ),
    (
        "array.init_data",
        "(global.set $a (array.new_default $words (i32.const 5)))
        (array.init_data $words $d (global.get $a) (i32.const 1) (i32.const 2) (i32.const 3))
        (array.get $words (global.get $a) (i32.const 3))",
        3,
    ),
    (
        "array.init_elem",
        "(local $r (ref $funcs)) (local.set $r (array.new_default $funcs (i32.const 5)))
        (array.init_elem $funcs $el (local.get $r) (i32.const 1) (i32.const 0) (i32.const 3))
        (ref.is_null (array.get $funcs (local.get $r) (i32.const 1)))",
        3,
    ),
    (
        "memory.fill",
        "(memory.fill $m (i32.const 3) (i32.const 7) (i32.const 200)) (i32.load $m (i32.const 3))",
        2,
    ),
    (
        "memory.copy",
        "(i32.store $m (i32.const 3) (i32.const 0x01020304))
        (memory.copy $m $m (i32.const 5) (i32.const 3) (i32.const 70))
        (memory.copy $small $m (i32.const 5) (i32.const 3) (i32.const 70))
        (i32.load $small (i32.const 5))",
        3,
    ),
    (
        "memory.init",
        "(memory.init $m $d (i32.const 3) (i32.const 7) (i32.const 20)) (data.drop $d) (i32.load $m (i32.const 3))",
        2,
    ),
    ("memory.grow", "(i32.add (memory.grow $m (i32.const 2)) (memory.grow $m (i32.const 1)))", 3),
    (
        "memory.grow to a local",
        "(local.set 0 (i32.const 2)) (local.set 0 (memory.grow $m (local.get 0))) (local.get 0)",
        2,
    ),
    ("memory.grow beyond the limit", "(memory.grow $m (i32.const 4))", 2),
    ("table.fill", "(table.fill $t (i32.const 1) (ref.func $inc) (i32.const 3)) (i32.const 0)", 2),
    (
        "table.copy",
        "(table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 4))
        (table.copy $long $t (i64.const 1) (i32.const 0) (i32.const 3)) (i32.const 0)",
        3,
    ),
    (
        "table.init",
        "(table.init $t $el (i32.const 4) (i32.const 1) (i32.const 3)) (elem.drop $el) (i32.const 0)",
        2,
    ),
    (
        "table.grow",
        "(i32.add (table.grow $t (ref.func $inc) (i32.const 7))
        (i32.wrap_i64 (table.grow $long (ref.func $dec) (i64.const 2))))",
        3,
    ),
    (
        "bulk of none",
        "(memory.fill $m (i32.const 3) (i32.const 7) (i32.const 0))
        (table.fill $t (i32.const 1) (ref.null func) (i32.const 0))
        (memory.copy $m $m (i32.const 1) (i32.const 0) (i32.const 0)) (memory.grow $m (i32.const 0))",
        2,
    ),
    (
        "bulk out of bounds",
        "(memory.fill $m (i32.const 65530) (i32.const 7) (i32.const 70)) (i32.const 0)",
        2,
    ),
    ("trap", "(call $add (i32.const 3)) (i32.div_u (call $inc (i32.const 3)) (i32.const 0))", 3),
    (
        "throw",
        "(block $h (result i32 anyref)
            (try_table (catch $e $h)
                (loop $l (call $add (i32.const 7)) (call $add (call $dec (i32.const 7)))
                    (br_if $l (i32.ne (global.get $n) (i32.const 223)))
                    (throw $e (call $inc (i32.const 4)) (struct.new $s (i32.const 9) (ref.null any)))))
            (unreachable))
        (i32.add (struct.get $s 0 (ref.cast (ref $s))))",
        6,
    ),
    (
        "throw_ref",
        "(block $h (result exnref)
            (try_table (catch_all_ref $h)
                (call $add (i32.const 7))
                (throw $e (call $inc (i32.const 4)) (ref.null any)))
            (unreachable))
        (call $add (i32.const 1)) (throw_ref)",
        4,
    ),
    (
        "operands below a call",
        "(i32.const 1) (i32.const 2) (call $inc (i32.const 3)) (i32.mul) (call $inc) (i32.add)
        (local.set 0) (i32.sub (local.get 0) (call $dec (local.tee 0 (i32.const 50))))",
        4,
    ),
];

fn module(text: &str) -> Module {
    Module::new(&wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}")), &Features::default())
        .unwrap()
}

struct Run {
    store: Store,
    instance: InstanceAddr,
    func: FuncAddr,
}

const BUDGET: u64 = 100_000;

impl Run {
    fn new(module: &Module, twice: &Module) -> Run {
        let mut store = Store::new(Config::default());
        let other = store.instantiate(twice, &[]).unwrap();
        let twice = store.export(other, "twice").unwrap();
        // Makes garbage and collects: what the frames hold must be roots.
        let host = |store: &mut Store, args: &[Value]| {
            store.collect(&[]);
            let [Value::I32(value)] = args else { return Err(HostError::Message("wrong call".to_owned())) };
            Ok(vec![Value::I32(value.wrapping_mul(3))])
        };
        let ty = FuncType::new([ValType::I32], [ValType::I32]);
        let host = store.alloc_shared_host_func(ty, Arc::new(host)).unwrap();
        let instance = store.instantiate(module, &[Extern::Func(host), twice]).unwrap();
        let Some(Extern::Func(func)) = store.export(instance, "run") else { panic!("no function") };
        store.set_fuel(Some(BUDGET));
        Run { store, instance, func }
    }

    /// All that the exports show.
    fn state(&self) -> Vec<String> {
        let store = &self.store;
        let show = |value: Value| match value {
            Value::Ref(Ref::Array(array)) => format!("{:?}", store.object_values(array)),
            value => format!("{value:?}"),
        };
        let mut state = Vec::new();
        for (name, export) in store.exports(self.instance) {
            let shown = match export {
                Extern::Memory(memory) => {
                    let bytes = store.memory(memory).unwrap();
                    let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                    format!("{} bytes, {:?}", bytes.len(), &bytes[..used])
                }
                Extern::Table(table) => (0..store.table_size(table).unwrap())
                    .map(|i| format!("{:?}", store.table_get(table, i).unwrap()))
                    .collect(),
                Extern::Global(global) => show(store.global_get(global).unwrap()),
                Extern::Func(_) | Extern::Tag(_) => continue,
            };
            state.push(format!("{name}: {shown}"));
        }
        state.push(format!("allocations: {}", store.stats().allocations));
        state
    }

    fn used(&self) -> u64 {
        BUDGET - self.store.fuel().unwrap()
    }
}

/// A result that can be compared: of errors, the kind and the payload.
fn shown(result: &Result<Vec<Value>>) -> String {
    match result {
        Ok(values) => format!("{values:?}"),
        Err(error) => {
            format!("{:?} {:?}", error.kind(), error.exception().map(|exception| &exception.values))
        }
    }
}

/// Runs a program both ways; gives the number of turns with slices of 1, and the result.
fn compare(name: &str, body: &str) -> (usize, String) {
    let text = format!(r#"(module {PRELUDE} (func (export "run") (result i32) (local i32) {body}))"#);
    let module = module(&text);
    let twice = self::module(
        r#"(module (func (export "twice") (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1))))"#,
    );
    let mut plain = Run::new(&module, &twice);
    let expected = shown(&plain.store.invoke(plain.func, &[]));
    let mut turns_of_one = 0;
    let (mut same, mut free) = (0, 0);
    // Beyond a limit that costs nothing either, and the plain call goes on.
    let grows = body.contains(".grow");
    for slice in 1..=7 {
        let context = || format!("{name}, slices of {slice}: {text}");
        let mut run = Run::new(&module, &twice);
        let fiber = run.store.start_fiber(run.func, &[]).unwrap();
        let mut turns = 0;
        let result = loop {
            turns += 1;
            let before = run.used();
            match run.store.resume(fiber, Slice { fuel: Some(slice), epochs: None }).unwrap() {
                Turn::Done(result) => break result,
                Turn::Yielded(why) => assert_eq!(why, Yield::Fuel, "{}", context()),
            }
            assert!(run.used() >= before + slice, "{}", context());
            run.store.collect(&[]);
            if slice <= 2 {
                let mut short = Run::new(&module, &twice);
                short.store.set_fuel(Some(run.used()));
                let ended = short.store.invoke(short.func, &[]);
                // It waits before a bulk operation that costs nothing, or traps, as well.
                let out_of_fuel =
                    ended.is_err_and(|error| error.kind() == ErrorKind::Exhausted(Resource::Fuel));
                if out_of_fuel && !grows {
                    assert_eq!(run.state(), short.state(), "{}", context());
                    same += 1;
                } else {
                    free += usize::from(!grows);
                }
            }
        };
        assert_eq!(shown(&result), expected, "{}", context());
        assert_eq!(run.state(), plain.state(), "{}", context());
        assert_eq!(run.used(), plain.used(), "{}", context());
        assert_eq!(run.store.stats().instructions, plain.store.stats().instructions, "{}", context());
        if slice == 1 {
            turns_of_one = turns;
        }
    }
    assert!(free <= 8 + same, "{name}: {same} {free} {text}");
    (turns_of_one, expected)
}

#[test]
fn each_fuel_point_suspends_and_starts_over() {
    for &(name, body, points) in PROGRAMS {
        let (turns, _) = compare(name, body);
        assert_eq!(turns, points, "{name}");
    }
}

/// How many of the statements have no inner ones.
const FLAT: usize = 14;

/// Statements for programs at random; `{}` stands for inner ones, which are in the last few.
const STATEMENTS: &[&str] = &[
    "(call $add (i32.const 5))",
    "(call $add (call $fib (i32.const 3)))",
    "(call $add (i32.div_u (i32.const 100) (i32.rem_u (global.get $n) (i32.const 13))))",
    "(call $add (call $even (i32.and (global.get $n) (i32.const 3))))",
    "(call $add (call_indirect $t (type $unary) (global.get $n) (i32.and (global.get $n) (i32.const 3))))",
    "(global.set $sum (i64.add (global.get $sum) (i64.extend_i32_u (memory.grow $m (i32.const 1)))))",
    "(memory.fill $m (i32.and (global.get $n) (i32.const 63)) (global.get $n) (i32.const 130))",
    "(memory.copy $m $m (i32.const 9) (i32.and (global.get $n) (i32.const 63)) (i32.const 65))",
    "(table.copy $t $t (i32.const 0) (i32.and (global.get $n) (i32.const 3)) (i32.const 3))",
    "(table.init $t $el (i32.and (global.get $n) (i32.const 3)) (i32.const 1) (i32.const 2))",
    "(call $add (table.grow $t (ref.func $inc) (i32.const 2)))",
    "(global.set $a (array.new $words (global.get $n) (i32.const 6)))",
    "(if (i32.eqz (ref.is_null (global.get $a))) (then
        (array.copy $words $words (global.get $a) (i32.const 1) (global.get $a) (i32.const 0) (i32.const 4))))",
    "(if (i32.eqz (ref.is_null (global.get $a))) (then
        (array.fill $words (global.get $a) (i32.const 1) (global.get $n) (i32.const 2))))",
    "(local.set 0 (i32.const 3))
        (loop $l {} (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0))))",
    "(if (i32.and (global.get $n) (i32.const 1)) (then {}) (else {}))",
    "(block $h (result i32 anyref)
        (try_table (catch $e $h) {} (throw $e (global.get $n) (struct.new $s (i32.const 1) (ref.null any))))
        (unreachable)) (drop) (call $add)",
    "(struct.new $s (global.get $n) (ref.i31 (i32.const 4))) {} (call $add (struct.get $s 0))",
];

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn statements(&mut self, depth: usize) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.below(3) {
            let from = if depth > 0 && self.below(2) == 0 { FLAT } else { 0 };
            let to = if depth == 0 { FLAT } else { STATEMENTS.len() };
            let statement = STATEMENTS[from + self.below(to - from)];
            for (i, part) in statement.split("{}").enumerate() {
                if i > 0 {
                    text += &self.statements(depth - 1);
                }
                text += part;
            }
        }
        text
    }
}

#[test]
fn programs_at_random_are_the_same_in_turns() {
    let mut random = Random(7);
    let (mut turns, mut failed) = (0, 0);
    for i in 0..150 {
        let body = random.statements(3) + "(global.get $n)";
        let (these, result) = compare(&format!("program {i}"), &body);
        turns += these;
        failed += usize::from(!result.starts_with('['));
    }
    // They are worth running.
    assert!(turns > 3000 && (1..75).contains(&failed), "{turns} turns, {failed} failures");
}
