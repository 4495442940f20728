//! Statements over whole arrays, tables and segments, and the accesses that trap.

use wasm_encoder::{AbstractHeapType as Abstract, BlockType, HeapType, StorageType, ValType};

use super::Generator;
use super::construct::storage_size;
use super::numeric::at;
use super::program::{DROPPED, FUNCTIONS};
use super::types::{heap, non_null, nullable};

impl Generator<'_, '_> {
    /// An array of known length, changed by a bulk instruction and read back.
    pub(super) fn bulk(&mut self) {
        let ty = if self.c.chance(1, 3) { self.array_of_numbers() } else { self.mutable_array() };
        let element = self.p.types.element(ty).element_type;
        let array = self.f.scratch(ValType::Ref(nullable(HeapType::Concrete(ty))));
        let len = self.construct_array(ty, 2, 1);
        self.f.op().local_set(array);
        match self.c.below(5) {
            0 => {
                let (offset, count) = self.part(len);
                self.f.op().local_get(array);
                self.known(offset);
                self.value(element.unpack(), 2);
                self.maybe_hold();
                self.known(count);
                self.f.op().array_fill(ty);
            }
            1 => {
                // Onto itself, overlapping more often than not.
                let count = self.c.below(len as usize + 1);
                let to = self.c.below(len as usize - count + 1) as i32;
                let from = self.c.below(len as usize - count + 1) as i32;
                self.f.op().local_get(array);
                self.known(to);
                self.f.op().local_get(array);
                self.known(from);
                self.known(count as i32);
                self.f.op().array_copy(ty, ty);
            }
            2 => self.copy_from_another(ty, array, len),
            _ => self.init_from_segment(ty, array, len),
        }
        self.hold();
        self.f.op().local_get(array);
        self.consume(ValType::Ref(nullable(HeapType::Concrete(ty))));
        self.fold();
    }

    /// An offset and a count within `len`.
    fn part(&mut self, len: u32) -> (i32, i32) {
        let count = self.c.below(len as usize + 1);
        let offset = self.c.below(len as usize - count + 1);
        (offset as i32, count as i32)
    }

    fn copy_from_another(&mut self, ty: u32, array: u32, len: u32) {
        let types = &self.p.types;
        let element = types.element(ty).element_type;
        let sources: Vec<u32> = types
            .arrays
            .iter()
            .copied()
            .filter(|source| match (types.element(*source).element_type, element) {
                (StorageType::Val(ValType::Ref(sub)), StorageType::Val(ValType::Ref(sup))) => {
                    types.ref_subtype(sub, sup)
                }
                (sub, sup) => sub == sup,
            })
            .collect();
        let source_type = self.c.pick(&sources);
        let source = self.f.scratch(ValType::Ref(nullable(HeapType::Concrete(source_type))));
        let source_len = self.construct_array(source_type, 2, 0);
        self.f.op().local_set(source);
        let count = self.c.below(len.min(source_len) as usize + 1);
        let to = self.c.below(len as usize - count + 1) as i32;
        let from = self.c.below(source_len as usize - count + 1) as i32;
        self.f.op().local_get(array);
        self.known(to);
        self.f.op().local_get(source);
        self.maybe_hold();
        self.known(from);
        self.known(count as i32);
        self.f.op().array_copy(ty, source_type);
    }

    fn init_from_segment(&mut self, ty: u32, array: u32, len: u32) {
        match self.p.types.element(ty).element_type {
            StorageType::Val(ValType::Ref(want)) => {
                let types = &self.p.types;
                let elements = &self.p.elements;
                let fitting: Vec<u32> = self
                    .p
                    .lasting_elements
                    .iter()
                    .copied()
                    .filter(|segment| types.ref_subtype(elements[*segment as usize].ty(), want))
                    .collect();
                if fitting.is_empty() {
                    return;
                }
                let segment = self.c.pick(&fitting);
                let items = self.p.elements[segment as usize].len();
                let count = self.c.below(len.min(items) as usize + 1);
                let to = self.c.below(len as usize - count + 1) as i32;
                let from = self.c.below(items as usize - count + 1) as i32;
                self.f.op().local_get(array);
                self.known(to);
                self.known(from);
                self.known(count as i32);
                self.f.op().array_init_elem(ty, segment);
            }
            storage => {
                let segment = self.p.lasting_data;
                let bytes = self.p.data[segment as usize].bytes.len() as u32;
                let count = self.c.below(len.min(bytes / storage_size(storage)) as usize + 1);
                let to = self.c.below(len as usize - count + 1) as i32;
                let from = self.c.below((bytes - count as u32 * storage_size(storage)) as usize + 1);
                self.f.op().local_get(array);
                self.known(to);
                self.known(from as i32);
                self.known(count as i32);
                self.f.op().array_init_data(ty, segment);
            }
        }
    }

