//! What a module imports from earlier ones, under the same types or supertypes, and what it defines and exports.

use wasm_encoder::{AbstractHeapType as Abstract, HeapType, RefType, ValType};

use super::Generator;
use super::body::Body;
use super::module::{Entity, Item, Role};
use super::world::{heap, non_null, nullable};

/// Something that an earlier module exports.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// Name of the module.
    pub(super) module: String,
    pub(super) field: String,
    pub(super) role: Role,
    pub(super) entity: Entity,
}

impl Generator<'_, '_> {
    /// Imports what is offered; steering globals always, the rest mostly.
    pub(super) fn imports(&mut self) {
        for role in Role::ALL {
            let offers: Vec<Offer> =
                self.known_offers().filter(|offer| offer.role == role).cloned().collect();
            if offers.is_empty() {
                continue;
            }
            let steering = matches!(role, Role::Budget | Role::Epoch);
            let count = if steering { 1 } else { self.c.weighted(&[(1, 0), (6, 1), (3, 2)]) };
            let count =
                if role == Role::Memory && !self.c.within.multi_memory { count.min(1) } else { count };
            for _ in 0..count {
                // The latest offers first in importance: chains of re-exports.
                let at = self.c.below(offers.len()).max(self.c.below(offers.len()));
                let offer = &offers[at];
                let entity = self.weaken(&offer.entity);
                let index = self.m.import(&mut self.c, (&offer.module, &offer.field), &entity);
                let export = steering || self.c.chance(2, 3);
                self.item(role, entity, index, export);
            }
        }
    }

    /// What is offered of types that the module declares; all are but decoys.
    pub(super) fn known_offers(&self) -> impl Iterator<Item = &Offer> {
        self.offers.iter().filter(|offer| match offer.entity {
            Entity::Typed(ty) => self.m.view.declares(ty),
            _ => true,
        })
    }

    /// A type that something of type `entity` can be imported at.
    fn weaken(&mut self, entity: &Entity) -> Entity {
        match entity {
            Entity::Typed(ty) => {
                let mut ty = *ty;
                while let Some(base) = self.world.supertype(ty).filter(|_| self.c.chance(1, 3)) {
                    ty = base;
                }
                Entity::Typed(ty)
            }
            Entity::Global { ty: ValType::Ref(ty), mutable: false } => {
                Entity::Global { ty: ValType::Ref(self.above(*ty)), mutable: false }
            }
            Entity::Table { element, min, max } => {
                let min = self.c.range(1, *min as usize) as u32;
                Entity::Table { element: *element, min, max: *max + self.c.below(2) as u32 }
            }
            Entity::Memory { min, max } => Entity::Memory {
                min: self.c.below(*min as usize + 1) as u32,
                max: *max + self.c.below(2) as u32,
            },
            Entity::Function(..) | Entity::Tag(_) | Entity::Global { .. } => entity.clone(),
        }
    }

    /// A supertype of a struct reference.
    fn above(&mut self, ty: RefType) -> RefType {
        let mut heap_type = ty.heap_type;
        for _ in 0..self.c.below(4) {
            heap_type = match heap_type {
                HeapType::Concrete(ty) => match self.world.supertype(ty) {
                    Some(base) => HeapType::Concrete(base),
                    None => heap(Abstract::Struct),
                },
                HeapType::Abstract { ty: Abstract::Struct, .. } => heap(Abstract::Eq),
                _ => heap(Abstract::Any),
            };
        }
        RefType { nullable: ty.nullable || self.c.chance(1, 3), heap_type }
    }

    pub(super) fn item(&mut self, role: Role, entity: Entity, index: u32, exported: bool) {
        let name = format!("{role:?}{}", self.m.items.len()).to_lowercase();
        if exported {
            self.m.export(&name, &entity, index);
        }
        self.m.items.push(Item { role, index, entity, export: exported.then_some(name) });
    }

