//! A module's own type section: the common groups in another order, with other groups and empty ones between, some
//! groups twice; decoys not in all modules.

use std::ops::Range;

use wasm_encoder::{HeapType, RefType, SubType, TypeSection, ValType};

use super::world::{World, function, renamed, renamed_ref, renamed_value};
use crate::generate::choices::Choices;

/// The types of one module.
#[derive(Default)]
pub(super) struct View {
    groups: Vec<Vec<SubType>>,
    next: u32,
    /// By common index: the module's own indices for it; none for decoys that it does not declare.
    own: Vec<Vec<u32>>,
    /// Function types of groups of their own: parameters and results by common indices.
    functions: Vec<(Vec<ValType>, Vec<ValType>, u32)>,
}

impl View {
    pub(super) fn new(c: &mut Choices<'_, '_>, world: &World) -> View {
        let mut view = View { own: vec![Vec::new(); world.defs.len()], ..View::default() };
        let decoy = |group: &Range<u32>| group.start >= world.first_decoy;
        let mut left: Vec<&Range<u32>> =
            world.groups.iter().filter(|group| !decoy(group) || c.chance(2, 3)).collect();
        while !left.is_empty() {
            match c.below(8) {
                0 => view.groups.push(Vec::new()),
                1 => view.stranger(c),
                _ => {}
            }
            // Any group whose references are declared already; the first that is left always is one.
            let ready: Vec<usize> =
                (0..left.len()).filter(|at| view.declares_references(world, left[*at])).collect();
            let group = left.remove(c.pick(&ready));
            view.declare(c, world, group);
            if c.chance(1, 8) {
                view.declare(c, world, group);
            }
        }
        view
    }

    fn declares_references(&self, world: &World, group: &Range<u32>) -> bool {
        let mut all = true;
        for index in group.clone() {
            renamed(&world.defs[index as usize], &mut |to| {
                all &= group.contains(&to) || !self.own[to as usize].is_empty();
                to
            });
        }
        all
    }

    fn declare(&mut self, c: &mut Choices<'_, '_>, world: &World, group: &Range<u32>) {
        let start = self.next;
        let defs = group.clone().map(|index| {
            renamed(&world.defs[index as usize], &mut |to| {
                if group.contains(&to) { to - group.start + start } else { c.pick(&self.own[to as usize]) }
            })
        });
        let defs: Vec<SubType> = defs.collect();
        for (index, own) in group.clone().zip(start..) {
            self.own[index as usize].push(own);
        }
        self.push(defs);
    }

    /// A group that is no part of what modules have in common.
    fn stranger(&mut self, c: &mut Choices<'_, '_>) {
        let params = [ValType::F32, ValType::I64, ValType::F64];
        let types = [function(&params[..c.below(4)], &[]), function(&params[..c.below(4)], &[ValType::I32])];
        let types = types.into_iter().take(c.range(1, 2));
        let defs = types.map(|composite_type| SubType {
            is_final: true,
            supertype_idxs: Vec::new(),
            composite_type,
        });
        self.push(defs.collect());
    }

    fn push(&mut self, defs: Vec<SubType>) {
        self.next += defs.len() as u32;
        self.groups.push(defs);
    }

    /// Whether the module declares the type of this common index.
    pub(super) fn declares(&self, common: u32) -> bool {
        !self.own[common as usize].is_empty()
    }

    /// The module's index, or one of them.
    pub(super) fn index(&self, c: &mut Choices<'_, '_>, common: u32) -> u32 {
        c.pick(&self.own[common as usize])
    }

    pub(super) fn value(&self, c: &mut Choices<'_, '_>, common: ValType) -> ValType {
        renamed_value(common, &mut |index| c.pick(&self.own[index as usize]))
    }

    pub(super) fn reference(&self, c: &mut Choices<'_, '_>, common: RefType) -> RefType {
        renamed_ref(common, &mut |index| c.pick(&self.own[index as usize]))
    }

    pub(super) fn heap(&self, c: &mut Choices<'_, '_>, common: HeapType) -> HeapType {
        self.reference(c, RefType { nullable: true, heap_type: common }).heap_type
    }

    /// The index of a final function type in a group of its own.
    pub(super) fn function(
        &mut self,
        c: &mut Choices<'_, '_>,
        params: &[ValType],
        results: &[ValType],
    ) -> u32 {
        let known = self.functions.iter().find(|(p, r, _)| p == params && r == results);
        if let Some((.., index)) = known {
            return *index;
        }
        let own_params: Vec<ValType> = params.iter().map(|ty| self.value(c, *ty)).collect();
        let own_results: Vec<ValType> = results.iter().map(|ty| self.value(c, *ty)).collect();
        let index = self.next;
        self.push(vec![SubType {
            is_final: true,
            supertype_idxs: Vec::new(),
            composite_type: function(&own_params, &own_results),
        }]);
        self.functions.push((params.to_vec(), results.to_vec(), index));
        index
    }

    pub(super) fn section(&self) -> TypeSection {
        let mut section = TypeSection::new();
        for group in &self.groups {
            match &group[..] {
                [single] => section.ty().subtype(single),
                group => section.ty().rec(group.to_vec()),
            }
        }
        section
    }
}
