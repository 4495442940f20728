//! Tables and segments of references: every instruction that writes them, over and over, so that what they held dies.

use wasm_encoder::{BlockType, HeapType, ValType};

use crate::generate::objects::Generator;
use crate::generate::objects::program::{Element, Global, Items, OBJECTS};
use crate::generate::objects::types::{ANYREF, nullable};

/// One change of the table.
#[derive(Clone, Copy)]
enum Change {
    Set,
    SetCommon,
    FillFresh,
    FillNull,
    CopyUp,
    CopyDown,
    Init,
    Grow,
    NewElem,
    InitElem,
    ToAnother,
}

const CHANGES: &[Change] = &[
    Change::Set,
    Change::Set,
    Change::SetCommon,
    Change::FillFresh,
    Change::FillNull,
    Change::CopyUp,
    Change::CopyDown,
    Change::Init,
    Change::Grow,
    Change::NewElem,
    Change::InitElem,
    Change::ToAnother,
];

/// What the changes work on.
#[derive(Clone, Copy)]
struct Place {
    table: u32,
    /// Its length at first; it may have grown.
    len: u32,
    /// A segment that is never dropped.
    segment: u32,
    /// An array of as many elements, not null.
    array: u32,
}

impl Generator<'_, '_> {
    pub(super) fn tables(&mut self, scale: usize) {
        let node = nullable(HeapType::Concrete(self.p.types.node));
        let any_array = self.p.types.any_array;
        let ty = if self.c.chance(2, 3) { ANYREF } else { node };
        let len = self.c.range(6, 40) as u32;
        let max = len + self.c.range(2, 60) as u32;
        let table = self.own_table(ty, len, max);
        let [segment, dropped] = [0; 2].map(|_| self.own_segment(ty));
        let array = self.scratch_ref(any_array);
        self.f.op().i32_const(len as i32).array_new_default(any_array).local_set(array);
        let place = Place { table, len, segment, array };
        let count = self.c.range(3, 6);
        let changes = self.several(CHANGES, count);
        let rounds = self.c.range(5, 10) * scale;
        self.rounds(rounds, |g, counter| {
            for change in changes {
                g.change_table(change, place, counter);
                if g.c.chance(1, 2) {
                    g.garbage();
                }
            }
            g.pace(counter, rounds);
            g.spread(counter, 0, len);
            g.f.op().table_get(table);
            g.peek();
            g.f.op().i32_const(len as i32 - 1).table_get(table);
            g.peek();
            g.f.op().local_get(array);
            g.spread(counter, 0, len);
            g.f.op().array_get(any_array);
            g.peek();
        });
        self.use_and_drop(place, dropped);
        if self.c.chance(1, 2) {
            // All of it dies, what was grown too.
            self.f.op().i32_const(0).ref_null(ty.heap_type).table_size(table).table_fill(table);
            self.collect();
        }
        self.f.op().table_size(table).i64_extend_i32_u();
        self.fold();
    }

    /// A passive segment of objects, i31 and nulls.
    fn own_segment(&mut self, ty: wasm_encoder::RefType) -> u32 {
        let items = (0..self.c.range(3, 8)).map(|_| self.constant(ty, 2)).collect();
        self.p.elements.push(Element { active: None, items: Items::Expressions(ty, items) });
        self.p.elements.len() as u32 - 1
    }

