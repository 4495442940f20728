//! Statements of entry functions, over objects that live in locals, each followed into the function's sum.

use wasm_encoder::{AbstractHeapType as Abstract, BlockType, HeapType, RefType, StorageType, ValType};

use super::Generator;
use super::entries::WORK_LIMIT;
use super::numeric::at;
use super::program::{FUNCTIONS, KEEP, LOG_F32, LOG_F64, LOG_I32, LOG_I64, LOG_REF, OBJECTS, WAIT};
use super::references::HELD;
use super::types::{ANYREF, EXNREF, heap, non_null, nullable};

/// Kinds of statements.
#[derive(Clone, Copy)]
enum Statement {
    Held,
    Assign,
    Redefine,
    StructSet,
    ArraySet,
    Knot,
    Tangle,
    List,
    Global,
    Table,
    TableBulk,
    Bulk,
    If,
    Loop,
    Log,
    ReadTwice,
    Numbers,
    Memory,
    SameSegment,
    Drops,
    Keep,
    Wait,
    Catch,
    Exception,
    Tail,
    Function,
    Workload,
}

const KINDS: &[(usize, Statement)] = &[
    (12, Statement::Held),
    (7, Statement::Assign),
    (4, Statement::Redefine),
    (10, Statement::StructSet),
    (7, Statement::ArraySet),
    (7, Statement::Knot),
    (4, Statement::Tangle),
    (4, Statement::List),
    (5, Statement::Global),
    (5, Statement::Table),
    (7, Statement::TableBulk),
    (13, Statement::Bulk),
    (4, Statement::If),
    (4, Statement::Loop),
    (4, Statement::Log),
    (5, Statement::ReadTwice),
    (3, Statement::Numbers),
    (4, Statement::Memory),
    (3, Statement::SameSegment),
    (2, Statement::Drops),
    (2, Statement::Keep),
    (2, Statement::Wait),
    (4, Statement::Catch),
    (2, Statement::Exception),
    (7, Statement::Tail),
    (4, Statement::Function),
    (2, Statement::Workload),
];

impl Generator<'_, '_> {
    /// Folds the i64 on the stack into the sum.
    pub(super) fn fold(&mut self) {
        self.f.op().local_get(self.sum);
        self.f.op().i64_const(31);
        self.f.op().i64_mul();
        self.f.op().i64_add();
        self.f.op().local_set(self.sum);
    }

    /// The next producer in turn, a collection while its result lies on the stack, and a reading of it.
    pub(super) fn held(&mut self) {
        let turn = self.held % (HELD.len() + 2);
        self.held += 1;
        let want = self.object_type();
        if let Some(producer) = HELD.get(turn) {
            self.produce(*producer, want, 2);
            self.collect();
            self.consume(ValType::Ref(want));
        } else if turn == HELD.len() {
            let (ty, segment) = self.elements_for();
            self.array_from(ty, segment, 1);
            self.collect();
            self.consume(ValType::Ref(non_null(HeapType::Concrete(ty))));
        } else {
            let len = self.c.range(1, 20) as i32;
            self.f.op().i32_const(len);
            self.call(self.p.build_list);
            self.collect();
            self.call(self.p.sum_list);
        }
        self.fold();
    }

    /// A type of objects; now and then of any reference.
    fn object_type(&mut self) -> RefType {
        let ty = match self.c.below(8) {
            0 => heap(Abstract::Any),
            1 => heap(Abstract::Eq),
            2 => HeapType::Concrete(self.c.pick(&self.p.types.arrays)),
            3 => HeapType::Concrete(self.p.types.node),
            _ => HeapType::Concrete(self.c.pick(&self.p.types.structs)),
        };
        RefType { nullable: self.c.chance(1, 3), heap_type: ty }
    }

    /// An array type and a segment whose items fit it.
    fn elements_for(&mut self) -> (u32, u32) {
        let segments = &self.p.lasting_elements;
        let (any, node) = (self.p.types.any_array, self.p.types.node_array);
        self.c.pick(&[(any, segments[0]), (any, segments[1]), (node, segments[1])])
    }

    pub(super) fn call(&mut self, function: u32) {
        self.f.op().call(function);
        let cost = self.p.function(function).cost;
        self.f.spend(cost);
    }

