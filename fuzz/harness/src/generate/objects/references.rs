//! Expressions of reference type: where a reference can come from.
//!
//! Each producer leaves one value on the operand stack, and a collection may follow while it lies only there. Values of
//! another type of the same hierarchy are brought to the wanted type by `br_on_*` and casts that cannot trap.

use wasm_encoder::{AbstractHeapType as Abstract, BlockType, HeapType, RefType, StorageType, ValType};

use super::Generator;
use super::program::{HOST, KEPT, OBJECTS};
use super::types::{ANYREF, Top, heap, non_null, nullable};
use crate::generate::choices::SMALL_I31;

/// Nesting of leaves beyond which nullable ones are null, in a large program and in a small one.
const LEAF_NESTING: usize = 2;
const SMALL_LEAF_NESTING: usize = 1;

/// Sources of a reference to an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Producer {
    Null,
    I31,
    Local,
    StaleLocal,
    Tee,
    Construct,
    Maker,
    Fresh,
    StructGet,
    ArrayGet,
    Select,
    If,
    Block,
    BlockParam,
    Loop,
    BranchIf,
    Downcast,
    AsNonNull,
    Global,
    Table,
    Kept,
    RoundTrip,
}

/// Every producer by its weight.
const PRODUCERS: &[(usize, Producer)] = &[
    (1, Producer::Null),
    (4, Producer::I31),
    (16, Producer::Local),
    (4, Producer::StaleLocal),
    (3, Producer::Tee),
    (16, Producer::Construct),
    (7, Producer::Maker),
    (4, Producer::Fresh),
    (9, Producer::StructGet),
    (7, Producer::ArrayGet),
    (5, Producer::Select),
    (3, Producer::If),
    (2, Producer::Block),
    (3, Producer::BlockParam),
    (3, Producer::Loop),
    (3, Producer::BranchIf),
    (4, Producer::Downcast),
    (3, Producer::AsNonNull),
    (4, Producer::Global),
    (4, Producer::Table),
    (1, Producer::Kept),
    (3, Producer::RoundTrip),
];

/// Producers whose result is worth holding across a collection; one of each comes around in turn.
pub(super) const HELD: &[Producer] = &[
    Producer::StructGet,
    Producer::Select,
    Producer::ArrayGet,
    Producer::Fresh,
    Producer::BlockParam,
    Producer::Construct,
    Producer::Loop,
    Producer::If,
    Producer::Global,
    Producer::StaleLocal,
    Producer::Table,
    Producer::Downcast,
    Producer::Maker,
    Producer::RoundTrip,
    Producer::Tee,
    Producer::BranchIf,
    Producer::AsNonNull,
    Producer::Block,
];

impl Generator<'_, '_> {
    /// Emits an expression of type `want`.
    pub(super) fn reference(&mut self, want: RefType, depth: usize) {
        if depth == 0 || !self.f.room() {
            return self.leaf(want);
        }
        match self.p.types.top(want.heap_type) {
            Top::Any => {
                let producer = self.c.weighted(PRODUCERS);
                self.produce(producer, want, depth);
            }
            Top::Func => self.function_reference(want, depth),
            Top::Extern => self.extern_reference(want, depth),
            Top::Exn => self.exception_reference(want, depth),
        }
        if self.c.chance(1, 6) {
            self.hold();
        }
    }