    fn change_table(&mut self, change: Change, place: Place, counter: u32) {
        let (node, any_array) = (self.p.types.node, self.p.types.any_array);
        let Place { table, len, segment, array } = place;
        let ty = self.p.tables[table as usize].ty;
        let items = self.p.elements[segment as usize].len();
        match change {
            Change::Set => {
                self.spread(counter, 0, len);
                self.node(None, Some(counter), None);
                self.f.op().table_set(table);
            }
            // What costs no allocation takes an object's place.
            Change::SetCommon => {
                self.spread(counter, 0, len);
                match self.c.below(3) {
                    0 if ty == ANYREF => {
                        self.f.op().local_get(counter).ref_i31();
                    }
                    1 if ty == ANYREF => {
                        self.f.op().local_get(array);
                    }
                    _ => self.null(ty),
                }
                self.f.op().table_set(table);
            }
            Change::FillFresh | Change::FillNull => {
                let count = self.c.range(1, len as usize);
                let offset = self.c.below(len as usize - count + 1) as i32;
                self.f.op().i32_const(offset);
                if matches!(change, Change::FillFresh) {
                    self.node(None, Some(counter), None);
                } else {
                    self.f.op().ref_null(ty.heap_type);
                }
                self.f.op().i32_const(count as i32).table_fill(table);
            }
            Change::CopyUp | Change::CopyDown => {
                let by = self.c.range(1, 4) as i32;
                let (to, from) = if matches!(change, Change::CopyUp) { (by, 0) } else { (0, by) };
                self.f.op().i32_const(to).i32_const(from).i32_const(len as i32 - by);
                self.f.op().table_copy(table, table);
            }
            Change::Init => {
                let count = self.c.range(1, items.min(len) as usize);
                let from = self.c.below(items as usize - count + 1) as i32;
                self.spread(counter, 0, len - count as u32 + 1);
                self.f.op().i32_const(from).i32_const(count as i32).table_init(table, segment);
            }
            // Until it is full, then -1.
            Change::Grow => {
                self.node(None, Some(counter), None);
                let by = self.c.below(4) as i32;
                self.f.op().i32_const(by).table_grow(table).i64_extend_i32_s();
                self.fold();
                self.f.op().table_size(table).i32_const(1).i32_sub().table_get(table);
                self.peek();
            }
            // An array of the segment's objects; its last element moves into the table.
            Change::NewElem => {
                let target = if ty == ANYREF { any_array } else { self.p.types.node_array };
                self.spread(counter, 0, len);
                self.f.op().i32_const(0).i32_const(items as i32).array_new_elem(target, segment);
                self.f.op().i32_const(items as i32 - 1).array_get(target).table_set(table);
            }
            Change::InitElem => {
                let count = self.c.range(1, items.min(len) as usize);
                self.f.op().local_get(array);
                self.spread(counter, 0, len - count as u32 + 1);
                self.f.op().i32_const(items as i32 - count as i32).i32_const(count as i32);
                self.f.op().array_init_elem(any_array, segment);
                // A fresh one beside them.
                self.f.op().local_get(array);
                self.spread(counter, 0, len);
                self.node(None, Some(counter), None);
                self.f.op().array_set(any_array);
            }
            Change::ToAnother => {
                let common = self.p.tables[OBJECTS as usize].min.min(len);
                let count = self.c.range(1, common as usize) as i32;
                let at = self.c.below(common as usize - count as usize + 1) as i32;
                self.f.op().i32_const(at).i32_const(0).i32_const(count).table_copy(OBJECTS, table);
                self.f.op().i32_const(at).table_get(OBJECTS).ref_test_non_null(HeapType::Concrete(node));
                self.f.op().i64_extend_i32_u();
                self.fold();
            }
        }
    }

    /// Takes from a segment once, drops it, and reads what its objects became.
    fn use_and_drop(&mut self, place: Place, segment: u32) {
        let Place { table, len, array, .. } = place;
        let any_array = self.p.types.any_array;
        let items = self.p.elements[segment as usize].len().min(len) as i32;
        self.p.globals.push(Global { ty: ValType::I32, mutable: true, init: vec![0x41, 0], exported: false });
        let flag = self.p.globals.len() as u32 - 1;
        self.f.op().global_get(flag).i32_eqz();
        self.if_(BlockType::Empty);
        self.f.op().i32_const(1).global_set(flag);
        self.f.op().i32_const(0).i32_const(0).i32_const(items).table_init(table, segment);
        self.f.op().local_get(array).i32_const(0).i32_const(0).i32_const(items);
        self.f.op().array_init_elem(any_array, segment);
        self.f.op().elem_drop(segment);
        self.collect();
        self.garbage();
        self.rounds(items as usize, |g, counter| {
            g.f.op().local_get(counter).i32_const(1).i32_sub().table_get(table);
            g.peek();
        });
        self.end();
    }
}
