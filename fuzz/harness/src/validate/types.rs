//! Types for the mutations: any ones, ones near another, and limits.

use wasm_encoder::{
    AbstractHeapType, ArrayType, CompositeInnerType, CompositeType, FieldType, FuncType, HeapType, RefType,
    StorageType, StructType, SubType, ValType,
};

use super::mutate::Mutator;

impl Mutator<'_, '_, '_> {
    pub(super) fn any_heap_type(&mut self) -> HeapType {
        use AbstractHeapType as A;
        if self.spaces.types > 0 && self.choices.chance(1, 2) {
            return HeapType::Concrete(self.index(self.spaces.types));
        }
        let ty = self.choices.pick(&[
            A::Func,
            A::Extern,
            A::Any,
            A::None,
            A::NoExtern,
            A::NoFunc,
            A::Eq,
            A::Struct,
            A::Array,
            A::I31,
            A::Exn,
            A::NoExn,
        ]);
        HeapType::Abstract { shared: false, ty }
    }

    pub(super) fn any_ref_type(&mut self) -> RefType {
        RefType { nullable: self.choices.chance(1, 2), heap_type: self.any_heap_type() }
    }

    pub(super) fn any_value_type(&mut self) -> ValType {
        match self.choices.below(8) {
            0 => ValType::I32,
            1 => ValType::I64,
            2 => ValType::F32,
            3 => ValType::F64,
            4 => ValType::V128,
            _ => ValType::Ref(self.any_ref_type()),
        }
    }

    pub(super) fn any_field(&mut self) -> FieldType {
        let element_type = match self.choices.below(4) {
            0 => StorageType::I8,
            1 => StorageType::I16,
            _ => StorageType::Val(self.any_value_type()),
        };
        FieldType { element_type, mutable: self.choices.chance(1, 2) }
    }

    /// A subtype of one of these types or of a new one, behind them, right but for one thing at most; the new types, the
    /// subtype last.
    pub(super) fn subtype(&mut self, all: &[SubType]) -> Vec<SubType> {
        let open: Vec<usize> = (0..all.len()).filter(|&index| !all[index].is_final).collect();
        let (index, mut new) = match self.choices.below(8) {
            0 if !all.is_empty() => (self.choices.below(all.len()), Vec::new()),
            1..=3 if !open.is_empty() => (self.choices.pick(&open), Vec::new()),
            _ => (all.len(), vec![self.open_type()]),
        };
        let mut ty = new.first().unwrap_or_else(|| &all[index]).clone();
        ty.supertype_idxs = vec![index as u32];
        ty.is_final = self.choices.chance(1, 2);
        self.specialize(&mut ty);
        if self.choices.chance(3, 4) {
            self.vary(&mut ty);
        }
        new.push(ty);
        new
    }

    /// A type that is not final, with a few fields, parameters or results.
    fn open_type(&mut self) -> SubType {
        let values = |m: &mut Self| (0..m.choices.below(3)).map(|_| m.any_value_type()).collect::<Vec<_>>();
        let inner = match self.choices.below(4) {
            0 => CompositeInnerType::Array(ArrayType(self.any_field())),
            1 => {
                let (params, results) = (values(self), values(self));
                CompositeInnerType::Func(FuncType::new(params, results))
            }
            _ => {
                let fields: Vec<FieldType> = (0..=self.choices.below(3)).map(|_| self.any_field()).collect();
                CompositeInnerType::Struct(StructType { fields: fields.into() })
            }
        };
        let composite_type = CompositeType { inner, shared: false, descriptor: None, describes: None };
        SubType { is_final: false, supertype_idxs: Vec::new(), composite_type }
    }

    /// Makes of a type one that matches it: constant fields and results become narrower, parameters wider, fields come behind.
    fn specialize(&mut self, ty: &mut SubType) {
        match &mut ty.composite_type.inner {
            CompositeInnerType::Struct(ty) => {
                let mut fields = std::mem::take(&mut ty.fields).into_vec();
                for field in fields.iter_mut().filter(|field| !field.mutable) {
                    self.narrower_storage(field);
                }
                if self.choices.chance(1, 3) {
                    fields.push(self.any_field());
                }
                ty.fields = fields.into();
            }
            CompositeInnerType::Array(ArrayType(field)) => {
                if !field.mutable {
                    self.narrower_storage(field);
                }
            }
            CompositeInnerType::Func(ty) => {
                let params: Vec<ValType> = ty.params().iter().map(|ty| self.wider(*ty)).collect();
                let results: Vec<ValType> = ty.results().iter().map(|ty| self.narrower(*ty)).collect();
                *ty = FuncType::new(params, results);
            }
            CompositeInnerType::Cont(_) => {}
        }
    }

    /// Changes a field, a parameter, a result, their number, or the kind of type.
    fn vary(&mut self, ty: &mut SubType) {
        if self.choices.chance(1, 16) {
            ty.composite_type.inner = self.open_type().composite_type.inner;
            return;
        }
        let new = self.any_field();
        match &mut ty.composite_type.inner {
            CompositeInnerType::Struct(ty) => {
                let mut fields = std::mem::take(&mut ty.fields).into_vec();
                if fields.is_empty() || self.choices.chance(1, 8) {
                    self.edit(&mut fields, new);
                } else {
                    let at = self.choices.below(fields.len());
                    self.vary_field(&mut fields[at]);
                }
                ty.fields = fields.into();
            }
            CompositeInnerType::Array(ty) => self.vary_field(&mut ty.0),
            CompositeInnerType::Func(ty) => {
                let (mut params, mut results) = (ty.params().to_vec(), ty.results().to_vec());
                let list = if self.choices.chance(1, 2) { &mut params } else { &mut results };
                match list.len() {
                    0 => list.push(self.any_value_type()),
                    _ if self.choices.chance(1, 6) => {
                        let new = self.any_value_type();
                        self.edit(list, new);
                    }
                    len => {
                        let at = self.choices.below(len);
                        list[at] = self.near_value_type(list[at]);
                    }
                }
                *ty = FuncType::new(params, results);
            }
            CompositeInnerType::Cont(_) => {}
        }
    }

    fn vary_field(&mut self, field: &mut FieldType) {
        match self.choices.below(3) {
            0 => field.mutable = !field.mutable,
            1 => self.narrower_storage(field),
            _ => field.element_type = self.near_storage(field.element_type),
        }
    }

    pub(super) fn limits(&mut self, minimum: &mut u64, maximum: &mut Option<u64>, wide: &mut bool) {
        match self.choices.below(6) {
            0 => *wide = !*wide,
            1 => *maximum = None,
            2 => *maximum = Some(minimum.saturating_sub(1)),
            3 => {
                let edges =
                    [0, 1, 0xffff, 0x1_0000, 0x1_0001, u64::from(u32::MAX), 1 << 32, 1 << 48, (1 << 48) + 1];
                *minimum = self.choices.pick(&edges);
            }
            4 => {
                let edges =
                    [0x1_0000, 0x1_0001, u64::from(u32::MAX), 1 << 32, 1 << 48, (1 << 48) + 1, u64::MAX];
                *maximum = Some(self.choices.pick(&edges));
            }
            _ => *maximum = Some(*minimum),
        }
    }
}
