//! The type graph of a generated module: recursion groups of structs and arrays, with supertypes, siblings and twins.
//!
//! Invariant: a non-null concrete reference in a field points to a type of smaller index and is at most one per type, so
//! every type can be constructed by a bounded expression.

use wasm_encoder::{AbstractHeapType as Abstract, FieldType, HeapType, RefType, StorageType, ValType};

use crate::generate::choices::Choices;

/// Longest struct.
const FIELD_LIMIT: usize = 9;

pub(super) const fn heap(ty: Abstract) -> HeapType {
    HeapType::Abstract { shared: false, ty }
}

pub(super) const fn nullable(heap_type: HeapType) -> RefType {
    RefType { nullable: true, heap_type }
}

pub(super) const fn non_null(heap_type: HeapType) -> RefType {
    RefType { nullable: false, heap_type }
}

pub(super) const ANYREF: RefType = RefType::ANYREF;
pub(super) const EXNREF: RefType = RefType::EXNREF;
pub(super) const FUNCREF: RefType = RefType::FUNCREF;
pub(super) const EXTERNREF: RefType = RefType::EXTERNREF;

/// The four hierarchies of reference types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Top {
    Any,
    Func,
    Extern,
    Exn,
}

/// What a type is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Struct(Vec<FieldType>),
    Array(FieldType),
    Func(Vec<ValType>, Vec<ValType>),
}

/// One type.
#[derive(Clone, Debug)]
pub(super) struct TypeDef {
    pub(super) shape: Shape,
    pub(super) supertype: Option<u32>,
    pub(super) is_final: bool,
}

/// All types of a module.
#[derive(Default)]
pub(super) struct Types {
    pub(super) defs: Vec<TypeDef>,
    /// Recursion groups: numbers of consecutive types, 0 for an empty group.
    pub(super) groups: Vec<usize>,
    /// Structurally equal types of a later group, by type.
    twins: Vec<(u32, u32)>,
    /// Types that programs work with: the structs and arrays, without twins.
    pub(super) structs: Vec<u32>,
    pub(super) arrays: Vec<u32>,
    /// A struct with a mutable reference to itself (at `next`) and a mutable i32 (at `key`).
    pub(super) node: u32,
    pub(super) next: u32,
    pub(super) key: u32,
    /// `(func (param (ref null $node) i32) (result i64))`, in the recursion group of the node.
    pub(super) callback: u32,
    /// A mutable array of anyref, and one of nodes.
    pub(super) any_array: u32,
    pub(super) node_array: u32,
}

/// What a slot of a group will become.
#[derive(Clone, Copy, PartialEq)]
enum Plan {
    Node,
    Callback,
    AnyArray,
    NodeArray,
    DataArray,
    Struct,
    Array,
}

/// The storage type, or what stands for it where programs may not use it.
fn permitted(c: &Choices<'_, '_>, storage: StorageType) -> StorageType {
    let exception =
        |ty: RefType| ty.heap_type == heap(Abstract::Exn) || ty.heap_type == heap(Abstract::NoExn);
    match storage {
        StorageType::Val(ValType::V128) if !c.within.simd => StorageType::Val(ValType::I64),
        StorageType::Val(ValType::Ref(ty)) if exception(ty) && !c.within.exceptions => {
            StorageType::Val(ValType::Ref(ANYREF))
        }
        other => other,
    }
}

impl Types {
    pub(super) fn generate(c: &mut Choices<'_, '_>, small: bool) -> Types {
        let mut types = Types::default();
        let groups = c.range(1, if small { 2 } else { 4 });
        let mut plans: Vec<Vec<Plan>> = vec![Vec::new(); groups];
        plans[0] = vec![Plan::Node, Plan::Callback, Plan::AnyArray, Plan::NodeArray];
        for plan in [Plan::DataArray, Plan::Struct] {
            let group = c.below(groups);
            plans[group].push(plan);
        }
        // Mostly few types, since each costs a walker in a large program; deep chains now and then.
        let most = if small { 3 } else { 6 };
        for _ in 0..c.weighted(&[(3, 0), (4, 1), (4, 2), (1, 3), (1, 6)]).min(most) {
            let group = c.below(groups);
            plans[group].push(c.weighted(&[(3, Plan::Struct), (2, Plan::Array)]));
        }
        for plan in &mut plans {
            let by = c.below(plan.len().max(1));
            plan.rotate_left(by);
        }
        // The node's group comes first: every group may refer to it.
        for plan in plans {
            types.group(c, &plan);
        }
        types.make_final(c);
        if c.chance(1, 3) {
            types.twin(c);
        }
        types
    }

