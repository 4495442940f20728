//! Expressions: nodes from wherever there are some, field values, functions, what an object's type is.

use wasm_encoder::{
    AbstractHeapType as Abstract, BlockType, HeapType, Ieee64, RefType, StorageType, ValType,
};

use super::Generator;
use super::module::{Entity, HOST_VALUE, Item, KEPT, Role};
use super::world::{heap, non_null, nullable};

pub(super) const ANY: ValType = ValType::Ref(RefType::ANYREF);

/// Bytes of code after which only leaves are emitted.
const ROOM: usize = 300;

impl Generator<'_, '_> {
    /// One of the module's own indices of a common type.
    pub(super) fn ty(&mut self, common: u32) -> u32 {
        self.m.view.index(&mut self.c, common)
    }

    /// The same as a heap type.
    pub(super) fn concrete(&mut self, common: u32) -> HeapType {
        HeapType::Concrete(self.ty(common))
    }

    /// `(ref null $node)` as the module spells it.
    pub(super) fn node_ref(&mut self) -> ValType {
        ValType::Ref(nullable(self.concrete(self.world.node())))
    }

    /// Something of a role.
    pub(super) fn some(&mut self, role: Role) -> Option<Item> {
        let of = self.m.of(role);
        if of.is_empty() { None } else { Some(of[self.c.below(of.len())].clone()) }
    }

    /// Leaves a `(ref null $node)`.
    pub(super) fn node(&mut self, depth: usize) {
        if depth == 0 || self.f.len() > ROOM {
            let local = if self.c.chance(1, 2) { self.f.a } else { self.f.b };
            self.f.op().local_get(local);
            return;
        }
        let role = self.c.weighted(&[
            (3, None),
            (4, Some(Role::Head)),
            (2, Some(Role::Root)),
            (3, Some(Role::Maker)),
            (4, Some(Role::Objects)),
            (3, Some(Role::Relay)),
            (2, Some(Role::Anything)),
            (1, Some(Role::Memory)),
        ]);
        let Some(item) = role.and_then(|role| self.some(role)) else { return self.fresh_node(depth) };
        match (item.role, &item.entity) {
            (Role::Maker, _) => {
                let n = self.c.i32();
                self.f.op().i32_const(n).call(item.index);
            }
            (Role::Relay, _) => {
                self.node(depth - 1);
                self.f.op().call(item.index);
            }
            (Role::Objects, Entity::Table { element, min, .. }) => {
                let (element, at) = (*element, self.c.below(*min as usize) as i32);
                self.f.op().i32_const(at).table_get(item.index);
                self.as_node(element);
            }
            (Role::Memory, _) => {
                let at = self.c.below(5) as i32;
                self.f.op().i32_const(at).call(KEPT);
                self.as_node(RefType::ANYREF);
            }
            (_, Entity::Global { ty: ValType::Ref(ty), .. }) => {
                let ty = *ty;
                self.f.op().global_get(item.index);
                if item.role == Role::Root && !self.is_node(ty) {
                    let node = self.concrete(self.world.node());
                    self.f.op().ref_cast_nullable(node);
                } else {
                    self.as_node(ty);
                }
            }
            _ => self.fresh_node(depth),
        }
    }

    fn is_node(&self, ty: RefType) -> bool {
        matches!(ty.heap_type, HeapType::Concrete(ty) if self.world.chain.contains(&ty))
    }

    /// Takes a value of type `from` (by common indices) and leaves it as `(ref null $node)`, null if it is no node.
    fn as_node(&mut self, from: RefType) {
        if self.is_node(from) {
            return;
        }
        let x = self.f.x;
        self.f.op().local_set(x);
        let node = self.concrete(self.world.node());
        let result = ValType::Ref(nullable(node));
        match self.c.below(3) {
            0 => {
                self.f.block(result);
                self.f.op().local_get(x).br_on_cast(0, RefType::ANYREF, nullable(node));
                self.f.op().drop().ref_null(node).end();
            }
            1 => {
                self.f.op().local_get(x).ref_test_non_null(node).if_(BlockType::Result(result));
                self.f.op().local_get(x).ref_cast_nullable(node).else_().ref_null(node).end();
            }
            _ => {
                self.f.block(result);
                self.f.block(ANY);
                self.f.op().local_get(x).br_on_cast_fail(0, RefType::ANYREF, non_null(node));
                self.f.op().br(1).end().drop().ref_null(node).end();
            }
        }
    }