    /// A bulk instruction over a table of objects.
    pub(super) fn table_bulk(&mut self) {
        let table = self.object_table();
        let (ty, min) = (self.p.tables[table as usize].ty, self.p.tables[table as usize].min);
        match self.c.below(4) {
            0 => {
                self.reference(ty, 2);
                self.maybe_hold();
                let by = self.c.below(6) as i32;
                self.known(by);
                self.f.op().table_grow(table);
                self.f.op().i64_extend_i32_s();
                self.fold();
            }
            1 => {
                let (offset, count) = self.part(min);
                self.known(offset);
                self.reference(ty, 2);
                self.maybe_hold();
                self.known(count);
                self.f.op().table_fill(table);
            }
            2 => {
                let (to, _) = self.part(min);
                let (from, _) = self.part(min);
                let room = min as i32 - to.max(from);
                let count = self.c.below(room.max(0) as usize + 1) as i32;
                self.known(to);
                self.known(from);
                self.known(count);
                self.f.op().table_copy(table, table);
            }
            _ => {
                let types = &self.p.types;
                let elements = &self.p.elements;
                let fitting: Vec<u32> = self
                    .p
                    .lasting_elements
                    .iter()
                    .copied()
                    .filter(|segment| types.ref_subtype(elements[*segment as usize].ty(), ty))
                    .collect();
                if fitting.is_empty() {
                    return;
                }
                let segment = self.c.pick(&fitting);
                let items = self.p.elements[segment as usize].len();
                let count = self.c.below(min.min(items) as usize + 1);
                let to = self.c.below(min as usize - count + 1) as i32;
                let from = self.c.below(items as usize - count + 1) as i32;
                self.known(to);
                self.known(from);
                self.known(count as i32);
                self.f.op().table_init(table, segment);
            }
        }
        self.hold();
        let index = self.c.below(min as usize) as i32;
        self.known(index);
        self.f.op().table_get(table);
        self.consume(ValType::Ref(ty));
        self.fold();
    }

    /// Two arrays of one passive segment: the segment's objects are made once, so their elements are the same.
    pub(super) fn same_segment(&mut self) {
        let segment = self.p.lasting_elements[0];
        let items = self.p.elements[segment as usize].len() as i32;
        let any_array = self.p.types.any_array;
        let at = self.c.below(items as usize) as i32;
        for round in 0..2 {
            self.f.op().i32_const(0);
            self.f.op().i32_const(items);
            self.f.op().array_new_elem(any_array, segment);
            self.maybe_hold();
            self.f.op().i32_const(at);
            self.f.op().array_get(any_array);
            self.f.op().ref_cast_nullable(heap(Abstract::Eq));
            if round == 0 {
                self.hold();
            }
        }
        self.f.op().ref_eq();
        self.f.op().i64_extend_i32_u();
        self.fold();
    }

    /// Takes from segments, then drops them; a flag keeps later calls away.
    pub(super) fn drops(&mut self) {
        let any_array = self.p.types.any_array;
        let (element, data) = (self.p.droppable_element, self.p.droppable_data);
        self.f.op().global_get(DROPPED);
        self.f.op().i32_eqz();
        self.if_(BlockType::Empty);
        self.f.op().i32_const(1);
        self.f.op().global_set(DROPPED);
        self.array_from(any_array, element, 1);
        self.f.op().elem_drop(element);
        self.collect();
        self.consume(ValType::Ref(non_null(HeapType::Concrete(any_array))));
        self.fold();
        let bytes = self.p.data[data as usize].bytes.len() as i32;
        self.f.op().i32_const(16);
        self.f.op().i32_const(0);
        self.f.op().i32_const(bytes);
        self.f.op().memory_init(0, data);
        self.f.op().data_drop(data);
        self.end();
        // Nothing of an empty segment is within bounds.
        self.f.op().i32_const(0);
        self.f.op().i32_const(0);
        self.f.op().array_new_elem(any_array, element);
        self.f.op().array_len();
        self.f.op().i64_extend_i32_u();
        self.fold();
    }

