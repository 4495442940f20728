//! Runs compiled GC instructions without the runtime: a heap that only bumps, builtins in plain Rust, no collections.
//! The runtime's tests and the specification's suite go much further; these find a wrong shift or branch next to its
//! cause.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;

use assay_gc::layout::Layout;
use assay_gc::{AllocShape, BarrierShape, CodeShape, FuncType, Mutator, TypeId, TypeRegistry, header};
use assay_jit::builtins::{Builtin, Builtins};
use assay_jit::trampoline::{AbiSignature, Trampolines};
use assay_jit::vmctx::{FuncEntry, StoreCtx, VmCtx};
use assay_jit::{CompileOptions, CompiledModule, Compiler, OptLevel, RegAlloc, TrapCode};

const BUMP: CodeShape = CodeShape {
    alloc: AllocShape::Bump,
    inline_max: u32::MAX,
    write_barrier: BarrierShape::None,
    barrier_on_roots: false,
    gc_word: false,
};

const CALL: CodeShape = CodeShape { alloc: AllocShape::Call, ..BUMP };

const HEAP_BYTES: u32 = 1 << 16;

/// Where the one host box of the test's heap lies.
const HOST_BOX: u32 = 64;

/// What the builtins find through `StoreCtx::owner`.
struct Owner {
    types: Arc<TypeRegistry>,
    mutator: Mutator,
    heap: Vec<u64>,
}

impl Owner {
    fn write(&mut self, at: u32, word: u32) {
        let bits = &mut self.heap[at as usize / 8];
        let shift = at % 8 * 8;
        *bits = *bits & !(0xffff_ffff << shift) | u64::from(word) << shift;
    }

    /// A zeroed object.
    fn alloc(&mut self, ty: u32, size: u32) -> u32 {
        let at = self.mutator.next;
        assert!(at + size <= HEAP_BYTES, "the test's heap is too small");
        self.mutator.next += size;
        self.heap[at as usize / 8..(at + size) as usize / 8].fill(0);
        self.write(at + header::TYPE_WORD, ty);
        at
    }
}

/// The owner behind a vmctx.
fn owner<'a>(vmctx: *mut VmCtx) -> &'a mut Owner {
    // SAFETY: generated code passes the vmctx that `run` made; it is alive for the whole call.
    let store = unsafe { (*vmctx).store };
    // SAFETY: `run` made the store, too, and nothing else holds a reference into it while code runs.
    unsafe { &mut *(*store).owner.cast::<Owner>() }
}

extern "C" fn alloc_struct(vmctx: *mut VmCtx, ty: u32) -> u32 {
    let owner = owner(vmctx);
    let layout = owner.types.layout(TypeId(ty)).expect("a live type");
    let Layout::Struct(layout) = &*layout else { panic!("not a struct") };
    owner.alloc(ty, layout.size)
}

extern "C" fn alloc_array(vmctx: *mut VmCtx, ty: u32, len: u32) -> u32 {
    let owner = owner(vmctx);
    let layout = owner.types.layout(TypeId(ty)).expect("a live type");
    let Layout::Array(layout) = &*layout else { panic!("not an array") };
    let at = owner.alloc(ty, layout.size(len).expect("a small array"));
    owner.write(at + header::ARRAY_LENGTH, len);
    at
}

/// Leaves the code through the entry trampoline's landing pad.
extern "C" fn raise(vmctx: *mut VmCtx, code: u32) -> ! {
    // SAFETY: as in `owner`.
    let store = unsafe { (*vmctx).store };
    // SAFETY: as above; the field belongs to the runtime, which this test is.
    unsafe { (*store).trap = code };
    // SAFETY: the entry trampoline stored these three for its own frame, which is still on the stack.
    let (sp, fp, pc) = unsafe { ((*store).entry_sp, (*store).entry_fp, (*store).entry_handler) };
    // SAFETY: that is how the landing pad expects to be reached; the frames in between are generated code and this
    // function, which own nothing.
    unsafe {
        std::arch::asm!("mov rsp, {sp}", "mov rbp, {fp}", "jmp {pc}", sp = in(reg) sp, fp = in(reg) fp, pc = in(reg) pc,
            options(noreturn))
    }
}

extern "C" fn missing() -> ! {
    panic!("a builtin that these tests do not have");
}

/// Result bits or the trap.
type Outcome = Result<Vec<u64>, TrapCode>;

/// It does not advance here.
static EPOCH: u64 = 0;

struct Machine {
    compiler: Compiler,
    module: CompiledModule,
    types: Arc<TypeRegistry>,
    fuel: bool,
    trampolines: RefCell<HashMap<AbiSignature, Trampolines>>,
}

