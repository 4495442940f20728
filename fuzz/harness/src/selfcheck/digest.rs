//! The functions of a digest: a walk over what some values reach, as WebAssembly, in the module itself.
//!
//! A digest is an i64 that values are mixed into one after the other. References to objects are numbered in the order in
//! which they are first met, compared by `ref.eq` with those before; the objects themselves are mixed in by that order, each
//! with its runtime type and all that it holds, so that isomorphic graphs, and (but for collisions) only those, have equal
//! digests. The walk keeps its objects in a table: it allocates nothing, and it does not recurse.

use wasm_encoder::{
    AbstractHeapType as Abstract, BlockType, Function, HeapType, InstructionSink, RefType, StorageType,
    ValType,
};

use super::additions::{ANYREF, Added, Additions, EQREF, MAX_ELEMENTS, MAX_OBJECTS, MAX_VISITS, heap};
use super::module::{Shape, Top};

/// Words that stand for what has no bits of its own.
#[derive(Clone, Copy)]
pub(super) enum Word {
    Start = 0x6173_7361,
    Null,
    I31,
    Object,
    /// An object beyond the limits.
    Beyond,
    /// A value of the host proper.
    Host,
    Nan,
    /// An object of a type that the module does not know.
    Struct,
    Array,
    Function,
    /// A thrown exception: of a tag, or of one that the module does not know.
    Thrown,
    Foreign,
    Logged,
    Table,
    Memory,
    Kept,
}

