//! The validator, rule by rule: for each [`Rule`] a module that only it refuses and a neighbour that is valid. No rule is without.
//!
//! [`DEFINITIONS`] are whole modules, [`FUNCTIONS`] functions among the definitions of [`PRELUDE`]; what text cannot say stands
//! in bytes below. Then come properties that are no single rule: unreachable code, equal rec groups, precedence of errors, and
//! modules made to take long.

#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "validation/cases.rs"]
mod cases;

use std::collections::BTreeSet;

use assay_interp::{Config, ErrorKind, Features, Module, Rule, Store};
use cases::{DEFINITIONS, FUNCTIONS, PRELUDE};

const LEGACY: Features = Features { legacy_exceptions: true };

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// The rule that refuses a module, or none.
fn judge(bytes: &[u8]) -> Option<Rule> {
    match Module::validate(bytes, &LEGACY) {
        Ok(()) => {
            Module::new(bytes, &LEGACY).unwrap();
            None
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.offset().is_some_and(|offset| offset >= 8 && offset < bytes.len()), "{error}");
            assert_eq!(Module::new(bytes, &LEGACY).unwrap_err().rule(), error.rule());
            assert!(Module::decode_with(bytes, &LEGACY).is_ok(), "decoding does not validate");
            Some(error.rule().unwrap())
        }
    }
}

fn judge_text(text: &str) -> Option<Rule> {
    judge(&wasm(text))
}

/// Sections of a module: id and content.
fn module(sections: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    for &(id, content) in sections {
        bytes.push(id);
        bytes.extend(leb(content.len() as u64));
        bytes.extend(content);
    }
    bytes
}

