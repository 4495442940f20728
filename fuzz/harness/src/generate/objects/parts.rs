//! Globals, tables and segments, with constant expressions that allocate.

use wasm_encoder::{
    AbstractHeapType as Abstract, HeapType, Ieee32, Ieee64, InstructionSink, RefType, StorageType, ValType,
};

use super::Generator;
use super::program::{Constant, Data, Element, Global, Items, STIR, Table};
use super::types::{ANYREF, EXNREF, EXTERNREF, FUNCREF, Top, heap, nullable};

impl Generator<'_, '_> {
    /// Fills the index spaces beside functions. Table 0 is completed when all functions are known.
    pub(super) fn parts(&mut self) {
        // Tables come first, since their initial values cannot name globals.
        self.p.tables.push(Table { ty: FUNCREF, min: 0, max: 0, init: None });
        self.table(ANYREF);
        if self.c.chance(1, 2) {
            let ty = self.global_type();
            self.table(ty);
        }

        for _ in 0..=STIR {
            self.global(ValType::I32, true, false);
        }
        let node = nullable(HeapType::Concrete(self.p.types.node));
        self.global(ValType::Ref(ANYREF), true, true);
        self.global(ValType::Ref(node), true, true);
        if self.c.chance(1, 2) {
            self.global(ValType::Ref(EXTERNREF), true, true);
        }
        for _ in 0..self.c.below(3) {
            let ty = self.global_type();
            let mutable = self.c.chance(2, 3);
            let exported = mutable || self.c.chance(1, 2);
            self.global(ValType::Ref(ty), mutable, exported);
        }
        for (one_in, ty) in [(3, ValType::F64), (4, ValType::V128), (3, ValType::Ref(EXNREF))] {
            let permitted = match ty {
                ValType::V128 => self.c.within.simd,
                ValType::Ref(_) => self.c.within.exceptions,
                _ => true,
            };
            if self.c.chance(1, one_in) && permitted {
                self.global(ty, true, true);
            }
        }

        (self.p.common_globals, self.p.common_tables) = (self.p.globals.len(), self.p.tables.len());

        let bytes = |g: &mut Self| -> Vec<u8> {
            let len = g.c.range(16, 40);
            (0..len).map(|_| if g.c.chance(1, 4) { 0x80 } else { g.c.byte() }).collect()
        };
        self.p.lasting_data = 0;
        self.p.droppable_data = 1;
        for active in [None, None, Some(8)] {
            let bytes = bytes(self);
            self.p.data.push(Data { active, bytes });
        }

        // Segment 0 belongs to table 0.
        self.p.elements.push(Element { active: None, items: Items::Functions(Vec::new()) });
        for (ty, lasting) in [(ANYREF, true), (node, true), (ANYREF, false)] {
            let items = (0..self.c.range(1, 4)).map(|_| self.constant(ty, 2)).collect();
            let index = self.p.elements.len() as u32;
            self.p.elements.push(Element { active: None, items: Items::Expressions(ty, items) });
            if lasting {
                self.p.lasting_elements.push(index);
            } else {
                self.p.droppable_element = index;
            }
        }
        if self.c.chance(1, 2) {
            let table = 1;
            let items = (0..self.c.range(1, 3)).map(|_| self.constant(ANYREF, 2)).collect();
            let offset = self.c.below(2) as u32;
            self.p
                .elements
                .push(Element { active: Some((table, offset)), items: Items::Expressions(ANYREF, items) });
        }
    }

    fn global_type(&mut self) -> RefType {
        let ty = match self.c.below(5) {
            0 => heap(Abstract::Eq),
            1 => HeapType::Concrete(self.c.pick(&self.p.types.arrays)),
            2 => heap(Abstract::I31),
            _ => HeapType::Concrete(self.c.pick(&self.p.types.structs)),
        };
        RefType { nullable: self.c.chance(3, 4), heap_type: ty }
    }

    fn global(&mut self, ty: ValType, mutable: bool, exported: bool) {
        let init = match ty {
            ValType::Ref(ty) => self.constant(ty, 2),
            ty => {
                let mut code = Vec::new();
                self.constant_number(ty, &mut code);
                code
            }
        };
        let init = if exported || ty != ValType::I32 { init } else { vec![0x41, 0] };
        self.p.globals.push(Global { ty, mutable, init, exported });
    }

    fn table(&mut self, ty: RefType) {
        let min = self.c.range(4, 10) as u32;
        let max = min + self.c.range(2, 12) as u32;
        let init = (!ty.nullable || self.c.chance(1, 2)).then(|| self.constant(ty, 2));
        self.p.tables.push(Table { ty, min, max, init });
    }