    /// An access that traps.
    pub(super) fn trap(&mut self) {
        let node = self.p.types.node;
        let concrete = HeapType::Concrete(node);
        let any_array = self.p.types.any_array;
        match self.c.below(17) {
            0 => {
                self.f.op().ref_null(concrete);
                self.f.op().struct_get(node, self.p.types.key);
            }
            1 => {
                let array = self.mutable_array();
                let len = self.construct_array(array, 1, 0);
                let past = self.c.pick(&[0, 1, 1 << 29, i32::MAX, -1 - len as i32]);
                self.f.op().i32_const((len as i32).wrapping_add(past));
                self.array_get(array);
            }
            2 => {
                self.leaf(non_null(HeapType::I31));
                self.f.op().ref_cast_non_null(concrete);
            }
            3 => {
                // No element, but past the end.
                let local = self.f.scratch(ValType::Ref(nullable(HeapType::Concrete(any_array))));
                let len = self.construct_array(any_array, 1, 0);
                self.f.op().local_set(local);
                self.f.op().local_get(local);
                self.f.op().i32_const(0);
                self.f.op().local_get(local);
                self.f.op().i32_const(len as i32 + 1);
                self.f.op().i32_const(0);
                self.f.op().array_copy(any_array, any_array);
                return;
            }
            4 => {
                let len = self.p.elements[self.p.lasting_elements[0] as usize].len() as i32;
                self.f.op().i32_const(1);
                self.f.op().i32_const(len);
                self.f.op().array_new_elem(any_array, self.p.lasting_elements[0]);
            }
            5 => {
                let slot = self.p.table_functions.len() as i32;
                let ty = self.p.function(self.p.fresh[0]).ty;
                self.f.op().i32_const(slot + self.c.below(5) as i32);
                self.f.op().call_indirect(FUNCTIONS, ty);
            }
            6 => {
                let ty = self.p.function(self.p.fresh[0]).ty;
                // No function of slot 0 has that type, whether the maker is called or not.
                self.f.op().i32_const(0);
                self.f.op().call_indirect(FUNCTIONS, ty);
            }
            7 => {
                let table = self.object_table();
                let max = self.p.tables[table as usize].max as i32;
                let index = self.c.pick(&[max, -1, i32::MIN]);
                self.f.op().i32_const(index);
                self.f.op().table_get(table);
            }
            8 => {
                self.f.op().ref_null(heap(Abstract::None));
                self.f.op().ref_as_non_null();
            }
            9 => {
                self.f.op().ref_null(HeapType::I31);
                self.f.op().i31_get_s();
            }
            10 => {
                self.f.op().i32_const(-8);
                self.f.op().i32_load(at(0));
            }
            11 => {
                self.numeric(ValType::I32, 1);
                self.f.op().i32_const(0);
                self.f.op().i32_div_s();
            }
            12 => {
                let array = self.mutable_array();
                let len = self.construct_array(array, 1, 0);
                self.f.op().i32_const(1);
                self.value(self.p.types.element(array).element_type.unpack(), 0);
                self.f.op().i32_const(len as i32);
                self.f.op().array_fill(array);
                return;
            }
            13 => {
                let segment = self.p.lasting_elements[0];
                let len = self.construct_array(any_array, 1, 0) as i32;
                self.f.op().i32_const(len);
                self.f.op().i32_const(0);
                self.f.op().i32_const(1);
                self.f.op().array_init_elem(any_array, segment);
                return;
            }
            14 => {
                self.f.op().ref_null(heap(Abstract::Array));
                self.f.op().array_len();
            }
            15 => {
                let ty = self.p.types.callback;
                self.f.op().ref_null(concrete);
                self.f.op().i32_const(1);
                self.f.op().ref_null(HeapType::Concrete(ty));
                self.f.op().call_ref(ty);
            }
            _ => {
                self.f.op().unreachable();
                return;
            }
        }
        self.f.op().drop();
    }
}