fn leb(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// Rule, invalid bytes, valid bytes: what the text format has no words for.
fn binaries() -> Vec<(Rule, Vec<u8>, Vec<u8>)> {
    // Two open struct types without fields, then one with two supertypes, or one.
    let supers = |list: &[u8]| {
        let mut types = vec![3, 0x50, 0, 0x5f, 0, 0x50, 0, 0x5f, 0, 0x50];
        types.extend(list);
        types.extend([0x5f, 0]);
        module(&[(1, &types)])
    };
    // A 32-bit table of 2^32 elements.
    let table = |max: u64| module(&[(4, &[&[1, 0x70, 1, 0][..], &leb(max)].concat())]);
    vec![
        (Rule::SupertypeCount, supers(&[2, 0, 1]), supers(&[1, 1])),
        (Rule::SupertypeCount, supers(&[2, 1, 1]), supers(&[0])),
        (Rule::TableLimits, table(1 << 32), table((1 << 32) - 1)),
    ]
}

#[test]
fn each_rule_refuses_and_accepts() {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut case = |rule: Rule, invalid: &[u8], valid: &[u8], shown: &str| {
        seen.insert(rule.name());
        match judge(invalid) {
            Some(found) if found == rule => {}
            found => wrong.push(format!("{rule:?}: {found:?} refuses {shown}")),
        }
        if let Some(found) = judge(valid) {
            wrong.push(format!("{rule:?}: {found:?} refuses the valid module beside {shown}"));
        }
    };
    for &(rule, invalid, valid) in DEFINITIONS {
        case(rule, &wasm(&format!("(module {invalid})")), &wasm(&format!("(module {valid})")), invalid);
    }
    for &(rule, invalid, valid) in FUNCTIONS {
        let around = |function: &str| wasm(&format!("(module {PRELUDE} (func {function})"));
        case(rule, &around(invalid), &around(valid), invalid);
    }
    for (rule, invalid, valid) in binaries() {
        case(rule, &invalid, &valid, "bytes");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing: Vec<_> = Rule::ALL.iter().filter(|rule| !seen.contains(rule.name())).collect();
    assert!(missing.is_empty(), "rules without a case: {missing:?}");
}

#[test]
fn unreachable_code_has_any_operands_but_typed_ones() {
    let function = |text: &str| judge_text(&format!("(module {PRELUDE} (func {text}))"));
    for valid in [
        "unreachable i32.add drop",
        "unreachable i64.const 0 i32.const 0 select drop",
        "unreachable ref.as_non_null call_ref $v",
        "unreachable ref.as_non_null i31.get_s drop",
        "unreachable br_on_null 0 extern.convert_any drop",
        "(result i64) unreachable br_on_null 0 drop",
        "unreachable any.convert_extern ref.as_non_null ref.eq drop",
        "(result (ref any)) unreachable any.convert_extern",
        "return loop (param i32 i64) (result f32) unreachable end drop",
        "unreachable array.new_fixed $ints 4000000000 drop",
        "block br 0 i64.add unreachable end",
        "unreachable br_if 0 select drop",
    ] {
        // One of them only shows that a non-null reference may be of any hierarchy.
        let rule = function(valid);
        let wanted = match valid {
            v if v.contains("ref.eq") => Some(Rule::RefEq),
            _ => None,
        };
        assert_eq!(rule, wanted, "{valid}");
    }
    for (rule, invalid) in [
        (Rule::Binop, "unreachable f32.const 0 i32.add drop"),
        (Rule::Binop, "unreachable ref.as_non_null i32.add drop"),
        (Rule::FuncHeight, "unreachable i32.const 0"),
        (Rule::Drop, "block unreachable end drop"),
        (Rule::If, "unreachable i64.const 0 if end"),
        (Rule::SelectSame, "unreachable i32.const 0 i64.const 0 i32.const 0 select drop"),
        (Rule::RefFunc, "unreachable ref.func $nop drop"),
        (Rule::UnknownFunc, "unreachable call 99"),
        (Rule::ReturnCallResults, "(result i32) unreachable return_call $nop"),
        (Rule::BlockEnd, "block (result i32) unreachable i64.const 0 end drop"),
        (Rule::BrOnCastSubtype, "(result anyref) unreachable br_on_cast 0 funcref anyref drop unreachable"),
    ] {
        assert_eq!(function(invalid), Some(rule), "{invalid}");
    }
}

#[test]
fn equal_rec_groups_are_one_type() {
    let pair = |a: &str, b: &str| {
        format!(
            "(rec (type ${a} (sub (struct (field (ref null ${b}))))) (type ${b} (sub (struct (field (ref null ${a}))))))"
        )
    };
    let call = |from: &str, to: &str| {
        format!(
            "(module {} {} (func $take (param (ref ${to}))) (func (param (ref ${from})) (call $take (local.get 0))))",
            pair("a", "b"),
            pair("c", "d")
        )
    };
    assert_eq!(judge_text(&call("a", "c")), None);
    assert_eq!(judge_text(&call("d", "b")), None);
    // Same structure, another place in the group.
    assert_eq!(judge_text(&call("a", "d")), Some(Rule::Call));
    // The same member alone is in another group.
    let text = "(module (type $a (struct)) (rec (type $b (struct)) (type $c (struct)))
        (func $take (param (ref $a))) (func (param (ref $b)) (call $take (local.get 0))))";
    assert_eq!(judge_text(text), Some(Rule::Call));
    // Finality is part of a type.
    let text = "(module (type $a (sub (struct))) (type $b (sub final (struct)))
        (func $take (param (ref $a))) (func (param (ref $b)) (call $take (local.get 0))))";
    assert_eq!(judge_text(text), Some(Rule::Call));
    // A declared supertype that is equal to the wanted type.
    let text =
        "(module (type $a (sub (struct))) (type $a2 (sub (struct))) (type $b (sub $a2 (struct (field i32))))
        (func $take (param (ref $a))) (func (param (ref $b)) (call $take (local.get 0))))";
    assert_eq!(judge_text(text), None);
}