    /// A constant expression of reference type.
    pub(super) fn constant(&mut self, want: RefType, depth: usize) -> Constant {
        let mut code = Vec::new();
        self.constant_reference(want, depth, &mut code);
        code
    }

    fn constant_reference(&mut self, want: RefType, depth: usize, code: &mut Vec<u8>) {
        let earlier: Vec<u32> = (0..self.p.globals.len())
            .filter(|index| {
                let global = &self.p.globals[*index];
                !global.mutable && matches!(global.ty, ValType::Ref(ty) if self.p.types.ref_subtype(ty, want))
            })
            .map(|index| index as u32)
            .collect();
        if !earlier.is_empty() && self.c.chance(1, 2) {
            InstructionSink::new(code).global_get(self.c.pick(&earlier));
            return;
        }
        let top = self.p.types.top(want.heap_type);
        let is_bottom = want.heap_type == heap(Abstract::None) || want.heap_type == heap(Abstract::NoExtern);
        if want.nullable
            && (depth == 0 || is_bottom || matches!(top, Top::Func | Top::Exn) || self.c.chance(1, 6))
        {
            InstructionSink::new(code).ref_null(want.heap_type);
            return;
        }
        let below = depth.saturating_sub(1);
        match want.heap_type {
            HeapType::Concrete(ty) => self.constant_object(ty, below, code),
            HeapType::Abstract { ty: Abstract::Extern, .. }
                if want.nullable && !self.c.within.constant_conversions =>
            {
                InstructionSink::new(code).ref_null(want.heap_type);
            }
            HeapType::Abstract { ty: Abstract::Extern, .. } => {
                self.constant_reference(RefType { nullable: want.nullable, ..ANYREF }, below, code);
                InstructionSink::new(code).extern_convert_any();
            }
            HeapType::Abstract { ty: Abstract::Struct, .. } => {
                self.constant_object(self.p.types.node, below, code);
            }
            HeapType::Abstract { ty: Abstract::Array, .. } => {
                self.constant_object(self.p.types.any_array, below, code);
            }
            HeapType::Abstract { ty: Abstract::Any | Abstract::Eq, .. }
                if depth > 0 && self.c.chance(2, 3) =>
            {
                let known: Vec<u32> =
                    self.p.types.structs.iter().chain(&self.p.types.arrays).copied().collect();
                let ty = self.c.pick(&known);
                self.constant_object(ty, below, code);
            }
            _ => {
                let value = self.c.i31();
                InstructionSink::new(code).i32_const(value).ref_i31();
            }
        }
    }

    fn constant_object(&mut self, ty: u32, depth: usize, code: &mut Vec<u8>) {
        let alias = self.p.types.alias(&mut self.c, ty);
        if self.p.types.is_struct(ty) {
            let fields = self.p.types.fields(ty).to_vec();
            if fields.iter().all(|field| field.element_type.is_defaultable()) && self.c.chance(1, 5) {
                InstructionSink::new(code).struct_new_default(alias);
                return;
            }
            for field in fields {
                self.constant_value(field.element_type, depth, code);
            }
            InstructionSink::new(code).struct_new(alias);
            return;
        }
        let element = self.p.types.element(ty).element_type;
        let len = self.c.below(4);
        match self.c.below(3) {
            0 => {
                self.constant_value(element, depth, code);
                InstructionSink::new(code).i32_const(len as i32).array_new(alias);
            }
            1 if element.is_defaultable() => {
                InstructionSink::new(code).i32_const(len as i32).array_new_default(alias);
            }
            _ => {
                for _ in 0..len {
                    self.constant_value(element, depth, code);
                }
                InstructionSink::new(code).array_new_fixed(alias, len as u32);
            }
        }
    }

    fn constant_value(&mut self, storage: StorageType, depth: usize, code: &mut Vec<u8>) {
        match storage.unpack() {
            ValType::Ref(ty) => self.constant_reference(ty, depth, code),
            ty => self.constant_number(ty, code),
        }
    }

    fn constant_number(&mut self, ty: ValType, code: &mut Vec<u8>) {
        let mut sink = InstructionSink::new(code);
        match ty {
            ValType::I32 if self.c.chance(1, 6) => {
                sink.i32_const(self.c.i32()).i32_const(self.c.i32()).i32_mul()
            }
            ValType::I32 => sink.i32_const(self.c.i32()),
            ValType::I64 => sink.i64_const(self.c.i64()),
            ValType::F32 => sink.f32_const(Ieee32::new(self.c.f32())),
            ValType::V128 => sink.v128_const(self.c.v128()),
            ValType::F64 | ValType::Ref(_) => sink.f64_const(Ieee64::new(self.c.f64())),
        };
    }
}