    /// Emits an expression of type `want` by this producer, or by construction where the producer has nothing to offer.
    pub(super) fn produce(&mut self, producer: Producer, want: RefType, depth: usize) {
        let below = depth.saturating_sub(1);
        match producer {
            Producer::Null if want.nullable => self.null(want),
            Producer::I31 if self.p.types.heap_subtype(HeapType::I31, want.heap_type) => {
                self.numeric(ValType::I32, below.min(1));
                if self.c.small_i31 {
                    self.f.op().i32_const(SMALL_I31 - 1).i32_and();
                }
                self.f.op().ref_i31();
            }
            Producer::Local => match self.related_local(want, false) {
                Some((local, have)) => self.converted(have, want, |g| {
                    g.f.op().local_get(local);
                }),
                None => self.construct_for(want, below),
            },
            Producer::StaleLocal => match self.related_local(want, true) {
                Some((local, have)) => self.converted(have, want, |g| {
                    g.f.op().local_get(local);
                    g.reference(have, below.min(1));
                    g.f.set(local);
                }),
                None => self.construct_for(want, below),
            },
            Producer::Tee => {
                self.reference(want, below);
                let local = self.f.local(ValType::Ref(nullable(want.heap_type)));
                self.f.op().local_tee(local);
                if want.nullable {
                    return;
                }
                // The tee's result is nullable in no case: it has the operand's type only up to the local's.
                self.f.op().ref_as_non_null();
            }
            Producer::Maker => {
                let types = &self.p.types;
                let makers = &self.p.makers;
                let fitting: Vec<_> = makers
                    .iter()
                    .filter(|maker| types.heap_subtype(HeapType::Concrete(maker.ty), want.heap_type))
                    .copied()
                    .collect();
                if fitting.is_empty() {
                    return self.construct_for(want, below);
                }
                let maker = self.c.pick(&fitting);
                let size = self.c.below(7) as i32;
                self.f.op().i32_const(size);
                self.call_somehow(maker.function);
            }
            Producer::Fresh if !self.p.fresh.is_empty() => {
                let function = self.c.pick(&self.p.fresh);
                let ValType::Ref(have) = self.p.function(function).results[0] else { return self.leaf(want) };
                self.converted(have, want, |g| g.call_somehow(function));
            }
            Producer::StructGet => self.struct_get_for(want, below),
            Producer::ArrayGet => self.array_get_for(want, below),
            Producer::Select => {
                self.reference(want, below);
                self.reference(want, below.min(1));
                self.numeric(ValType::I32, below.min(1));
                self.f.op().typed_select(ValType::Ref(want));
            }
            Producer::If => {
                self.numeric(ValType::I32, below);
                self.if_(BlockType::Result(ValType::Ref(want)));
                self.reference(want, below);
                self.else_();
                self.reference(want, below.min(1));
                self.end();
            }
            Producer::Block => {
                self.block(BlockType::Result(ValType::Ref(want)));
                self.reference(want, below);
                if self.c.chance(1, 2) {
                    // The rest is dead code, of whatever type.
                    self.f.op().br(0);
                    self.dead_code();
                    self.f.op().unreachable();
                } else {
                    self.numeric(ValType::I32, 0);
                    self.f.op().br_table([0, 0], 0);
                }
                self.end();
            }
            Producer::BlockParam => {
                let value = ValType::Ref(want);
                self.reference(want, below);
                let ty = self.p.types.function(&[value], &[value]);
                self.block(BlockType::FunctionType(ty));
                self.hold();
                self.end();
            }
            Producer::Loop => self.loop_carried(want, below),
            Producer::BranchIf => {
                self.block(BlockType::Result(ValType::Ref(want)));
                self.reference(want, below);
                self.numeric(ValType::I32, below.min(1));
                self.f.op().br_if(0);
                self.f.op().drop();
                self.reference(want, below.min(1));
                self.end();
            }
            Producer::Downcast => {
                self.converted(ANYREF, want, |g| g.reference(ANYREF, below));
            }
            Producer::AsNonNull => self.certain_cast(want, below),
            Producer::Global => {
                let globals: Vec<(u32, RefType, bool)> = self
                    .p
                    .globals
                    .iter()
                    .take(self.p.common_globals)
                    .enumerate()
                    .filter_map(|(index, global)| match global.ty {
                        ValType::Ref(ty) => Some((index as u32, ty, global.mutable)),
                        _ => None,
                    })
                    .filter(|(_, ty, _)| self.related(*ty, want))
                    .collect();
                if globals.is_empty() {
                    return self.construct_for(want, below);
                }
                let (global, have, mutable) = self.c.pick(&globals);
                let overwrite = mutable && self.c.chance(1, 2);
                self.converted(have, want, |g| {
                    g.f.op().global_get(global);
                    if overwrite {
                        g.leaf(have);
                        g.f.op().global_set(global);
                    }
                });
            }
            Producer::Table => {
                let tables: Vec<u32> = (OBJECTS..self.p.common_tables as u32)
                    .filter(|table| self.related(self.p.tables[*table as usize].ty, want))
                    .collect();
                if tables.is_empty() {
                    return self.construct_for(want, below);
                }
                let table = self.c.pick(&tables);
                let have = self.p.tables[table as usize].ty;
                let index = self.c.below(self.p.tables[table as usize].min as usize) as i32;
                let overwrite = self.c.chance(1, 2);
                self.converted(have, want, |g| {
                    g.f.op().i32_const(index);
                    g.f.op().table_get(table);
                    if overwrite {
                        g.f.op().i32_const(index);
                        g.leaf(have);
                        g.f.op().table_set(table);
                    }
                });
            }
            Producer::Kept => {
                let index = self.c.below(4) as i32;
                self.converted(ANYREF, want, |g| {
                    g.f.op().i32_const(index);
                    g.f.op().call(KEPT);
                });
            }
            Producer::RoundTrip => {
                let have = RefType { nullable: want.nullable, ..ANYREF };
                let inner = if self.c.chance(1, 2) { want } else { have };
                self.converted(have, want, |g| {
                    g.reference(inner, below);
                    g.f.op().extern_convert_any();
                    g.hold();
                    g.f.op().any_convert_extern();
                });
            }
            _ => self.construct_for(want, below),
        }
    }