    /// Leaves a new object of the chain.
    pub(super) fn fresh_node(&mut self, depth: usize) {
        let ty = self.c.pick(&self.world.chain);
        self.fresh(ty, depth);
    }

    /// Leaves a new object of a common struct type.
    pub(super) fn fresh(&mut self, ty: u32, depth: usize) {
        for field in self.world.fields(ty).to_vec() {
            match field.element_type {
                StorageType::Val(ValType::I32) => self.key(),
                other => self.value(other, depth.saturating_sub(1)),
            }
        }
        let ty = self.ty(ty);
        self.f.op().struct_new(ty);
    }

    /// Who makes an object and after how many collections.
    fn key(&mut self) {
        let own = (self.m.number as i32) << 20 | i32::from(self.c.byte());
        let Some(epoch) = self.some(Role::Epoch).filter(|_| !self.f.constant) else {
            self.f.op().i32_const(own);
            return;
        };
        self.f.op().global_get(epoch.index).i32_const(0xfff).i32_and().i32_const(8).i32_shl();
        self.f.op().i32_const(own).i32_or();
    }

    /// Leaves a value of a field.
    fn value(&mut self, storage: StorageType, depth: usize) {
        match storage {
            StorageType::I8 | StorageType::I16 | StorageType::Val(ValType::I32) => {
                let n = self.c.i32();
                self.f.op().i32_const(n);
            }
            StorageType::Val(ValType::F64) => {
                let bits = self.c.f64();
                self.f.op().f64_const(Ieee64::new(bits));
            }
            StorageType::Val(ValType::Ref(ty)) => self.reference(ty, depth),
            StorageType::Val(_) => {
                let n = self.c.i64();
                self.f.op().i64_const(n);
            }
        }
    }

    /// Leaves a reference of a type that fields have (by common indices).
    fn reference(&mut self, ty: RefType, depth: usize) {
        let variables = !self.f.constant;
        let small = depth == 0 || self.f.len() > ROOM;
        match ty.heap_type {
            HeapType::Abstract { ty: Abstract::I31, .. } => self.i31(),
            HeapType::Abstract { ty: Abstract::Any, .. } => self.anything(depth),
            HeapType::Abstract { ty: Abstract::Eq, .. } => match self.c.below(3) {
                0 if variables => self.node(0),
                1 if !small => self.bag(depth - 1),
                _ => self.i31(),
            },
            HeapType::Abstract { ty: Abstract::Struct, .. } if variables => self.node(0),
            HeapType::Abstract { ty: Abstract::Extern, .. } if variables && self.c.chance(1, 2) => {
                let token = i32::from(self.c.byte());
                self.f.op().i32_const(token).call(HOST_VALUE);
            }
            HeapType::Abstract { ty: Abstract::Extern, .. } => {
                self.i31();
                self.f.op().extern_convert_any();
            }
            HeapType::Abstract { ty: Abstract::Func, .. } => self.function(None),
            HeapType::Concrete(ty) if self.world.callbacks.contains(&ty) => self.function(Some(ty)),
            HeapType::Concrete(ty) if ty == self.world.node() && variables => self.node(depth.min(1)),
            HeapType::Concrete(ty) if self.world.chain.contains(&ty) && !small => self.fresh(ty, depth - 1),
            HeapType::Concrete(ty) if ty == self.world.bag && !small => self.bag(depth - 1),
            other => {
                let own = self.m.view.heap(&mut self.c, other);
                self.f.op().ref_null(own);
            }
        }
    }

    fn i31(&mut self) {
        let n = self.c.i31();
        self.f.op().i32_const(n).ref_i31();
    }

