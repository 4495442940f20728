//! The recursion groups that all modules of a case have in common, by indices of no module.
//!
//! A list's node heads a chain of ever deeper subtypes; the functions that make them (covariant results) and those that
//! are called back (contravariant parameters) form chains too. Decoys are copies of a group with one edit: they look
//! equal and are not.
//!
//! Invariant: a group refers to itself and to earlier groups only; but for decoys no two groups are equal.

use std::ops::Range;

use wasm_encoder::{
    AbstractHeapType as Abstract, ArrayType, CompositeInnerType, CompositeType, FieldType, FuncType,
    HeapType, RefType, StorageType, StructType, SubType, ValType,
};

use crate::generate::choices::Choices;

pub(super) const fn heap(ty: Abstract) -> HeapType {
    HeapType::Abstract { shared: false, ty }
}

pub(super) const fn nullable(heap_type: HeapType) -> RefType {
    RefType { nullable: true, heap_type }
}

pub(super) const fn non_null(heap_type: HeapType) -> RefType {
    RefType { nullable: false, heap_type }
}

/// The fields of a node that programs know by name, at these positions in each type of the chain.
pub(super) const NEXT: u32 = 0;
pub(super) const KEY: u32 = 1;
pub(super) const CONTENT: u32 = 2;

/// The fields of a holder: a function of the first callback type, any function, anything.
pub(super) const HELD: u32 = 0;
pub(super) const HELD_ANY: u32 = 1;

/// All types of a case. Concrete indices in `defs` are indices of `defs`.
#[derive(Default)]
pub(super) struct World {
    pub(super) defs: Vec<SubType>,
    pub(super) groups: Vec<Range<u32>>,
    /// Structs, each an extension of an earlier one; the node first.
    pub(super) chain: Vec<u32>,
    /// `(i32) -> (ref null? $chain[i])`, each a subtype of the one before.
    pub(super) makers: Vec<u32>,
    /// `((ref null $node) i32) -> i64` and its subtypes, which take more.
    pub(super) callbacks: Vec<u32>,
    /// A mutable array of anyref, and a struct of functions.
    pub(super) bag: u32,
    pub(super) holder: u32,
    /// Groups from here on are decoys.
    pub(super) first_decoy: u32,
}

/// One edit of a copied group.
#[derive(Clone, Copy)]
enum Edit {
    Finality,
    Mutability,
    Position,
    Longer,
}

impl World {
    pub(super) fn generate(c: &mut Choices<'_, '_>) -> World {
        let mut world = World::default();
        world.first_group(c);
        world.callback_subtypes(c);
        world.chain(c);
        world.first_decoy = world.defs.len() as u32;
        for _ in 0..c.range(2, 3) {
            let edit = c.weighted(&[
                (3, Edit::Finality),
                (2, Edit::Mutability),
                (2, Edit::Position),
                (1, Edit::Longer),
            ]);
            world.decoy(c, edit);
        }
        world
    }

    pub(super) fn node(&self) -> u32 {
        self.chain[0]
    }

    /// `(ref null $node)`.
    pub(super) fn node_ref(&self) -> ValType {
        ValType::Ref(nullable(HeapType::Concrete(self.node())))
    }

    pub(super) fn is_func(&self, ty: u32) -> bool {
        matches!(self.defs[ty as usize].composite_type.inner, CompositeInnerType::Func(_))
    }

    /// The fields of a struct; an array's element.
    pub(super) fn fields(&self, ty: u32) -> &[FieldType] {
        match &self.defs[ty as usize].composite_type.inner {
            CompositeInnerType::Struct(ty) => &ty.fields,
            CompositeInnerType::Array(ty) => std::slice::from_ref(&ty.0),
            _ => &[],
        }
    }

    pub(super) fn supertype(&self, ty: u32) -> Option<u32> {
        self.defs[ty as usize].supertype_idxs.first().copied()
    }

    /// The node, what refers to it and what it refers to, in any order.
    fn first_group(&mut self, c: &mut Choices<'_, '_>) {
        let mut order = [0, 1, 2, 3, 4];
        let by = c.below(order.len());
        order.rotate_left(by);
        if c.chance(1, 2) {
            order.reverse();
        }
        let at = |what: usize| order.iter().position(|slot| *slot == what).unwrap_or(0) as u32;
        let [node, callback, maker, bag, holder] = [0, 1, 2, 3, 4].map(at);
        let node_ref = ValType::Ref(nullable(HeapType::Concrete(node)));
        let mut fields = vec![
            field(node_ref, true),
            field(ValType::I32, true),
            field(ValType::Ref(RefType::ANYREF), true),
        ];
        for _ in 0..c.below(3) {
            fields.push(own_field(c, bag));
        }
        let held = ValType::Ref(nullable(HeapType::Concrete(callback)));
        let functions = vec![
            field(held, true),
            field(ValType::Ref(RefType::FUNCREF), true),
            field(ValType::Ref(RefType::ANYREF), true),
        ];
        self.groups.push(0..order.len() as u32);
        for what in order {
            let ty = match what {
                0 => structure(fields.clone()),
                1 => function(&[node_ref, ValType::I32], &[ValType::I64]),
                2 => function(&[ValType::I32], &[node_ref]),
                3 => array(field(ValType::Ref(RefType::ANYREF), true)),
                _ => structure(functions.clone()),
            };
            let is_final = what >= 3 && c.chance(1, 2);
            self.defs.push(SubType { is_final, supertype_idxs: Vec::new(), composite_type: ty });
        }
        (self.chain, self.makers, self.callbacks) = (vec![node], vec![maker], vec![callback]);
        (self.bag, self.holder) = (bag, holder);
    }