    pub(super) fn statement(&mut self, depth: usize) {
        let statement = match self.options.catch {
            catch if catch > 0 && self.c.chance(catch, 100) => Statement::Catch,
            _ => self.c.weighted(KINDS),
        };
        match statement {
            Statement::Held => self.held(),
            Statement::Assign => {
                let ty = match self.c.below(4) {
                    0 => self.c.pick(&[ValType::I32, ValType::I64, ValType::F64, ValType::F32]),
                    _ => ValType::Ref(RefType { nullable: true, ..self.object_type() }),
                };
                let local = self.f.local(ty);
                self.value(ty, 3);
                self.f.set(local);
            }
            Statement::Redefine => {
                let locals: Vec<(u32, ValType)> = self
                    .f
                    .locals
                    .iter()
                    .enumerate()
                    .filter(|(_, local)| local.writable && local.ready)
                    .map(|(index, local)| (index as u32, local.ty))
                    .collect();
                let (local, ty) = self.c.pick(&locals);
                self.value(ty, 2);
                self.f.set(local);
            }
            Statement::StructSet => self.struct_set(),
            Statement::ArraySet => {
                let ty = self.mutable_array();
                self.reference(non_null(HeapType::Concrete(ty)), 1);
                self.guarded_set(ty);
            }
            Statement::Knot => self.knot(),
            Statement::Tangle => {
                let node = nullable(HeapType::Concrete(self.p.types.node));
                let local = self.f.local(ValType::Ref(node));
                self.tangle();
                self.f.set(local);
                self.hold();
                self.f.op().local_get(local);
                self.consume(ValType::Ref(node));
                self.fold();
            }
            Statement::List => self.list(),
            Statement::Global => self.global_statement(),
            Statement::Table => {
                let table = self.object_table();
                let index = self.c.below(self.p.tables[table as usize].min as usize) as i32;
                self.f.op().i32_const(index);
                self.reference(self.p.tables[table as usize].ty, 2);
                self.maybe_hold();
                self.f.op().table_set(table);
                self.hold();
                self.f.op().i32_const(index);
                self.f.op().table_get(table);
                self.consume(ValType::Ref(self.p.tables[table as usize].ty));
                self.fold();
            }
            Statement::TableBulk => self.table_bulk(),
            Statement::Bulk => self.bulk(),
            Statement::If if depth > 0 => {
                self.numeric(ValType::I32, 2);
                self.if_(BlockType::Empty);
                self.statement(depth - 1);
                if self.c.chance(1, 2) {
                    self.else_();
                    self.statement(depth - 1);
                }
                self.end();
            }
            Statement::Loop if depth > 0 => {
                let rounds = self.c.range(2, 5);
                let counter = self.f.scratch(ValType::I32);
                self.f.op().i32_const(rounds as i32);
                self.f.op().local_set(counter);
                let start = self.f.begin_repeat(rounds);
                self.loop_(BlockType::Empty);
                self.statement(depth - 1);
                if self.c.chance(1, 2) {
                    self.statement(0);
                }
                self.f.op().local_get(counter);
                self.f.op().i32_const(1);
                self.f.op().i32_sub();
                self.f.op().local_tee(counter);
                self.f.op().br_if(0);
                self.end();
                self.f.end_repeat(start, rounds);
            }
            Statement::Log => {
                let ty = self.c.pick(&[
                    (ValType::I32, LOG_I32),
                    (ValType::I64, LOG_I64),
                    (ValType::F32, LOG_F32),
                    (ValType::F64, LOG_F64),
                    (ValType::Ref(ANYREF), LOG_REF),
                    (ValType::Ref(ANYREF), LOG_REF),
                ]);
                self.value(ty.0, 2);
                self.f.op().call(ty.1);
            }
            Statement::ReadTwice => self.read_twice(),
            Statement::Numbers => {
                let ty =
                    self.c.pick(&[ValType::I32, ValType::I64, ValType::F64, ValType::F32, ValType::V128]);
                let ty = if ty == ValType::V128 && !self.c.within.simd { ValType::I64 } else { ty };
                self.numeric(ty, 4);
                self.consume(ty);
                self.fold();
            }
            Statement::Memory => self.memory(),
            Statement::SameSegment => self.same_segment(),
            Statement::Drops => self.drops(),
            Statement::Keep => {
                self.reference(ANYREF, 2);
                self.f.op().call(KEEP);
                self.hold();
                self.produce(super::references::Producer::Kept, ANYREF, 1);
                self.consume(ValType::Ref(ANYREF));
                self.fold();
            }
            // The host's frame is all that holds it while others run.
            Statement::Wait => {
                self.reference(ANYREF, 2);
                self.f.op().call(WAIT);
                self.consume(ValType::Ref(ANYREF));
                self.fold();
            }
            Statement::Catch => self.catch(),
            Statement::Exception if !self.p.throwers.is_empty() => {
                self.reference(EXNREF, 2);
                self.hold();
                self.consume(ValType::Ref(EXNREF));
                self.fold();
            }
            Statement::Tail if !self.p.hops.is_empty() => self.tail(),
            Statement::Function => {
                let ty = ValType::Ref(
                    self.c.pick(&[RefType::FUNCREF, nullable(HeapType::Concrete(self.p.types.callback))]),
                );
                self.value(ty, 2);
                self.consume(ty);
                self.fold();
            }
            // While the function's own objects are held by its locals.
            Statement::Workload if !self.p.workloads.is_empty() => {
                let workload = self.c.pick(&self.p.workloads);
                let cost = self.p.function(workload).cost.work * self.f.multiplier;
                if self.f.cost().work + cost > WORK_LIMIT {
                    return self.struct_set();
                }
                self.call(workload);
                self.fold();
            }
            Statement::If
            | Statement::Loop
            | Statement::Workload
            | Statement::Tail
            | Statement::Exception => self.struct_set(),
        }
    }