impl Machine {
    fn new(wat: &str, options: CompileOptions, shape: CodeShape) -> Machine {
        let wasm = wat::parse_str(wat).expect("the test's text is right");
        let types = TypeRegistry::new().expect("address space for types");
        let compiler = Compiler::new(options, shape, Arc::clone(&types)).expect("a compiler");
        let module = compiler.compile(&wasm).unwrap_or_else(|error| panic!("{error}\n{wat}"));
        Machine { compiler, module, types, fuel: options.fuel, trampolines: RefCell::default() }
    }

    /// Calls the function `index` of a module without imports.
    fn call(&self, index: usize, args: &[u64], fuel: i64) -> Outcome {
        let ty = self.types.get(self.module.info.funcs[index]).expect("a live type");
        let assay_gc::CompositeType::Func(ty) = &ty.composite else { panic!("not a function") };
        let ty: &FuncType = ty;
        let signature = AbiSignature::of(ty);
        let mut trampolines = self.trampolines.borrow_mut();
        let trampolines = trampolines
            .entry(signature.clone())
            .or_insert_with(|| self.compiler.trampolines(&signature).expect("trampolines"));

        let mut owner = Box::new(Owner {
            types: Arc::clone(&self.types),
            mutator: Mutator { next: HOST_BOX + 16, end: 4096, ..Mutator::default() },
            heap: vec![0xa5a5_a5a5_a5a5_a5a5; HEAP_BYTES as usize / 8],
        });
        owner.write(HOST_BOX + header::TYPE_WORD, self.types.host_type().0);
        owner.write(HOST_BOX + header::HOST_INDEX, 0);
        let mut table = [missing as *const u8; Builtin::ALL.len()];
        table[Builtin::Raise as usize] = raise as *const u8;
        table[Builtin::AllocStruct as usize] = alloc_struct as *const u8;
        table[Builtin::AllocArray as usize] = alloc_array as *const u8;
        let builtins = Builtins(table);
        let mut funcs = vec![FuncEntry {
            code: std::ptr::null(),
            vmctx: std::ptr::null_mut(),
            type_id: 0,
            instance: 0,
            index: 0,
            reserved: 0,
        }];
        for (number, ty) in self.module.info.funcs.iter().enumerate() {
            let code = self.module.entries[number] as *const u8;
            funcs.push(FuncEntry { code, type_id: ty.0, index: number as u32, ..funcs[0] });
        }
        let ids: Vec<u32> = (1..=self.module.info.funcs.len() as u32).collect();
        let mut store = StoreCtx {
            stack_limit: 0,
            exit_fp: 0,
            exit_pc: 0,
            entry_fp: 0,
            entry_sp: 0,
            entry_handler: 0,
            fuel,
            fuel_reserve: 0,
            epoch: &raw const EPOCH,
            epoch_deadline: u64::MAX,
            funcs: funcs.as_ptr(),
            func_count: funcs.len() as u32,
            trap: 0,
            owner: (&raw mut *owner).cast::<c_void>(),
        };
        let mut vmctx = VmCtx {
            store: &raw mut store,
            builtins: &raw const builtins,
            heap_base: owner.heap.as_mut_ptr().cast(),
            type_rows: self.types.rows_base(),
            mutator: &raw mut owner.mutator,
            memories: std::ptr::null(),
            tables: std::ptr::null(),
            globals: std::ptr::null(),
            imported_funcs: std::ptr::null(),
            func_ids: ids.as_ptr(),
            tags: std::ptr::null(),
            instance: 0,
            host_func: 0,
        };
        for entry in &mut funcs {
            entry.vmctx = &raw mut vmctx;
        }
        let mut values = vec![0u128; args.len().max(ty.results.len()).max(1)];
        for (value, arg) in values.iter_mut().zip(args) {
            *value = u128::from(*arg);
        }
        // SAFETY: the entry trampoline has this signature (its documentation).
        let enter = unsafe {
            std::mem::transmute::<usize, extern "C" fn(*mut VmCtx, *const u8, *mut u128) -> u8>(
                trampolines.entry,
            )
        };
        let code = self.module.entries[index] as *const u8;
        let done = enter(&raw mut vmctx, code, values.as_mut_ptr());
        if done == 0 {
            return Err(TrapCode::from_raw(store.trap as u8).expect("a trap code"));
        }
        let mask = |ty: &assay_gc::ValType| match ty {
            assay_gc::ValType::I64 | assay_gc::ValType::F64 => u64::MAX,
            _ => 0xffff_ffff,
        };
        Ok(values.iter().zip(&ty.results).map(|(value, ty)| *value as u64 & mask(ty)).collect())
    }
}