    /// Function types that take any struct, then any value of a supertype.
    fn callback_subtypes(&mut self, c: &mut Choices<'_, '_>) {
        let wider = [Abstract::Struct, Abstract::Eq, Abstract::Any];
        let mut from = 0;
        for _ in 0..c.range(1, 3) {
            from = c.range(from, wider.len() - 1);
            let param = ValType::Ref(nullable(heap(wider[from])));
            let ty = function(&[param, ValType::I32], &[ValType::I64]);
            let base = self.callbacks[self.callbacks.len() - 1];
            let index = self.extend(base, ty);
            self.callbacks.push(index);
            self.close_group(1);
        }
        self.end_chain(c, self.callbacks.clone());
    }

    /// Deeper nodes with their makers, one or more to a group.
    fn chain(&mut self, c: &mut Choices<'_, '_>) {
        let mut open = 0;
        let depth = c.weighted(&[(2, 1), (3, 2), (3, 3), (2, 4), (1, 7)]);
        for _ in 0..depth {
            let base = self.chain[self.chain.len() - 1];
            let inherited: Vec<FieldType> = self.fields(base).to_vec();
            let mut fields: Vec<FieldType> =
                inherited.into_iter().map(|field| self.refined(c, field)).collect();
            for _ in 0..c.below(3) {
                fields.push(own_field(c, self.bag));
            }
            let index = self.extend(base, structure(fields));
            self.chain.push(index);
            let result = RefType { nullable: false, heap_type: HeapType::Concrete(index) };
            let base = self.makers[self.makers.len() - 1];
            let maker = self.extend(base, function(&[ValType::I32], &[ValType::Ref(result)]));
            self.makers.push(maker);
            open += 2;
            if c.chance(2, 3) {
                self.close_group(std::mem::take(&mut open));
            }
        }
        self.close_group(open);
        self.end_chain(c, self.chain.clone());
        self.end_chain(c, self.makers.clone());
    }

    /// Makes the deepest type final now and then.
    fn end_chain(&mut self, c: &mut Choices<'_, '_>, chain: Vec<u32>) {
        if let (Some(&last), true) = (chain.last(), c.chance(1, 3)) {
            self.defs[last as usize].is_final = true;
        }
    }

    fn extend(&mut self, base: u32, composite_type: CompositeType) -> u32 {
        self.defs.push(SubType { is_final: false, supertype_idxs: vec![base], composite_type });
        self.defs.len() as u32 - 1
    }

    fn close_group(&mut self, len: u32) {
        let end = self.defs.len() as u32;
        if len > 0 {
            self.groups.push(end - len..end);
        }
    }

    /// An inherited field: narrower now and then where it is immutable.
    fn refined(&self, c: &mut Choices<'_, '_>, field: FieldType) -> FieldType {
        let narrow = match field.element_type {
            StorageType::Val(ValType::Ref(ty)) if !field.mutable && ty == nullable(heap(Abstract::Eq)) => {
                c.pick(&[nullable(HeapType::I31), nullable(heap(Abstract::Struct)), ty])
            }
            StorageType::Val(ValType::Ref(ty))
                if !field.mutable && ty == nullable(heap(Abstract::Struct)) =>
            {
                nullable(HeapType::Concrete(c.pick(&self.chain)))
            }
            _ => return field,
        };
        FieldType { element_type: StorageType::Val(ValType::Ref(narrow)), mutable: false }
    }

