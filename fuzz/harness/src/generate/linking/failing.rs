//! Modules that are not meant to be linked: one import of a type that does not match, or a trap half way, when the
//! module has written to what others share. What must come of one is not predicted: subjects are compared.

use wasm_encoder::{AbstractHeapType as Abstract, BlockType, HeapType, RefType, ValType};

use super::Generator;
use super::interface::Offer;
use super::module::{Entity, Module, Role};
use super::world::{heap, nullable};
use crate::{Action, Expect, Source, Step};

/// How a module fails.
#[derive(Clone, Copy)]
enum Failure {
    Unlinkable,
    Elements,
    Data,
    Start,
}

impl Generator<'_, '_> {
    /// The step of a failing module that imports what is offered.
    pub(super) fn failing(&mut self, number: usize) -> Step {
        let failure = self.c.weighted(&[
            (4, Failure::Unlinkable),
            (2, Failure::Elements),
            (1, Failure::Data),
            (2, Failure::Start),
        ]);
        self.m = Module::new(&mut self.c, &self.world, number);
        if matches!(failure, Failure::Unlinkable) {
            self.wrong_import();
        }
        self.imports();
        self.definitions();
        self.walker();
        self.callback();
        self.fill_functions();
        self.write_objects();
        match failure {
            Failure::Unlinkable | Failure::Start => self.trapping_start(),
            Failure::Elements => {
                let node = self.node_ref();
                let item = self.constant(|g| g.fresh_node(1));
                if let (ValType::Ref(node), Some(table)) = (node, self.some(Role::Objects)) {
                    self.m.objects_at(Some((table.index, 1000)), node, &[item]);
                }
                self.write_objects();
            }
            Failure::Data => {
                if let Some(memory) = self.some(Role::Memory) {
                    self.m.data_at(memory.index, 8, b"stays");
                    self.m.data_at(memory.index, -4, b"traps");
                }
            }
        }
        let source = Source::Binary(self.m.encode());
        Step { action: Action::Link { source }, expect: Expect::Any, line: 0 }
    }

    /// Writes objects of constant expressions into a table when the module is instantiated.
    fn write_objects(&mut self) {
        let Some(table) = self.some(Role::Objects) else { return };
        let Entity::Table { min, .. } = table.entity else { return };
        let at = self.c.below(min as usize) as u32;
        let item = self.constant(|g| g.fresh_node(2));
        if let ValType::Ref(node) = self.node_ref() {
            self.m.objects_at(Some((table.index, at)), node, &[item]);
        }
    }

    /// A start function that traps or throws when it has changed something.
    fn trapping_start(&mut self) {
        let body = self.body(0, |g| {
            g.push_front();
            g.statements(2);
            match (g.c.below(3), g.some(Role::Tag), g.some(Role::Objects)) {
                (0, Some(tag), _) => {
                    g.node(1);
                    g.f.op().i32_const(5).throw(tag.index);
                }
                (1, _, Some(table)) => {
                    g.f.op().i32_const(-1).table_get(table.index).drop();
                }
                _ => {
                    g.f.op().i32_const(1).if_(BlockType::Empty).unreachable().end();
                }
            }
        });
        let ty = self.m.view.function(&mut self.c, &[], &[]);
        self.m.start = Some(self.m.function(ty, &body));
    }

    /// Imports something at a type that it does not match, or that is not there.
    fn wrong_import(&mut self) {
        let permitted = |offer: &&Offer| self.c.within.multi_memory || offer.role != Role::Memory;
        let offers: Vec<Offer> = self.known_offers().filter(permitted).cloned().collect();
        let offer = offers[self.c.below(offers.len())].clone();
        let (mut field, mut entity) = (offer.field.clone(), offer.entity.clone());
        match self.c.below(8) {
            0 => field.push('?'),
            1 => entity = self.other_kind(&offer),
            _ => entity = self.wrong(&offer.entity),
        }
        // Nothing uses it: it has no role.
        self.m.import(&mut self.c, (&offer.module, &field), &entity);
    }

    fn other_kind(&mut self, offer: &Offer) -> Entity {
        let others: Vec<Entity> = self
            .known_offers()
            .map(|other| other.entity.clone())
            .filter(|other| std::mem::discriminant(other) != std::mem::discriminant(&offer.entity))
            .collect();
        others[self.c.below(others.len())].clone()
    }

    /// The entity with one edit.
    fn wrong(&mut self, entity: &Entity) -> Entity {
        match entity.clone() {
            Entity::Typed(ty) => {
                let other = self.declared(|g, other| g.world.is_func(other) && !g.extends(ty, other));
                other.map_or(Entity::Function(Vec::new(), Vec::new()), Entity::Typed)
            }
            Entity::Function(mut params, results) => {
                params.push(ValType::I32);
                Entity::Function(params, results)
            }
            Entity::Global { ty: ValType::Ref(ty), mutable } => match self.c.below(3) {
                0 => Entity::Global { ty: ValType::Ref(ty), mutable: !mutable },
                // Above it where it is mutable, below where it is not.
                _ if mutable => {
                    let above = match ty.heap_type {
                        HeapType::Concrete(_) => RefType { nullable: true, heap_type: heap(Abstract::Eq) },
                        _ => RefType { nullable: false, ..ty },
                    };
                    Entity::Global { ty: ValType::Ref(above), mutable }
                }
                _ => {
                    let below = self.c.pick(&[heap(Abstract::None), HeapType::Concrete(self.world.bag)]);
                    Entity::Global { ty: ValType::Ref(RefType { heap_type: below, ..ty }), mutable }
                }
            },
            Entity::Global { ty, mutable } => Entity::Global { ty, mutable: !mutable },
            Entity::Table { element, min, max } => match self.c.below(3) {
                0 => Entity::Table { element, min: max + 1, max: max + 2 },
                1 => Entity::Table { element, min: 0, max: min - 1 },
                _ => {
                    let other = match element {
                        RefType::FUNCREF => nullable(HeapType::Concrete(self.world.callbacks[0])),
                        RefType::ANYREF => nullable(heap(Abstract::Eq)),
                        _ => RefType::ANYREF,
                    };
                    Entity::Table { element: other, min, max }
                }
            },
            Entity::Memory { max, .. } => match self.c.below(2) {
                0 => Entity::Memory { min: max + 1, max: max + 2 },
                _ => Entity::Memory { min: 0, max: 1 },
            },
            Entity::Tag(mut payload) => {
                match self.c.below(2) {
                    0 => payload.reverse(),
                    _ => payload[0] = ValType::Ref(RefType::ANYREF),
                }
                Entity::Tag(payload)
            }
        }
    }
}