    /// The cheapest expressions; always possible, and bounded by the order of types.
    pub(super) fn leaf(&mut self, want: RefType) {
        let fitting: Vec<u32> = self
            .readable_locals()
            .filter(|(_, have)| self.p.types.ref_subtype(*have, want))
            .map(|(local, _)| local)
            .collect();
        if !fitting.is_empty() && self.c.chance(3, 5) {
            let local = self.c.pick(&fitting);
            self.f.op().local_get(local);
            return;
        }
        let deep = self.leaf_nesting >= if self.small { SMALL_LEAF_NESTING } else { LEAF_NESTING };
        if want.nullable && (deep || self.c.chance(1, 4)) {
            return self.null(want);
        }
        self.leaf_nesting += 1;
        match want.heap_type {
            HeapType::Concrete(index) => match self.p.types.top(want.heap_type) {
                Top::Func => match self.p.callbacks.first() {
                    Some(first) if index == self.p.types.callback => {
                        self.f.op().ref_func(*first);
                    }
                    _ => self.null(want),
                },
                _ => self.construct(index, 0),
            },
            HeapType::Abstract { ty, .. } => match ty {
                Abstract::Any | Abstract::Eq if !deep && self.c.chance(1, 3) => {
                    let known = self.p.types.structs.len();
                    let index = self.p.types.structs[self.c.below(known)];
                    self.construct(index, 0);
                }
                Abstract::Any | Abstract::Eq | Abstract::I31 => {
                    let value = self.c.i31();
                    self.f.op().i32_const(value);
                    self.f.op().ref_i31();
                }
                Abstract::Struct => self.construct(self.p.types.node, 0),
                Abstract::Array => {
                    let index = self.c.pick(&self.p.types.arrays);
                    self.construct(index, 0);
                }
                Abstract::Func => match self.p.table_functions.first() {
                    Some(_) => {
                        let function = self.c.pick(&self.p.table_functions);
                        self.f.op().ref_func(function);
                    }
                    None => self.null(want),
                },
                Abstract::Extern => {
                    let value = self.c.i31();
                    self.f.op().i32_const(value);
                    if self.c.chance(1, 2) {
                        self.f.op().call(HOST);
                        if !want.nullable {
                            self.f.op().ref_as_non_null();
                        }
                    } else {
                        self.f.op().ref_i31();
                        self.f.op().extern_convert_any();
                    }
                }
                _ => self.null(want),
            },
            HeapType::Exact(_) => self.null(want),
        }
        self.leaf_nesting -= 1;
    }

    /// A null of the wanted type or of the bottom type.
    pub(super) fn null(&mut self, want: RefType) {
        let bottom = match self.p.types.top(want.heap_type) {
            Top::Any => Abstract::None,
            Top::Func => Abstract::NoFunc,
            Top::Extern => Abstract::NoExtern,
            Top::Exn => Abstract::NoExn,
        };
        let ty = if self.c.chance(1, 2) { heap(bottom) } else { want.heap_type };
        self.f.op().ref_null(ty);
    }

    /// Whether one of the types is a subtype of the other, nullability aside.
    fn related(&self, have: RefType, want: RefType) -> bool {
        let types = &self.p.types;
        types.heap_subtype(have.heap_type, want.heap_type)
            || types.heap_subtype(want.heap_type, have.heap_type)
    }