    /// A copy of a group with one edit, or with another type behind it where the edit has no place.
    fn decoy(&mut self, c: &mut Choices<'_, '_>, edit: Edit) {
        let originals = self.groups.iter().filter(|group| group.start < self.first_decoy).count();
        let of = self.groups[c.below(originals)].clone();
        let start = self.defs.len() as u32;
        let copied = |index: u32| if of.contains(&index) { index - of.start + start } else { index };
        let mut copy: Vec<SubType> =
            of.clone().map(|index| renamed(&self.defs[index as usize], &mut { copied })).collect();
        let extended = |copy: &[SubType], at: usize| {
            copy.iter().any(|def| def.supertype_idxs.contains(&(start + at as u32)))
        };
        let at = c.below(copy.len());
        let done = match edit {
            Edit::Finality if copy[at].is_final || !extended(&copy, at) => {
                copy[at].is_final ^= true;
                true
            }
            Edit::Mutability if !extended(&copy, at) => {
                let inherited =
                    self.supertype(of.start + at as u32).map_or(0, |base| self.fields(base).len());
                match &mut copy[at].composite_type.inner {
                    CompositeInnerType::Struct(ty) if ty.fields.len() > inherited => {
                        let field = c.range(inherited, ty.fields.len() - 1);
                        ty.fields[field].mutable ^= true;
                        true
                    }
                    CompositeInnerType::Array(ty) => {
                        ty.0.mutable ^= true;
                        true
                    }
                    _ => false,
                }
            }
            Edit::Position if copy.len() > 1 => {
                let at = c.below(copy.len() - 1) as u32;
                let swapped = |index: u32| match index.wrapping_sub(start) {
                    i if i == at => index + 1,
                    i if i == at + 1 => index - 1,
                    _ => index,
                };
                let free = !copy[at as usize + 1].supertype_idxs.contains(&(start + at));
                if free {
                    copy = copy.iter().map(|def| renamed(def, &mut { swapped })).collect();
                    copy.swap(at as usize, at as usize + 1);
                }
                free
            }
            _ => false,
        };
        if !done {
            copy.push(SubType {
                is_final: true,
                supertype_idxs: Vec::new(),
                composite_type: structure(Vec::new()),
            });
        }
        self.groups.push(start..start + copy.len() as u32);
        self.defs.extend(copy);
    }
}

fn field(ty: ValType, mutable: bool) -> FieldType {
    FieldType { element_type: StorageType::Val(ty), mutable }
}

/// A field beyond those that programs know by name.
fn own_field(c: &mut Choices<'_, '_>, bag: u32) -> FieldType {
    let reference = |ty| StorageType::Val(ValType::Ref(ty));
    let (element_type, mutable) = c.pick(&[
        (StorageType::I8, true),
        (StorageType::I16, false),
        (StorageType::Val(ValType::I64), true),
        (StorageType::Val(ValType::F64), false),
        (reference(nullable(heap(Abstract::Eq))), false),
        (reference(nullable(heap(Abstract::Extern))), true),
        (reference(nullable(HeapType::Concrete(bag))), true),
        (reference(non_null(HeapType::I31)), true),
    ]);
    FieldType { element_type, mutable }
}

fn composite(inner: CompositeInnerType) -> CompositeType {
    CompositeType { inner, shared: false, descriptor: None, describes: None }
}

fn structure(fields: Vec<FieldType>) -> CompositeType {
    composite(CompositeInnerType::Struct(StructType { fields: fields.into_boxed_slice() }))
}

fn array(element: FieldType) -> CompositeType {
    composite(CompositeInnerType::Array(ArrayType(element)))
}

pub(super) fn function(params: &[ValType], results: &[ValType]) -> CompositeType {
    composite(CompositeInnerType::Func(FuncType::new(params.iter().copied(), results.iter().copied())))
}

/// The definition with each concrete index replaced.
pub(super) fn renamed(def: &SubType, index: &mut impl FnMut(u32) -> u32) -> SubType {
    let supertype_idxs: Vec<u32> = def.supertype_idxs.iter().map(|base| index(*base)).collect();
    let mut field = |field: &FieldType| match field.element_type {
        StorageType::Val(ty) => {
            FieldType { element_type: StorageType::Val(renamed_value(ty, index)), ..*field }
        }
        StorageType::I8 | StorageType::I16 => *field,
    };
    let composite_type = match &def.composite_type.inner {
        CompositeInnerType::Struct(ty) => structure(ty.fields.iter().map(field).collect()),
        CompositeInnerType::Array(ty) => array(field(&ty.0)),
        CompositeInnerType::Func(ty) => {
            let params: Vec<ValType> = ty.params().iter().map(|ty| renamed_value(*ty, index)).collect();
            let results: Vec<ValType> = ty.results().iter().map(|ty| renamed_value(*ty, index)).collect();
            function(&params, &results)
        }
        CompositeInnerType::Cont(_) => unreachable!("no continuations are made"),
    };
    SubType { is_final: def.is_final, supertype_idxs, composite_type }
}

/// The same of a value type.
pub(super) fn renamed_value(ty: ValType, index: &mut impl FnMut(u32) -> u32) -> ValType {
    match ty {
        ValType::Ref(ty) => ValType::Ref(renamed_ref(ty, index)),
        other => other,
    }
}

/// The same of a reference type.
pub(super) fn renamed_ref(ty: RefType, index: &mut impl FnMut(u32) -> u32) -> RefType {
    match ty.heap_type {
        HeapType::Concrete(concrete) => RefType { heap_type: HeapType::Concrete(index(concrete)), ..ty },
        _ => ty,
    }
}