    /// Appends a group. Indices of all its types are known before the first field is chosen.
    fn group(&mut self, c: &mut Choices<'_, '_>, plan: &[Plan]) {
        let start = self.defs.len() as u32;
        self.groups.push(plan.len());
        for (slot, plan) in plan.iter().enumerate() {
            let index = start + slot as u32;
            match plan {
                Plan::Node => self.node = index,
                Plan::Callback => self.callback = index,
                Plan::AnyArray => self.any_array = index,
                Plan::NodeArray => self.node_array = index,
                _ => {}
            }
        }
        let kinds: Vec<(u32, bool)> = plan
            .iter()
            .enumerate()
            .filter(|(_, plan)| **plan != Plan::Callback)
            .map(|(slot, plan)| (start + slot as u32, matches!(plan, Plan::Node | Plan::Struct)))
            .collect();
        for plan in plan {
            let index = self.defs.len() as u32;
            let def = self.slot(c, *plan, index, &kinds);
            match def.shape {
                Shape::Struct(_) => self.structs.push(index),
                Shape::Array(_) => self.arrays.push(index),
                Shape::Func(..) => {}
            }
            self.defs.push(def);
        }
    }

    fn slot(&mut self, c: &mut Choices<'_, '_>, plan: Plan, index: u32, ahead: &[(u32, bool)]) -> TypeDef {
        let mutable = |element_type| FieldType { element_type, mutable: true };
        let reference = |ty| StorageType::Val(ValType::Ref(ty));
        let node = HeapType::Concrete(self.node);
        let (shape, supertype) = match plan {
            Plan::Callback => {
                (Shape::Func(vec![ValType::Ref(nullable(node)), ValType::I32], vec![ValType::I64]), None)
            }
            Plan::AnyArray => (Shape::Array(mutable(reference(ANYREF))), None),
            Plan::NodeArray => (Shape::Array(mutable(reference(nullable(node)))), None),
            Plan::DataArray => {
                let storage = c.pick(&[
                    StorageType::I8,
                    StorageType::I16,
                    StorageType::Val(ValType::I32),
                    StorageType::Val(ValType::I64),
                    StorageType::Val(ValType::F64),
                    StorageType::Val(ValType::V128),
                ]);
                (Shape::Array(mutable(permitted(c, storage))), None)
            }
            Plan::Array => match self.supertype(c, false) {
                Some(base) => {
                    let Shape::Array(field) = self.defs[base as usize].shape.clone() else { unreachable!() };
                    (Shape::Array(self.refined(c, field, index, ahead)), Some(base))
                }
                None => (Shape::Array(self.field(c, index, ahead, &mut false)), None),
            },
            Plan::Node => {
                let mut fields = vec![
                    mutable(reference(nullable(node))),
                    mutable(StorageType::Val(ValType::I32)),
                    mutable(reference(ANYREF)),
                ];
                let extra = c.below(3);
                for _ in 0..extra {
                    fields.push(self.field(c, index, ahead, &mut true));
                }
                let by = c.below(fields.len());
                fields.rotate_right(by);
                let total = fields.len();
                self.next = (by % total) as u32;
                self.key = ((by + 1) % total) as u32;
                (Shape::Struct(fields), None)
            }
            Plan::Struct => {
                let base = self.supertype(c, true);
                let mut fields = Vec::new();
                if let Some(base) = base {
                    for field in self.fields(base).to_vec() {
                        fields.push(self.refined(c, field, index, ahead));
                    }
                }
                let mut has_non_null = fields.iter().any(|field| !field.element_type.is_defaultable());
                let own = if base.is_some() { c.below(4) } else { c.range(1, 5) };
                for _ in 0..own {
                    if fields.len() < FIELD_LIMIT {
                        fields.push(self.field(c, index, ahead, &mut has_non_null));
                    }
                }
                (Shape::Struct(fields), base)
            }
        };
        TypeDef { shape, supertype, is_final: false }
    }

    /// An earlier type to extend; the latest one often, so that chains grow.
    fn supertype(&self, c: &mut Choices<'_, '_>, of_structs: bool) -> Option<u32> {
        let candidates = if of_structs { &self.structs } else { &self.arrays };
        if candidates.is_empty() || c.chance(1, 4) {
            return None;
        }
        Some(if c.chance(3, 5) { candidates[candidates.len() - 1] } else { c.pick(candidates) })
    }