    /// Whether the module defines something of this role: what nobody offered, and more.
    pub(super) fn defines(&mut self, role: Role) -> bool {
        let known = self.c.within.exceptions || !matches!(role, Role::Tag | Role::Thrower);
        let one_more = self.c.within.multi_memory || role != Role::Memory;
        known && (self.m.of(role).is_empty() || self.c.chance(2, 5) && one_more)
    }

    /// Globals, tables, memories, tags.
    pub(super) fn definitions(&mut self) {
        let i32_global = Entity::Global { ty: ValType::I32, mutable: true };
        for role in [Role::Budget, Role::Epoch] {
            if self.m.of(role).is_empty() {
                let init = self.constant(|g| {
                    g.f.op().i32_const(if role == Role::Budget { 8 } else { 0 });
                });
                self.defined(role, i32_global.clone(), init);
            }
        }
        let node = self.world.node_ref();
        for (role, ty) in [(Role::Head, node), (Role::Anything, ValType::Ref(RefType::ANYREF))] {
            if self.defines(role) {
                let init = self.constant(|g| match g.c.below(2) {
                    0 => {
                        let node = g.concrete(g.world.node());
                        g.f.op().ref_null(node);
                    }
                    _ => g.fresh_node(2),
                });
                self.defined(role, Entity::Global { ty, mutable: true }, init);
            }
        }
        if self.defines(Role::Root) {
            let ty = self.c.pick(&self.world.chain);
            let init = self.constant(|g| g.fresh(ty, 2));
            let ty = ValType::Ref(non_null(HeapType::Concrete(ty)));
            self.defined(Role::Root, Entity::Global { ty, mutable: false }, init);
        }
        if self.defines(Role::Held) {
            let callback = self.world.callbacks[0];
            let init = self.constant(|g| g.function(Some(callback)));
            let ty = ValType::Ref(nullable(HeapType::Concrete(callback)));
            self.defined(Role::Held, Entity::Global { ty, mutable: true }, init);
        }
        self.tables_and_memories();
        if self.defines(Role::Tag) {
            self.defined(Role::Tag, Entity::Tag(vec![node, ValType::I32]), Vec::new());
        }
        if self.c.chance(2, 3) {
            let len = self.c.range(1, 3);
            let items: Vec<Vec<u8>> = (0..len).map(|_| self.constant(|g| g.fresh_node(1))).collect();
            let ValType::Ref(ty) = self.node_ref() else { return };
            self.m.objects_at(None, ty, &items);
            self.m.segment = Some(len as u32);
        }
    }

    fn tables_and_memories(&mut self) {
        if self.defines(Role::Objects) {
            let ValType::Ref(node) = self.world.node_ref() else { return };
            let element = self.c.pick(&[RefType::ANYREF, nullable(heap(Abstract::Eq)), node]);
            let min = self.c.range(2, 6) as u32;
            self.defined(Role::Objects, Entity::Table { element, min, max: min + 4 }, Vec::new());
        }
        if self.defines(Role::Functions) {
            let callback = nullable(HeapType::Concrete(self.world.callbacks[0]));
            let element = self.c.pick(&[RefType::FUNCREF, callback]);
            let min = self.c.range(2, 5) as u32;
            self.defined(Role::Functions, Entity::Table { element, min, max: min + 3 }, Vec::new());
        }
        if self.defines(Role::Memory) {
            self.defined(Role::Memory, Entity::Memory { min: 1, max: 2 }, Vec::new());
        }
    }

    fn defined(&mut self, role: Role, entity: Entity, init: Vec<u8>) {
        let index = self.m.define(&mut self.c, &entity, init);
        self.item(role, entity, index, true);
    }

    /// The code of a constant expression.
    pub(super) fn constant(&mut self, emit: impl FnOnce(&mut Self)) -> Vec<u8> {
        let outer = std::mem::replace(&mut self.f, Body::constant());
        emit(self);
        std::mem::replace(&mut self.f, outer).into_code()
    }
}