/// In a constant expression a global that comes later is another mistake than one that does not exist.
#[test]
fn a_later_global_is_not_an_unknown_one() {
    for (rule, text) in [
        (Rule::ConstantGlobalOrder, "(global i32 (global.get 0))"),
        (Rule::ConstantGlobalOrder, "(global i32 (global.get 1)) (global i32 (i32.const 0))"),
        (Rule::UnknownGlobal, "(global i32 (global.get 2)) (global i32 (i32.const 0))"),
        (Rule::UnknownGlobal, "(global i32 (global.get 999))"),
        (Rule::ConstantGlobalOrder, "(import \"\" \"\" (global i32)) (global i32 (global.get 1))"),
        (Rule::UnknownGlobal, "(import \"\" \"\" (global i32)) (global i32 (global.get 2))"),
        (Rule::ConstantGlobalOrder, "(table 1 i31ref (global.get 0)) (global i31ref (ref.null i31))"),
        (Rule::UnknownGlobal, "(table 1 i31ref (global.get 1)) (global i31ref (ref.null i31))"),
        (Rule::UnknownGlobal, "(table 1 i31ref (global.get 0))"),
        (Rule::UnknownGlobal, "(memory 1) (data (global.get 1) \"\") (global i32 (i32.const 0))"),
        (Rule::UnknownGlobal, "(func global.get 0 drop)"),
    ] {
        assert_eq!(judge_text(&format!("(module {text})")), Some(rule), "{text}");
    }
}

#[test]
fn malformed_goes_before_invalid() {
    // An invalid function, then a section of no meaning.
    let mut bytes = wasm("(module (func drop))");
    bytes.extend([99, 0]);
    assert_eq!(Module::new(&bytes, &LEGACY).unwrap_err().kind(), ErrorKind::Malformed);
    // More locals than this interpreter takes are no error of the module.
    let many = "(local i32)".repeat(50_001);
    let error = Module::validate(&wasm(&format!("(module (func {many}))")), &LEGACY).unwrap_err();
    assert_eq!((error.kind(), error.rule()), (ErrorKind::Unsupported, None));
}

/// A limit does not hide what is invalid, before it or behind it, and is what is said when nothing is.
#[test]
fn invalid_goes_before_a_limit() {
    let i32s = |count: usize| " i32".repeat(count);
    let wide = format!("(type $wide (func (param{})))", i32s(1001));
    let results = format!("(type $wide (func (result{})))", i32s(1001));
    let fields = format!("(type $wide (struct (field{})))", i32s(10_001));
    let many = format!("(func (local{}))", i32s(50_001));
    for limit in [&wide, &results, &fields, &many] {
        let kind = |text: String| Module::new(&wasm(&text), &LEGACY).unwrap_err().kind();
        assert_eq!(kind(format!("(module {limit})")), ErrorKind::Unsupported);
        assert_eq!(kind(format!("(module {limit} (func nop))")), ErrorKind::Unsupported);
        assert_eq!(kind(format!("(module {limit} (func i32.add))")), ErrorKind::Invalid);
        assert_eq!(kind(format!("(module (global i32 (i64.const 0)) {limit})")), ErrorKind::Invalid);
    }
    let rule = |text: String| Module::new(&wasm(&text), &LEGACY).unwrap_err().rule();
    // The wide types are types like others.
    let call = |argument: &str| {
        let arguments = argument.repeat(1001);
        rule(format!("(module {wide} (func $f (type $wide)) (func {arguments} call $f))"))
    };
    assert_eq!(call("i32.const 0 "), None);
    assert_eq!(call("i64.const 0 "), Some(Rule::Call));
    let drops = |count: usize| {
        let drops = "drop ".repeat(count);
        rule(format!("(module {results} (func $f (type $wide) unreachable) (func call $f {drops}))"))
    };
    assert_eq!(drops(1001), None);
    assert_eq!(drops(1000), Some(Rule::FuncHeight));
    assert_eq!(drops(1002), Some(Rule::Drop));
    let get = |field: u32| {
        rule(format!("(module {fields} (func (drop (struct.get $wide {field} (ref.null $wide)))))"))
    };
    assert_eq!(get(10_000), None);
    assert_eq!(get(10_001), Some(Rule::UnknownField));
    let local =
        |index: u32| rule(format!("(module (func (local{}) (drop (local.get {index}))))", i32s(50_001)));
    assert_eq!(local(50_000), None);
    assert_eq!(local(50_001), Some(Rule::UnknownLocal));
    // Which locals are set is not followed for so many: this function is not typed, the next one is.
    let unset = format!("(func (local{}) (local (ref any)) i32.add)", i32s(50_000));
    assert_eq!(rule(format!("(module {unset})")), None);
    assert_eq!(rule(format!("(module {unset} (func drop))")), Some(Rule::Drop));
    // An expression that meets a limit by itself still names its functions.
    let text = format!(
        "(module {results} (func $f (type $wide) unreachable) (elem declare func $f)
            (func {} unreachable) (func ref.func $f drop))",
        "call $f ".repeat(20_000)
    );
    assert_eq!(rule(text), None);
}