    /// A new field of type `index`; `ahead` are the structs (true) and arrays of the group at hand.
    fn field(
        &self,
        c: &mut Choices<'_, '_>,
        index: u32,
        ahead: &[(u32, bool)],
        has_non_null: &mut bool,
    ) -> FieldType {
        #[derive(Clone, Copy)]
        enum Kind {
            Storage(StorageType),
            Concrete,
            NonNull,
            NonNullI31,
        }
        let value = |ty| Kind::Storage(StorageType::Val(ty));
        let reference = |ty| Kind::Storage(StorageType::Val(ValType::Ref(nullable(heap(ty)))));
        let kind = c.weighted(&[
            (5, Kind::Storage(StorageType::I8)),
            (5, Kind::Storage(StorageType::I16)),
            (7, value(ValType::I32)),
            (6, value(ValType::I64)),
            (4, value(ValType::F32)),
            (5, value(ValType::F64)),
            (3, value(ValType::V128)),
            (13, reference(Abstract::Any)),
            (6, reference(Abstract::Eq)),
            (5, reference(Abstract::I31)),
            (4, reference(Abstract::Struct)),
            (4, reference(Abstract::Array)),
            (6, reference(Abstract::Extern)),
            (4, reference(Abstract::Func)),
            (3, reference(Abstract::Exn)),
            (1, reference(Abstract::None)),
            (1, reference(Abstract::NoFunc)),
            (1, reference(Abstract::NoExtern)),
            (1, reference(Abstract::NoExn)),
            (22, Kind::Concrete),
            (6, Kind::NonNull),
            (3, Kind::NonNullI31),
        ]);
        let ty = match kind {
            Kind::Storage(storage) => permitted(c, storage),
            Kind::NonNullI31 => StorageType::Val(ValType::Ref(non_null(HeapType::I31))),
            Kind::NonNull if !*has_non_null && (!self.structs.is_empty() || !self.arrays.is_empty()) => {
                *has_non_null = true;
                let known: Vec<u32> = self.structs.iter().chain(&self.arrays).copied().collect();
                StorageType::Val(ValType::Ref(non_null(HeapType::Concrete(c.pick(&known)))))
            }
            Kind::NonNull | Kind::Concrete => {
                let known: Vec<u32> = self
                    .structs
                    .iter()
                    .chain(&self.arrays)
                    .copied()
                    .chain(ahead.iter().map(|(known, _)| *known).filter(|known| *known >= index))
                    .chain(Some(self.node))
                    .collect();
                StorageType::Val(ValType::Ref(nullable(HeapType::Concrete(c.pick(&known)))))
            }
        };
        FieldType { element_type: ty, mutable: c.chance(3, 4) }
    }

    /// The inherited field in a subtype: the same, or a subtype of it where it is immutable.
    fn refined(
        &self,
        c: &mut Choices<'_, '_>,
        field: FieldType,
        index: u32,
        ahead: &[(u32, bool)],
    ) -> FieldType {
        let StorageType::Val(ValType::Ref(ty)) = field.element_type else { return field };
        if field.mutable || !ty.nullable || c.chance(1, 3) {
            return field;
        }
        let mut candidates = vec![ty.heap_type];
        if ty.heap_type == heap(Abstract::Any) {
            candidates.extend([heap(Abstract::Eq), heap(Abstract::Struct), heap(Abstract::I31)]);
        }
        if matches!(ty.heap_type, HeapType::Abstract { ty: Abstract::Any | Abstract::Eq, .. }) {
            candidates
                .extend(ahead.iter().filter(|(at, _)| *at >= index).map(|(at, _)| HeapType::Concrete(*at)));
        }
        for known in 0..self.defs.len() as u32 {
            if self.heap_subtype(HeapType::Concrete(known), ty.heap_type) {
                candidates.push(HeapType::Concrete(known));
            }
        }
        let refined = nullable(c.pick(&candidates));
        FieldType { element_type: StorageType::Val(ValType::Ref(refined)), mutable: false }
    }

    fn make_final(&mut self, c: &mut Choices<'_, '_>) {
        for index in 0..self.defs.len() {
            let leaf = self.defs.iter().all(|def| def.supertype != Some(index as u32));
            self.defs[index].is_final = leaf && c.chance(1, 3);
        }
    }

    /// Repeats a group: the same types by iso-recursive equality, under other indices.
    fn twin(&mut self, c: &mut Choices<'_, '_>) {
        let group = c.below(self.groups.len());
        let start = self.groups[..group].iter().sum::<usize>();
        let len = self.groups[group];
        let by = (self.defs.len() - start) as u32;
        let moved = |index: u32| {
            if (start..start + len).contains(&(index as usize)) { index + by } else { index }
        };
        let value = |ty: ValType| match ty {
            ValType::Ref(RefType { nullable, heap_type: HeapType::Concrete(index) }) => {
                ValType::Ref(RefType { nullable, heap_type: HeapType::Concrete(moved(index)) })
            }
            other => other,
        };
        let field = |field: &FieldType| match field.element_type {
            StorageType::Val(ty) => FieldType { element_type: StorageType::Val(value(ty)), ..*field },
            _ => *field,
        };
        for index in start..start + len {
            let def = &self.defs[index];
            let shape = match &def.shape {
                Shape::Struct(fields) => Shape::Struct(fields.iter().map(field).collect()),
                Shape::Array(element) => Shape::Array(field(element)),
                Shape::Func(params, results) => Shape::Func(
                    params.iter().copied().map(value).collect(),
                    results.iter().copied().map(value).collect(),
                ),
            };
            let twin = TypeDef { shape, supertype: def.supertype.map(moved), is_final: def.is_final };
            self.defs.push(twin);
            self.twins.push((index as u32, index as u32 + by));
        }
        if c.chance(1, 4) {
            self.groups.push(0);
        }
        self.groups.push(len);
    }