/// Calls each function of `wat` (no parameters) under several configurations and compares.
fn check(wat: &str, expected: &[Outcome]) {
    for opt in [OptLevel::None, OptLevel::Speed] {
        for regalloc in [RegAlloc::SinglePass, RegAlloc::Backtracking] {
            for shape in [BUMP, CALL] {
                let options = CompileOptions { opt, regalloc, verifier: true, ..Default::default() };
                let machine = Machine::new(wat, options, shape);
                for (index, expected) in expected.iter().enumerate() {
                    let found = machine.call(index, &[], 0);
                    assert_eq!(&found, expected, "function {index} under {options:?}, {shape:?}");
                }
            }
        }
    }
}

#[test]
fn struct_fields_hold_what_was_stored() {
    check(
        r#"(module
        (type $s (struct (field $a (mut i8)) (field $b (mut i16)) (field $c (mut i64)) (field $d (mut f32))
            (field $r (mut anyref)) (field $e (mut f64))))
        (func (result i32 i32 i32 i32 i64 f32 i32 f64)
            (local $s (ref $s))
            (local.set $s (struct.new $s (i32.const 0x1ff) (i32.const 0x18000) (i64.const -2) (f32.const 1.5)
                (ref.i31 (i32.const -7)) (f64.const 2.5)))
            (struct.get_s $s $a (local.get $s)) (struct.get_u $s $a (local.get $s))
            (struct.get_s $s $b (local.get $s)) (struct.get_u $s $b (local.get $s))
            (struct.get $s $c (local.get $s)) (struct.get $s $d (local.get $s))
            (i31.get_s (ref.cast (ref i31) (struct.get $s $r (local.get $s)))) (struct.get $s $e (local.get $s)))
        (func (result i32 i64 i32 f64)
            (local $s (ref $s))
            (local.set $s (struct.new_default $s))
            (struct.get_s $s $b (local.get $s)) (struct.get $s $c (local.get $s))
            (ref.is_null (struct.get $s $r (local.get $s))) (struct.get $s $e (local.get $s)))
        (func (result i32 i32)
            (local $s (ref $s))
            (local.set $s (struct.new_default $s))
            (struct.set $s $a (local.get $s) (i32.const 0x280))
            (struct.set $s $r (local.get $s) (local.get $s))
            (struct.get_s $s $a (local.get $s))
            (ref.eq (ref.cast eqref (struct.get $s $r (local.get $s))) (local.get $s)))
        (func (result i32) (struct.get_s $s $a (ref.null $s)))
        (func (struct.set $s $e (ref.null $s) (f64.const 0))))"#,
        &[
            Ok(vec![
                0xffff_ffff,
                0xff,
                0xffff_8000,
                0x8000,
                -2i64 as u64,
                u64::from(1.5f32.to_bits()),
                -7i32 as u32 as u64,
                2.5f64.to_bits(),
            ]),
            Ok(vec![0, 0, 1, 0]),
            Ok(vec![-128i32 as u32 as u64, 1]),
            Err(TrapCode::NullReference),
            Err(TrapCode::NullReference),
        ],
    );
}