    pub(super) fn readable_locals(&self) -> impl Iterator<Item = (u32, RefType)> + '_ {
        self.f.locals.iter().enumerate().filter_map(|(index, local)| match local.ty {
            ValType::Ref(ty) if local.ready && local.readable => Some((index as u32, ty)),
            _ => None,
        })
    }

    pub(super) fn related_local(&mut self, want: RefType, writable: bool) -> Option<(u32, RefType)> {
        let fitting: Vec<(u32, RefType)> = self
            .readable_locals()
            .filter(|(local, have)| {
                self.related(*have, want) && (!writable || self.f.locals[*local as usize].writable)
            })
            .collect();
        (!fitting.is_empty()).then(|| self.c.pick(&fitting))
    }

    /// `struct.get` of a field that holds such a reference.
    fn struct_get_for(&mut self, want: RefType, depth: usize) {
        let mut fields = Vec::new();
        for &ty in &self.p.types.structs {
            for (field, def) in self.p.types.fields(ty).iter().enumerate() {
                if let StorageType::Val(ValType::Ref(have)) = def.element_type
                    && self.related(have, want)
                {
                    fields.push((ty, field as u32, have));
                }
            }
        }
        if fields.is_empty() {
            return self.construct_for(want, depth);
        }
        let (ty, field, have) = self.c.pick(&fields);
        self.converted(have, want, |g| {
            g.reference(non_null(HeapType::Concrete(ty)), depth);
            let ty = g.p.types.alias(&mut g.c, ty);
            g.f.op().struct_get(ty, field);
            g.maybe_hold();
        });
    }

    /// `array.get` of an element that holds such a reference.
    fn array_get_for(&mut self, want: RefType, depth: usize) {
        let mut arrays = Vec::new();
        for &ty in &self.p.types.arrays {
            if let StorageType::Val(ValType::Ref(have)) = self.p.types.element(ty).element_type
                && self.related(have, want)
            {
                arrays.push((ty, have));
            }
        }
        if arrays.is_empty() {
            return self.construct_for(want, depth);
        }
        let (ty, have) = self.c.pick(&arrays);
        let own = self.c.chance(1, 2);
        self.converted(have, want, |g| {
            if own {
                let len = g.construct_array(ty, depth, 1);
                let index = g.c.below(len as usize) as i32;
                g.known(index);
                g.f.op().array_get(ty);
            } else {
                g.reference(non_null(HeapType::Concrete(ty)), depth);
                g.guarded_get(ty);
            }
            g.maybe_hold();
        });
    }

    /// Takes a non-null array from the stack and leaves some element, or a leaf if there is none.
    pub(super) fn guarded_get(&mut self, ty: u32) {
        let element = self.p.types.element(ty).element_type;
        let local = self.f.scratch(ValType::Ref(nullable(HeapType::Concrete(ty))));
        self.f.op().local_tee(local);
        self.f.op().array_len();
        self.if_(BlockType::Result(element.unpack()));
        self.f.op().local_get(local);
        self.numeric(ValType::I32, 0);
        self.f.op().local_get(local);
        self.f.op().array_len();
        self.f.op().i32_rem_u();
        if self.c.chance(1, 3) {
            self.same_number();
        }
        self.array_get(ty);
        self.else_();
        self.value(element.unpack(), 0);
        self.end();
    }

    /// A loop with the value as its parameter: one to three rounds, a collection in each.
    fn loop_carried(&mut self, want: RefType, depth: usize) {
        let value = ValType::Ref(want);
        let counter = self.f.scratch(ValType::I32);
        let rounds = self.c.range(1, 3);
        self.f.op().i32_const(rounds as i32);
        self.f.op().local_set(counter);
        self.reference(want, depth);
        let ty = self.p.types.function(&[value], &[value]);
        let start = self.f.begin_repeat(rounds);
        self.loop_(BlockType::FunctionType(ty));
        self.hold();
        if self.c.chance(1, 2) {
            let local = self.f.local(ValType::Ref(nullable(want.heap_type)));
            self.f.op().local_set(local);
            self.reference(want, depth.min(1));
        }
        self.f.op().local_get(counter);
        self.f.op().i32_const(1);
        self.f.op().i32_sub();
        self.f.op().local_tee(counter);
        self.f.op().br_if(0);
        self.end();
        self.f.end_repeat(start, rounds);
    }

    /// A cast or null check that is known to succeed.
    fn certain_cast(&mut self, want: RefType, depth: usize) {
        let via = match want.heap_type {
            HeapType::Concrete(index) => match self.p.types.defs[index as usize].supertype {
                Some(base) if self.c.chance(1, 2) => HeapType::Concrete(base),
                _ => self.c.pick(&[heap(Abstract::Any), heap(Abstract::Eq), want.heap_type]),
            },
            other => other,
        };
        let local = self.f.scratch(ValType::Ref(nullable(via)));
        self.reference(want, depth);
        self.f.op().local_set(local);
        self.f.op().local_get(local);
        if via != want.heap_type {
            self.cast(want);
        } else if !want.nullable {
            self.f.op().ref_as_non_null();
        }
    }

    /// Emits any value of this type.
    pub(super) fn value(&mut self, ty: ValType, depth: usize) {
        match ty {
            ValType::Ref(want) => self.reference(want, depth),
            _ => self.numeric(ty, depth.min(2)),
        }
    }
}