    /// A table that is not the one of functions.
    pub(super) fn object_table(&mut self) -> u32 {
        self.c.range(OBJECTS as usize, self.p.common_tables - 1) as u32
    }

    pub(super) fn mutable_array(&mut self) -> u32 {
        let types = &self.p.types;
        let mutable: Vec<u32> =
            types.arrays.iter().copied().filter(|ty| types.element(*ty).mutable).collect();
        self.c.pick(&mutable)
    }

    /// A mutable array that data segments can fill; any mutable one if there is none.
    pub(super) fn array_of_numbers(&mut self) -> u32 {
        let types = &self.p.types;
        let mutable = types.arrays.iter().copied().filter(|ty| {
            let element = types.element(*ty);
            element.mutable && !matches!(element.element_type, StorageType::Val(ValType::Ref(_)))
        });
        let numbers: Vec<u32> = mutable.collect();
        if numbers.is_empty() { self.mutable_array() } else { self.c.pick(&numbers) }
    }

    fn struct_set(&mut self) {
        let mut places = Vec::new();
        for &ty in &self.p.types.structs {
            for (field, def) in self.p.types.fields(ty).iter().enumerate() {
                if def.mutable {
                    places.push((ty, field as u32, def.element_type));
                }
            }
        }
        let (ty, field, storage) = self.c.pick(&places);
        self.reference(non_null(HeapType::Concrete(ty)), 1);
        self.value(storage.unpack(), 2);
        self.maybe_hold();
        self.f.op().struct_set(ty, field);
    }

    /// Takes a non-null array from the stack and sets some element, if it has any.
    pub(super) fn guarded_set(&mut self, ty: u32) {
        let local = self.f.scratch(ValType::Ref(nullable(HeapType::Concrete(ty))));
        self.f.op().local_tee(local);
        self.f.op().array_len();
        self.if_(BlockType::Empty);
        self.f.op().local_get(local);
        self.numeric(ValType::I32, 1);
        self.f.op().local_get(local);
        self.f.op().array_len();
        self.f.op().i32_rem_u();
        self.value(self.p.types.element(ty).element_type.unpack(), 2);
        self.maybe_hold();
        self.f.op().array_set(ty);
        self.end();
    }

    /// Builds a long list, changes it and sums it up.
    fn list(&mut self) {
        let node = self.p.types.node;
        let list = ValType::Ref(nullable(HeapType::Concrete(node)));
        let local = self.f.local(list);
        let len = self.c.range(10, 50) as i32;
        self.f.op().i32_const(len);
        self.call(self.p.build_list);
        self.f.set(local);
        if self.c.chance(1, 3) {
            // Unlinks the second node.
            let next = self.p.types.next;
            self.block(BlockType::Empty);
            self.f.op().local_get(local);
            self.f.op().br_on_null(0);
            self.f.op().local_get(local);
            self.f.op().struct_get(node, next);
            self.f.op().br_on_null(0);
            self.f.op().struct_get(node, next);
            self.f.op().struct_set(node, next);
            self.end();
        }
        self.f.op().local_get(local);
        if self.c.chance(1, 2) {
            self.call(self.p.reverse_list);
        }
        self.hold();
        self.call(self.p.sum_list);
        self.fold();
    }