#[test]
fn array_elements_hold_what_was_stored() {
    check(
        r#"(module
        (type $b (array (mut i8))) (type $h (array (mut i16))) (type $l (array (mut i64))) (type $d (array (mut f64)))
        (type $r (array (mut eqref)))
        (func (result i32 i32 i32)
            (local $a (ref $b))
            (local.set $a (array.new $b (i32.const 0x1f0) (i32.const 5)))
            (array.set $b (local.get $a) (i32.const 3) (i32.const 0x17f))
            (array.get_s $b (local.get $a) (i32.const 4)) (array.get_u $b (local.get $a) (i32.const 3))
            (array.len (local.get $a)))
        (func (result i32 i32)
            (local $a (ref $h))
            (local.set $a (array.new_fixed $h 3 (i32.const 1) (i32.const -2) (i32.const 3)))
            (array.get_u $h (local.get $a) (i32.const 1)) (array.get_s $h (local.get $a) (i32.const 1)))
        (func (result i64 i64)
            (local $a (ref $l))
            (local.set $a (array.new $l (i64.const -9) (i32.const 7)))
            (array.get $l (local.get $a) (i32.const 0)) (array.get $l (local.get $a) (i32.const 6)))
        (func (result f64 i32)
            (local $a (ref $d))
            (local.set $a (array.new_default $d (i32.const 2)))
            (array.set $d (local.get $a) (i32.const 1) (f64.const -0))
            (array.get $d (local.get $a) (i32.const 1)) (array.len (array.new_fixed $d 0)))
        (func (result i32 i32)
            (local $s eqref) (local $a (ref $r))
            (local.set $s (array.new_fixed $h 0))
            (local.set $a (array.new $r (local.get $s) (i32.const 3)))
            (array.set $r (local.get $a) (i32.const 0) (ref.i31 (i32.const 5)))
            (ref.eq (array.get $r (local.get $a) (i32.const 2)) (local.get $s))
            (ref.eq (array.get $r (local.get $a) (i32.const 0)) (ref.i31 (i32.const 5))))
        (func (result i32) (array.get_u $b (array.new $b (i32.const 1) (i32.const 3)) (i32.const 3)))
        (func (result i32) (array.get_u $b (array.new $b (i32.const 1) (i32.const 3)) (i32.const -1)))
        (func (array.set $l (array.new_fixed $l 0) (i32.const 0) (i64.const 0)))
        (func (result i32) (array.len (ref.null $b)))
        (func (result i64) (array.get $l (ref.null $l) (i32.const 0))))"#,
        &[
            Ok(vec![-16i32 as u32 as u64, 0x7f, 5]),
            Ok(vec![0xfffe, -2i32 as u32 as u64]),
            Ok(vec![-9i64 as u64, -9i64 as u64]),
            Ok(vec![(-0.0f64).to_bits(), 0]),
            Ok(vec![1, 1]),
            Err(TrapCode::ArrayOutOfBounds),
            Err(TrapCode::ArrayOutOfBounds),
            Err(TrapCode::ArrayOutOfBounds),
            Err(TrapCode::NullReference),
            Err(TrapCode::NullReference),
        ],
    );
}

#[test]
fn i31_values_keep_31_bits() {
    check(
        r#"(module
        (func (result i32 i32) (i31.get_s (ref.i31 (i32.const -1))) (i31.get_u (ref.i31 (i32.const -1))))
        (func (result i32 i32)
            (i31.get_s (ref.i31 (i32.const 0x40000000))) (i31.get_u (ref.i31 (i32.const 0xc0000000))))
        (func (result i32) (ref.is_null (ref.i31 (i32.const 0))))
        (func (result i32) (i31.get_s (ref.null i31)))
        (func (result i32)
            (i31.get_u (ref.cast (ref i31) (any.convert_extern (extern.convert_any (ref.i31 (i32.const 9))))))))"#,
        &[
            Ok(vec![0xffff_ffff, 0x7fff_ffff]),
            Ok(vec![0xc000_0000, 0x4000_0000]),
            Ok(vec![0]),
            Err(TrapCode::NullReference),
            Ok(vec![9]),
        ],
    );
}

/// The values that casts are tried on, as expressions.
const SOURCES: [&str; 7] = [
    "(ref.null any)",
    "(ref.i31 (i32.const 0))",
    "(struct.new_default $a)",
    "(struct.new_default $b)",
    "(struct.new_default $c)",
    "(struct.new_default $other)",
    "(array.new_default $array (i32.const 1))",
];

/// Targets and which of the sources match them when null does not count.
const TARGETS: [(&str, [bool; 7]); 11] = [
    ("any", [false, true, true, true, true, true, true]),
    ("eq", [false, true, true, true, true, true, true]),
    ("i31", [false, true, false, false, false, false, false]),
    ("struct", [false, false, true, true, true, true, false]),
    ("array", [false, false, false, false, false, false, true]),
    ("none", [false; 7]),
    ("$a", [false, false, true, true, true, false, false]),
    ("$b", [false, false, false, true, true, false, false]),
    ("$c", [false, false, false, false, true, false, false]),
    ("$other", [false, false, false, false, false, true, false]),
    ("$array", [false, false, false, false, false, false, true]),
];

#[test]
fn casts_agree_with_the_subtype_relation() {
    let mut functions = String::new();
    let mut expected = Vec::new();
    for (target, matches) in TARGETS {
        for (source, matches) in SOURCES.iter().zip(matches) {
            for null in ["", "null"] {
                let matches = matches || (*source == SOURCES[0] && null == "null");
                let to = format!("(ref {null} {target})");
                let rest = if null.is_empty() { "anyref" } else { "(ref any)" };
                functions.push_str(&format!(
                    r#"
                    (func (result i32) (ref.test {to} {source}))
                    (func (drop (ref.cast {to} {source})))
                    (func (result i32)
                        (block $l (result {to}) (br_on_cast $l anyref {to} {source}) (drop) (return (i32.const 0)))
                        (drop) (i32.const 1))
                    (func (result i32)
                        (block $l (result {rest}) (br_on_cast_fail $l anyref {to} {source}) (drop)
                            (return (i32.const 1)))
                        (drop) (i32.const 0))"#
                ));
                let number = Ok(vec![u64::from(matches)]);
                expected.push(number.clone());
                expected.push(if matches { Ok(vec![]) } else { Err(TrapCode::CastFailure) });
                expected.push(number.clone());
                expected.push(number);
            }
        }
    }
    check(
        &format!(
            r#"(module
            (type $a (sub (struct (field i32))))
            (type $b (sub $a (struct (field i32) (field anyref))))
            (type $c (sub final $b (struct (field i32) (field anyref) (field i64))))
            (type $other (sub (struct (field i32) (field i32))))
            (type $array (array (mut i32)))
            {functions})"#
        ),
        &expected,
    );
}