    /// The type itself or its twin.
    pub(super) fn alias(&self, c: &mut Choices<'_, '_>, index: u32) -> u32 {
        match self.twins.iter().find(|(of, _)| *of == index) {
            Some((_, twin)) if c.chance(1, 2) => *twin,
            _ => index,
        }
    }

    /// The index of a function type, added as a group of its own where it is new.
    pub(super) fn function(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        let shape = Shape::Func(params.to_vec(), results.to_vec());
        let known = self.defs.iter().position(|def| def.shape == shape && def.is_final);
        if let Some(known) = known.filter(|known| *known as u32 != self.callback) {
            return known as u32;
        }
        self.defs.push(TypeDef { shape, supertype: None, is_final: true });
        self.groups.push(1);
        self.defs.len() as u32 - 1
    }

    /// A new array type of its own group that no list knows: its makers alone use it.
    pub(super) fn own_array(&mut self, element_type: StorageType) -> u32 {
        self.own(Shape::Array(FieldType { element_type, mutable: true }))
    }

    /// The same of a struct.
    pub(super) fn own_struct(&mut self, fields: Vec<FieldType>) -> u32 {
        self.own(Shape::Struct(fields))
    }

    fn own(&mut self, shape: Shape) -> u32 {
        self.defs.push(TypeDef { shape, supertype: None, is_final: true });
        self.groups.push(1);
        self.defs.len() as u32 - 1
    }

    /// The fields of a struct type; empty for others.
    pub(super) fn fields(&self, index: u32) -> &[FieldType] {
        match &self.defs[index as usize].shape {
            Shape::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// The element of an array type.
    pub(super) fn element(&self, index: u32) -> FieldType {
        match &self.defs[index as usize].shape {
            Shape::Array(field) => *field,
            _ => unreachable!("only called for arrays"),
        }
    }

    pub(super) fn is_struct(&self, index: u32) -> bool {
        matches!(self.defs[index as usize].shape, Shape::Struct(_))
    }

    pub(super) fn top(&self, of: HeapType) -> Top {
        match of {
            HeapType::Concrete(index) | HeapType::Exact(index) => match self.defs[index as usize].shape {
                Shape::Func(..) => Top::Func,
                _ => Top::Any,
            },
            HeapType::Abstract { ty, .. } => match ty {
                Abstract::Func | Abstract::NoFunc => Top::Func,
                Abstract::Extern | Abstract::NoExtern => Top::Extern,
                Abstract::Exn | Abstract::NoExn => Top::Exn,
                _ => Top::Any,
            },
        }
    }

    /// Heap type matching, as far as generated modules use it. Twins never reach this.
    pub(super) fn heap_subtype(&self, sub: HeapType, sup: HeapType) -> bool {
        use Abstract::{
            Any, Array, Eq, Exn, Extern, Func, I31, NoExn, NoExtern, NoFunc, None as Bottom, Struct,
        };
        if sub == sup {
            return true;
        }
        match (sub, sup) {
            (HeapType::Concrete(sub), HeapType::Concrete(_)) => self.defs[sub as usize]
                .supertype
                .is_some_and(|base| self.heap_subtype(HeapType::Concrete(base), sup)),
            (HeapType::Concrete(sub), HeapType::Abstract { ty, .. }) => match self.defs[sub as usize].shape {
                Shape::Struct(_) => matches!(ty, Struct | Eq | Any),
                Shape::Array(_) => matches!(ty, Array | Eq | Any),
                Shape::Func(..) => ty == Func,
            },
            (HeapType::Abstract { ty: sub, .. }, HeapType::Abstract { ty: sup, .. }) => match sub {
                I31 | Struct | Array => matches!(sup, Eq | Any),
                Eq => sup == Any,
                Bottom => matches!(sup, I31 | Struct | Array | Eq | Any),
                NoFunc => sup == Func,
                NoExtern => sup == Extern,
                NoExn => sup == Exn,
                _ => false,
            },
            (HeapType::Abstract { ty: Bottom, .. }, HeapType::Concrete(_)) => self.top(sup) == Top::Any,
            (HeapType::Abstract { ty: NoFunc, .. }, HeapType::Concrete(_)) => self.top(sup) == Top::Func,
            _ => false,
        }
    }

    pub(super) fn ref_subtype(&self, sub: RefType, sup: RefType) -> bool {
        (sup.nullable || !sub.nullable) && self.heap_subtype(sub.heap_type, sup.heap_type)
    }
}