impl Word {
    pub(super) fn bits(self) -> i64 {
        // Far from each other and from small numbers.
        (self as i64).wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// The indices of the functions.
#[derive(Clone, Debug)]
pub(super) struct Digest {
    /// `(i64 digest, i64 word) -> i64`.
    pub(super) mix: u32,
    /// `(i32 objects) -> i64`: begins a digest that numbers at most so many objects.
    pub(super) begin: u32,
    /// `(i64 digest) -> i64`: mixes in all objects that were met, and ends.
    pub(super) finish: u32,
    /// A value to its word: `(f32) -> i64` and so on.
    f32: u32,
    f64: u32,
    v128: Option<u32>,
    reference: u32,
    function: u32,
    /// `(eqref) -> i64`: the runtime type; and the object with all that it holds.
    sort: u32,
    object: u32,
    /// Per struct and array type, most derived first: `(ref $type) -> i64`.
    types: Vec<(u32, u32)>,
}

impl Digest {
    /// Adds them.
    pub(super) fn add(add: &mut Additions<'_>) -> Digest {
        let types = add.module.most_derived_first(|shape| !matches!(shape, Shape::Func(..)));
        let of_type = |ty| ValType::Ref(RefType { nullable: false, heap_type: HeapType::Concrete(ty) });
        let to_word = [ValType::I64];
        let digest = Digest {
            mix: add.declare(&[ValType::I64, ValType::I64], &to_word),
            begin: add.declare(&[ValType::I32], &to_word),
            finish: add.declare(&[ValType::I64], &to_word),
            f32: add.declare(&[ValType::F32], &to_word),
            f64: add.declare(&[ValType::F64], &to_word),
            v128: add.module.has_vectors().then(|| add.declare(&[ValType::V128], &to_word)),
            reference: add.declare(&[ANYREF], &to_word),
            function: add.declare(&[ValType::Ref(RefType::FUNCREF)], &to_word),
            sort: add.declare(&[EQREF], &to_word),
            object: add.declare(&[EQREF], &to_word),
            types: types.into_iter().map(|ty| (ty, add.declare(&[of_type(ty)], &to_word))).collect(),
        };
        digest.define_numbers(add);
        digest.define_reference(add);
        digest.define_function(add);
        digest.define_object(add);
        digest.define_walk(add);
        for &(ty, function) in &digest.types {
            let body = match &add.module.types[ty as usize].shape {
                Shape::Struct(fields) => digest.structure(add, ty, fields),
                Shape::Array(element) => digest.array(add, ty, *element),
                Shape::Func(..) => continue,
            };
            add.define(function, body);
        }
        digest
    }

    /// The value on the stack to its word.
    pub(super) fn word(&self, add: &Additions<'_>, f: &mut InstructionSink<'_>, ty: ValType) {
        match ty {
            ValType::I32 => f.i64_extend_i32_s(),
            ValType::I64 => f,
            ValType::F32 => f.call(self.f32),
            ValType::F64 => f.call(self.f64),
            ValType::V128 => match self.v128 {
                Some(function) => f.call(function),
                // Declared wherever vectors occur.
                None => f.drop().i64_const(0),
            },
            ValType::Ref(ty) => match add.module.top(ty) {
                Top::Any => f.call(self.reference),
                Top::Func => f.call(self.function),
                Top::Extern => f.any_convert_extern().call(self.reference),
                Top::Exn => f.ref_is_null().i64_extend_i32_u(),
            },
        };
    }

    /// Mixes the value that `read` leaves into the digest on the stack.
    fn read(
        &self,
        add: &Additions<'_>,
        f: &mut InstructionSink<'_>,
        ty: StorageType,
        mut read: impl FnMut(&mut InstructionSink<'_>, Packed),
    ) {
        match ty {
            StorageType::Val(ty) => {
                read(f, Packed::No);
                self.word(add, f, ty);
                f.call(self.mix);
            }
            StorageType::I8 | StorageType::I16 => {
                read(f, Packed::Signed);
                f.i64_extend_i32_s().call(self.mix);
                read(f, Packed::Unsigned);
                f.i64_extend_i32_s().call(self.mix);
            }
        }
    }

    fn define_numbers(&self, add: &mut Additions<'_>) {
        let mut body = Function::new([]);
        body.instructions()
            .local_get(0)
            .i64_const(23)
            .i64_rotl()
            .local_get(1)
            .i64_xor()
            .i64_const(0xd6e8_feb8_6659_fd93u64.cast_signed())
            .i64_mul()
            .local_tee(0)
            .local_get(0)
            .i64_const(32)
            .i64_shr_u()
            .i64_xor();
        add.define(self.mix, body);
        let to_word = BlockType::Result(ValType::I64);
        let mut body = Function::new([]);
        body.instructions()
            .local_get(0)
            .local_get(0)
            .f32_ne()
            .if_(to_word)
            .i64_const(Word::Nan.bits())
            .else_()
            .local_get(0)
            .i32_reinterpret_f32()
            .i64_extend_i32_u()
            .end();
        add.define(self.f32, body);
        let mut body = Function::new([]);
        body.instructions()
            .local_get(0)
            .local_get(0)
            .f64_ne()
            .if_(to_word)
            .i64_const(Word::Nan.bits())
            .else_()
            .local_get(0)
            .i64_reinterpret_f64()
            .end();
        add.define(self.f64, body);
        if let Some(function) = self.v128 {
            let mut body = Function::new([]);
            body.instructions()
                .local_get(0)
                .i64x2_extract_lane(0)
                .local_get(0)
                .i64x2_extract_lane(1)
                .call(self.mix);
            add.define(function, body);
        }
    }

    /// Any reference of the internal hierarchy.
    fn define_reference(&self, add: &mut Additions<'_>) {
        const GIVEN: u32 = 0;
        const OBJECT: u32 = 1;
        const AT: u32 = 2;
        let (seen, limit) = (add.global(Added::Seen), add.global(Added::SeenLimit));
        let (visits, table) = (add.global(Added::Visits), add.seen());
        let (i31, eq) = (HeapType::I31, heap(Abstract::Eq));
        let mut body = Function::new([(1, EQREF), (1, ValType::I32)]);
        let mut f = body.instructions();
        f.local_get(GIVEN).ref_is_null().if_(BlockType::Empty);
        f.i64_const(Word::Null.bits()).return_().end();
        f.local_get(GIVEN).ref_test_non_null(i31).if_(BlockType::Empty);
        f.i64_const(Word::I31.bits());
        f.local_get(GIVEN).ref_cast_non_null(i31).i31_get_s().i64_extend_i32_s().call(self.mix);
        f.local_get(GIVEN).ref_cast_non_null(i31).i31_get_u().i64_extend_i32_s().call(self.mix);
        f.return_().end();
        f.local_get(GIVEN).ref_test_non_null(eq).i32_eqz().if_(BlockType::Empty);
        f.i64_const(Word::Host.bits()).return_().end();
        f.local_get(GIVEN).ref_cast_non_null(eq).local_set(OBJECT);
        f.block(BlockType::Empty);
        f.global_get(visits).i32_eqz().br_if(0);
        f.global_get(visits).i32_const(1).i32_sub().global_set(visits);
        f.block(BlockType::Empty).loop_(BlockType::Empty);
        f.local_get(AT).global_get(seen).i32_ge_u().br_if(1);
        f.local_get(AT).table_get(table).local_get(OBJECT).ref_eq().if_(BlockType::Empty);
        f.i64_const(Word::Object.bits()).local_get(AT).i64_extend_i32_u().call(self.mix).return_().end();
        f.local_get(AT).i32_const(1).i32_add().local_set(AT).br(0).end().end();
        f.global_get(seen).global_get(limit).i32_ge_u().br_if(0);
        f.local_get(AT).local_get(OBJECT).table_set(table);
        f.local_get(AT).i32_const(1).i32_add().global_set(seen);
        f.i64_const(Word::Object.bits()).local_get(AT).i64_extend_i32_u().call(self.mix).return_().end();
        f.i64_const(Word::Beyond.bits()).local_get(OBJECT).call(self.sort).call(self.mix);
        add.define(self.reference, body);
    }

    /// A function by the most derived of the module's types that it has.
    fn define_function(&self, add: &mut Additions<'_>) {
        let mut body = Function::new([]);
        let mut f = body.instructions();
        f.local_get(0).ref_is_null().if_(BlockType::Empty).i64_const(Word::Null.bits()).return_().end();
        for ty in add.module.most_derived_first(|shape| matches!(shape, Shape::Func(..))) {
            f.local_get(0).ref_test_non_null(HeapType::Concrete(ty)).if_(BlockType::Empty);
            f.i64_const(add.module.types[ty as usize].number).return_().end();
        }
        f.i64_const(Word::Function.bits());
        add.define(self.function, body);
    }

    /// Which of the module's types an object has, and what it holds.
    fn define_object(&self, add: &mut Additions<'_>) {
        let array = heap(Abstract::Array);
        for (function, whole) in [(self.sort, false), (self.object, true)] {
            let mut body = Function::new([]);
            let mut f = body.instructions();
            for &(ty, of_type) in &self.types {
                let heap_type = HeapType::Concrete(ty);
                f.local_get(0).ref_test_non_null(heap_type).if_(BlockType::Empty);
                if whole {
                    f.local_get(0).ref_cast_non_null(heap_type).call(of_type);
                } else {
                    f.i64_const(add.module.types[ty as usize].number);
                }
                f.return_().end();
            }
            f.local_get(0).ref_test_non_null(array).if_(BlockType::Result(ValType::I64));
            f.i64_const(Word::Array.bits());
            f.local_get(0).ref_cast_non_null(array).array_len().i64_extend_i32_u().call(self.mix);
            f.else_().i64_const(Word::Struct.bits()).end();
            add.define(function, body);
        }
    }

    fn define_walk(&self, add: &mut Additions<'_>) {
        let (seen, limit) = (add.global(Added::Seen), add.global(Added::SeenLimit));
        let (visits, table) = (add.global(Added::Visits), add.seen());
        let mut body = Function::new([]);
        body.instructions()
            .i32_const(0)
            .global_set(seen)
            .local_get(0)
            .global_set(limit)
            .i32_const(MAX_VISITS.cast_signed())
            .global_set(visits)
            .i64_const(Word::Start.bits())
            .i64_const(i64::from(MAX_OBJECTS) << 32 | i64::from(MAX_ELEMENTS))
            .call(self.mix);
        add.define(self.begin, body);
        const STATE: u32 = 0;
        const AT: u32 = 1;
        let mut body = Function::new([(1, ValType::I32)]);
        let mut f = body.instructions();
        f.block(BlockType::Empty).loop_(BlockType::Empty);
        f.local_get(AT).global_get(seen).i32_ge_u().br_if(1);
        f.local_get(STATE).local_get(AT).table_get(table).call(self.object).call(self.mix).local_set(STATE);
        f.local_get(AT).i32_const(1).i32_add().local_set(AT).br(0).end().end();
        // Nothing is kept alive by having been seen.
        f.i32_const(0).ref_null(heap(Abstract::None)).global_get(seen).table_fill(table);
        f.i32_const(0).global_set(seen);
        f.local_get(STATE);
        add.define(self.finish, body);
    }

    fn structure(&self, add: &Additions<'_>, ty: u32, fields: &[StorageType]) -> Function {
        let mut body = Function::new([]);
        let mut f = body.instructions();
        f.i64_const(add.module.types[ty as usize].number);
        for (at, field) in (0u32..).zip(fields) {
            self.read(add, &mut f, *field, |f, packed| {
                f.local_get(0);
                match packed {
                    Packed::No => f.struct_get(ty, at),
                    Packed::Signed => f.struct_get_s(ty, at),
                    Packed::Unsigned => f.struct_get_u(ty, at),
                };
            });
        }
        body
    }

    fn array(&self, add: &Additions<'_>, ty: u32, element: StorageType) -> Function {
        const ARRAY: u32 = 0;
        const STATE: u32 = 1;
        const AT: u32 = 2;
        let mut body = Function::new([(1, ValType::I64), (1, ValType::I32)]);
        let mut f = body.instructions();
        let element = |f: &mut InstructionSink<'_>| {
            f.local_get(STATE);
            self.read(add, f, element, |f, packed| {
                f.local_get(ARRAY).local_get(AT);
                match packed {
                    Packed::No => f.array_get(ty),
                    Packed::Signed => f.array_get_s(ty),
                    Packed::Unsigned => f.array_get_u(ty),
                };
            });
            f.local_set(STATE);
        };
        f.i64_const(add.module.types[ty as usize].number);
        f.local_get(ARRAY).array_len().i64_extend_i32_u().call(self.mix).local_set(STATE);
        f.block(BlockType::Empty).loop_(BlockType::Empty);
        f.local_get(AT).local_get(ARRAY).array_len().i32_ge_u().br_if(1);
        element(&mut f);
        f.local_get(ARRAY).array_len().i32_const(MAX_ELEMENTS.cast_signed()).i32_div_u();
        f.i32_const(1).i32_add().local_get(AT).i32_add().local_set(AT).br(0).end().end();
        f.local_get(ARRAY).array_len().if_(BlockType::Empty);
        f.local_get(ARRAY).array_len().i32_const(1).i32_sub().local_set(AT);
        element(&mut f);
        f.end().local_get(STATE);
        body
    }
}

/// How a field or an element is read.
#[derive(Clone, Copy)]
enum Packed {
    No,
    Signed,
    Unsigned,
}