#[test]
fn host_boxes_are_any_but_not_eq() {
    let targets = [("any", 1), ("eq", 0), ("i31", 0), ("struct", 0), ("array", 0), ("none", 0), ("$s", 0)];
    let mut wat = "(module (type $s (sub (struct)))".to_owned();
    for (target, _) in targets {
        wat.push_str(&format!(
            "(func (param externref) (result i32) (ref.test (ref {target}) (any.convert_extern (local.get 0))))"
        ));
    }
    wat.push(')');
    for shape in [BUMP, CALL] {
        let machine = Machine::new(&wat, CompileOptions::default(), shape);
        for (index, (target, expected)) in targets.into_iter().enumerate() {
            assert_eq!(machine.call(index, &[u64::from(HOST_BOX)], 0), Ok(vec![expected]), "{target}");
            assert_eq!(machine.call(index, &[0], 0), Ok(vec![0]), "null as {target}");
        }
    }
}

#[test]
fn function_casts_agree_with_the_subtype_relation() {
    check(
        r#"(module
        (type $f (sub (func (result i32))))
        (type $g (sub $f (func (result i32))))
        (type $h (sub (func (param i32))))
        (func (result i32) (ref.test (ref $f) (ref.func $of_g)))
        (func (result i32) (ref.test (ref $g) (ref.func $of_f)))
        (func (result i32) (ref.test (ref $h) (ref.func $of_g)))
        (func (result i32) (ref.test (ref $g) (ref.null func)))
        (func (result i32) (ref.test (ref null $g) (ref.null func)))
        (func (result i32) (ref.test (ref null nofunc) (ref.func $of_f)))
        (func (drop (ref.cast (ref $g) (block (result funcref) (ref.func $of_f)))))
        (func (result i32) (call_ref $g (ref.cast (ref $g) (block (result funcref) (ref.func $of_g)))))
        (func $of_f (type $f) (i32.const 1))
        (func $of_g (type $g) (i32.const 2))
        (elem declare func $of_f $of_g))"#,
        &[
            Ok(vec![1]),
            Ok(vec![0]),
            Ok(vec![0]),
            Ok(vec![0]),
            Ok(vec![1]),
            Ok(vec![0]),
            Err(TrapCode::CastFailure),
            Ok(vec![2]),
        ],
    );
}

#[test]
fn fixed_arrays_cost_one_unit_of_fuel_per_element() {
    let wat = r#"(module (type $a (array i32))
        (func (result i32) (array.len (array.new_fixed $a 3 (i32.const 1) (i32.const 2) (i32.const 3)))))"#;
    let options = CompileOptions { fuel: true, ..Default::default() };
    let machine = Machine::new(wat, options, BUMP);
    assert!(machine.fuel);
    assert_eq!(machine.call(0, &[], 4), Ok(vec![3]));
    assert_eq!(machine.call(0, &[], 3), Err(TrapCode::OutOfFuel));
}

#[test]
fn the_slow_path_takes_over_when_the_window_is_full() {
    // 300 objects of 24 bytes in a window of 4,032 bytes, each found again through the list.
    check(
        r#"(module (type $node (struct (field $next (ref null $node)) (field $n i64)))
        (func (result i64)
            (local $list (ref null $node)) (local $n i64) (local $sum i64)
            (loop $make
                (local.set $n (i64.add (local.get $n) (i64.const 1)))
                (local.set $list (struct.new $node (local.get $list) (local.get $n)))
                (br_if $make (i64.lt_u (local.get $n) (i64.const 300))))
            (loop $add
                (local.set $sum (i64.add (local.get $sum) (struct.get $node $n (local.get $list))))
                (local.set $list (struct.get $node $next (local.get $list)))
                (br_if $add (i32.eqz (ref.is_null (local.get $list)))))
            (local.get $sum)))"#,
        &[Ok(vec![45150])],
    );
}