    /// Leaves an anyref.
    pub(super) fn anything(&mut self, depth: usize) {
        if depth == 0 || self.f.len() > ROOM || self.f.constant {
            return self.i31();
        }
        match self.c.below(9) {
            0 => self.i31(),
            1 => self.bag(depth - 1),
            2 | 3 => self.fresh(self.world.holder, depth - 1),
            4 => {
                let token = i32::from(self.c.byte());
                self.f.op().i32_const(token).call(HOST_VALUE).any_convert_extern();
            }
            5 | 6 => match self.declared(|g, ty| !g.world.is_func(ty) && ty >= g.world.first_decoy) {
                Some(ty) if self.is_struct(ty) => self.fresh(ty, 0),
                _ => self.node(depth - 1),
            },
            7 => {
                let x = self.f.x;
                self.f.op().local_get(x);
            }
            _ => self.node(depth - 1),
        }
    }

    fn is_struct(&self, ty: u32) -> bool {
        matches!(
            self.world.defs[ty as usize].composite_type.inner,
            wasm_encoder::CompositeInnerType::Struct(_)
        )
    }

    /// Leaves an array of anything.
    fn bag(&mut self, depth: usize) {
        let ty = self.ty(self.world.bag);
        let len = self.c.range(1, 3);
        match self.c.below(3) {
            0 if !self.f.constant => {
                self.anything(depth);
                self.f.op().i32_const(len as i32).array_new(ty);
            }
            _ => {
                (0..len).for_each(|_| self.anything(depth));
                self.f.op().array_new_fixed(ty, len as u32);
            }
        }
    }

    /// Leaves a callback of a subtype of `ty`, or any; null where there is none.
    pub(super) fn function(&mut self, ty: Option<u32>) {
        let fits = |item: &Item| match (&item.entity, ty) {
            (Entity::Typed(own), Some(ty)) => self.extends(*own, ty),
            _ => true,
        };
        let items: Vec<Item> = self.m.of(Role::Callback).into_iter().filter(fits).collect();
        if items.is_empty() || self.c.chance(1, 10) {
            let ty = ty.map_or(heap(Abstract::Func), HeapType::Concrete);
            let own = self.m.view.heap(&mut self.c, ty);
            self.f.op().ref_null(own);
        } else {
            let function = items[self.c.below(items.len())].index;
            self.m.refer(function);
            self.f.op().ref_func(function);
        }
    }

    /// Whether `ty` is `of` or declares it as an ancestor.
    pub(super) fn extends(&self, ty: u32, of: u32) -> bool {
        ty == of || self.world.supertype(ty).is_some_and(|base| self.extends(base, of))
    }

    /// One of the types that the module declares and `wanted` holds of.
    pub(super) fn declared(&mut self, wanted: impl Fn(&Self, u32) -> bool) -> Option<u32> {
        let types: Vec<u32> = (0..self.world.defs.len() as u32)
            .filter(|ty| self.m.view.declares(*ty) && wanted(self, *ty))
            .collect();
        if types.is_empty() { None } else { Some(self.c.pick(&types)) }
    }

    /// Leaves an i32 of `ref.test` bits of the value in `local`, against equal, deeper and only seemingly equal types;
    /// of function types for a funcref.
    pub(super) fn classify(&mut self, local: u32, functions: bool, tests: usize) {
        self.f.op().i32_const(0);
        for _ in 0..tests {
            let Some(ty) = self.declared(|g, ty| g.world.is_func(ty) == functions) else { continue };
            let ty = self.concrete(ty);
            self.f.op().i32_const(1).i32_shl().local_get(local);
            match self.c.below(4) {
                0 => self.f.op().ref_test_nullable(ty),
                _ => self.f.op().ref_test_non_null(ty),
            };
            self.f.op().i32_or();
        }
    }

    /// Adds the i32 on the stack to the sum.
    pub(super) fn add_i32(&mut self) {
        self.f.op().i64_extend_i32_s();
        self.add();
    }

    /// Adds the i64 on the stack to the sum.
    pub(super) fn add(&mut self) {
        let sum = self.f.sum;
        self.f.op().local_get(sum).i64_const(31).i64_mul().i64_add().local_set(sum);
    }
}