    fn global_statement(&mut self) {
        let globals: Vec<(u32, ValType)> = self
            .p
            .globals
            .iter()
            .take(self.p.common_globals)
            .enumerate()
            .filter(|(_, global)| global.mutable && global.exported)
            .map(|(index, global)| (index as u32, global.ty))
            .collect();
        let (global, ty) = self.c.pick(&globals);
        self.value(ty, 2);
        self.f.op().global_set(global);
        self.hold();
        if self.c.chance(1, 2) {
            self.f.op().global_get(global);
            self.consume(ty);
            self.fold();
        }
    }

    /// Reads a field, collects, reads it again, and compares identity.
    fn read_twice(&mut self) {
        let mut places = Vec::new();
        for &ty in &self.p.types.structs {
            for (field, def) in self.p.types.fields(ty).iter().enumerate() {
                if let StorageType::Val(ValType::Ref(have)) = def.element_type
                    && self.p.types.heap_subtype(have.heap_type, heap(Abstract::Eq))
                {
                    places.push((ty, field as u32, have));
                }
            }
        }
        let Some(&first) = places.first() else { return };
        let (ty, field, have) = if places.len() > 1 { self.c.pick(&places) } else { first };
        let owner = ValType::Ref(nullable(HeapType::Concrete(ty)));
        let owner = self.f.scratch(owner);
        self.reference(non_null(HeapType::Concrete(ty)), 2);
        self.f.op().local_set(owner);
        self.f.op().local_get(owner);
        self.f.op().struct_get(ty, field);
        self.hold();
        self.f.op().local_get(owner);
        self.f.op().struct_get(ty, field);
        let copy = self.f.scratch(ValType::Ref(RefType { nullable: true, ..have }));
        self.f.op().local_tee(copy);
        self.f.op().ref_eq();
        self.f.op().i64_extend_i32_u();
        self.fold();
        self.f.op().local_get(copy);
        self.consume(ValType::Ref(RefType { nullable: true, ..have }));
        self.fold();
    }

    fn memory(&mut self) {
        let at = at(self.c.byte() & 15);
        match self.c.below(6) {
            0 => {
                self.address(1);
                self.numeric(ValType::I64, 2);
                self.f.op().i64_store(at);
            }
            1 => {
                self.address(1);
                self.numeric(ValType::I32, 2);
                let which = self.c.below(3);
                let mut op = self.f.op();
                match which {
                    0 => op.i32_store(at),
                    1 => op.i32_store8(at),
                    _ => op.i32_store16(at),
                };
            }
            2 => {
                self.address(0);
                self.numeric(ValType::I32, 1);
                let len = self.c.below(100) as i32;
                self.f.op().i32_const(len);
                self.f.op().memory_fill(0);
            }
            3 => {
                self.address(0);
                self.address(0);
                let len = self.c.below(100) as i32;
                self.f.op().i32_const(len);
                self.f.op().memory_copy(0, 0);
            }
            4 => {
                let bytes = self.p.data[self.p.lasting_data as usize].bytes.len();
                let len = self.c.below(bytes + 1);
                self.address(0);
                let offset = self.c.below(bytes - len + 1) as i32;
                self.f.op().i32_const(offset);
                self.f.op().i32_const(len as i32);
                self.f.op().memory_init(0, self.p.lasting_data);
            }
            _ => {
                let pages = self.c.below(3) as i32;
                self.f.op().i32_const(pages);
                self.f.op().memory_grow(0);
                self.f.op().i64_extend_i32_s();
                self.fold();
            }
        }
    }

    /// Completes table 0 and its segment.
    pub(super) fn finish_table(&mut self) {
        let functions = self.p.table_functions.clone();
        let table = &mut self.p.tables[FUNCTIONS as usize];
        table.min = functions.len() as u32 + 2;
        table.max = table.min + 4;
        self.p.elements[0].items = super::program::Items::Functions(functions);
        self.p.elements[0].active = Some((FUNCTIONS, 0));
    }
}