/// Types of more operands than a limit allows cost no more than the limit on all of them.
#[test]
fn wide_types_take_time_in_the_size_of_the_module() {
    let start = std::time::Instant::now();
    let n = 300_000;
    let types = [&[2, 0x60, 0, 0, 0x60, 0][..], &leb(n), &vec![0x7f; n as usize]].concat();
    let calls = [&[0][..], &[0x10, 1, 0].repeat(n as usize), &[0x0b]].concat();
    let code = [&[2][..], &leb(calls.len() as u64), &calls, &[3, 0, 0, 0x0b]].concat();
    let error = Module::validate(&module(&[(1, &types), (3, &[2, 0, 1]), (10, &code)]), &LEGACY).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn the_legacy_instructions_need_their_feature() {
    let bytes = wasm("(module (func try catch_all end))");
    assert!(Module::validate(&bytes, &LEGACY).is_ok());
    assert_eq!(Module::validate(&bytes, &Features::default()).unwrap_err().kind(), ErrorKind::Malformed);
}

#[test]
fn only_a_validated_module_is_instantiated() {
    let bytes = wasm("(module (func i32.add drop))");
    let module = Module::decode(&bytes).unwrap();
    let error = Store::new(Config::default()).instantiate(&module, &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

/// A function body among empty types, as a module.
fn with_body(body: &[u8]) -> Vec<u8> {
    let code = [&[0][..], body].concat();
    let code = [&[1][..], &leb(code.len() as u64), &code].concat();
    module(&[(1, &[1, 0x60, 0, 0]), (3, &[1, 0]), (10, &code)])
}

#[test]
fn a_large_module_takes_time_in_its_size() {
    // A million nested blocks.
    let n = 1_000_000;
    let body = [[2, 0x40].repeat(n), vec![0x0b; n + 1]].concat();
    assert_eq!(judge(&with_body(&body)), None);
    // One branch table of half a million labels.
    let n = 500_000;
    let mut body = vec![0x41, 0, 0x0e];
    body.extend(leb(n as u64));
    body.extend(vec![0; n + 1]);
    body.push(0x0b);
    assert_eq!(judge(&with_body(&body)), None);
    // A chain of 50,000 subtypes, and a cast along it.
    let mut types = leb(50_001);
    types.extend([0x50, 0, 0x5f, 0]);
    for i in 1..50_000u64 {
        types.extend([0x50, 1]);
        types.extend(leb(i - 1));
        types.extend([0x5f, 0]);
    }
    types.extend([0x60, 0, 0]);
    let mut body = vec![0, 0x41, 0, 0x1a, 0xfb, 1];
    body.extend(leb(49_999));
    body.extend([0x1a, 0x0b]);
    let code = [&[1][..], &leb(body.len() as u64), &body].concat();
    let bytes = module(&[(1, &types), (3, &[&[1][..], &leb(50_000)].concat()), (10, &code)]);
    assert_eq!(judge(&bytes), None);
    // Calls that would pile up half a billion results.
    let types = [&[2, 0x60, 0, 0, 0x60, 0][..], &leb(1_000), &[0x7f; 1_000]].concat();
    let calls = [&[0][..], &[0x10, 1].repeat(500_000), &[0x0b]].concat();
    let code = [&[2][..], &leb(calls.len() as u64), &calls, &[3, 0, 0, 0x0b]].concat();
    let error = Module::validate(&module(&[(1, &types), (3, &[2, 0, 1]), (10, &code)]), &LEGACY).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// One function per byte or so, each with as many locals as may be; or labels with many types, listed over and over.
#[test]
fn time_does_not_grow_with_what_a_few_bytes_repeat() {
    let start = std::time::Instant::now();
    let declare = |ty: &[u8]| [&[1][..], &leb(50_000), ty, &[0x0B]].concat();
    for ty in [&[0x7F][..], &[0x7B], &[0x64, 0x6E]] {
        let (count, body) = (20_000u64, declare(ty));
        let code = [leb(body.len() as u64), body].concat().repeat(count as usize);
        let funcs = [leb(count), vec![0; count as usize]].concat();
        let code = [leb(count), code].concat();
        assert_eq!(judge(&module(&[(1, &[1, 0x60, 0, 0]), (3, &funcs), (10, &code)])), None);
    }
    // 200,000 labels, of two blocks with 1,000 results each.
    let results = [vec![0x60, 0], leb(1000), vec![0x6E; 1000]].concat();
    let nothing = [vec![0x60, 0], leb(1000), vec![0x71; 1000]].concat();
    let types = [vec![3, 0x60, 0, 0], nothing, results].concat();
    let labels = [leb(200_000), [0, 1].repeat(100_000), vec![0]].concat();
    let body =
        [&[0, 0x02, 2, 0x02, 2, 0x02, 1, 0x00, 0x0B, 0x41, 0, 0x0E][..], &labels, &[0x0B, 0x0B, 0x00, 0x0B]];
    let code = [vec![1], leb(body.concat().len() as u64), body.concat()].concat();
    assert_eq!(judge(&module(&[(1, &types), (3, &[1, 0]), (10, &code)])), None);
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn locals_in_runs_have_their_own_types_and_are_set_one_by_one() {
    let locals = "(local i32 i32 v128) (local (ref any)) (local v128 v128 i64)";
    let many = "(local (ref any))".repeat(150);
    let accepts = |body: &str| {
        let module = format!("(module (func (param f32 v128 (ref any)) {locals} {many} {body}))");
        judge_text(&module)
    };
    let set = |local: u32| format!("local.get 2 local.set {local} local.get {local} drop");
    assert_eq!(accepts("local.get 5 local.set 7 local.get 1 local.set 8 local.get 9 i64.eqz drop"), None);
    assert_eq!(accepts("local.get 6 drop"), Some(Rule::LocalGetSet));
    assert_eq!(accepts("local.get 9 drop local.get 10 drop"), Some(Rule::LocalGetSet));
    for local in [6, 10, 63, 64, 127, 128, 159] {
        assert_eq!(accepts(&set(local)), None, "{local}");
        for other in [local - 1, local + 1] {
            let others = if (7..=9).contains(&other) { None } else { Some(Rule::LocalGetSet) };
            let expected = match other {
                5 | 160 => continue,
                _ => others,
            };
            assert_eq!(accepts(&format!("{} local.get {other} drop", set(local))), expected, "{other}");
        }
    }
    assert_eq!(accepts("local.get 160 drop"), Some(Rule::UnknownLocal));
}
