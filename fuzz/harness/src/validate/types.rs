//! Types for the mutations: any ones, ones near another, and limits.

use wasm_encoder::{
    AbstractHeapType, CompositeInnerType, FieldType, FuncType, HeapType, RefType, StorageType, SubType,
    ValType,
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

    /// Changes a field, a parameter, a result, or their number.
    pub(super) fn vary(&mut self, ty: &mut SubType) {
        let new = self.any_field();
        match &mut ty.composite_type.inner {
            CompositeInnerType::Struct(ty) => {
                let mut fields = std::mem::take(&mut ty.fields).into_vec();
                if fields.is_empty() || self.choices.chance(1, 3) {
                    fields.push(new);
                } else if self.choices.chance(1, 4) {
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
        match (self.choices.below(3), field.element_type) {
            (0, _) => field.mutable = !field.mutable,
            (_, StorageType::Val(ty)) => field.element_type = StorageType::Val(self.near_value_type(ty)),
            (_, StorageType::I8 | StorageType::I16) => *field = self.any_field(),
        }
    }

    /// As a rule a reference type where one is given, with the same null or the same heap type.
    fn near_value_type(&mut self, ty: ValType) -> ValType {
        match (ty, self.choices.below(3)) {
            (ValType::Ref(ty), 0) => ValType::Ref(RefType { nullable: !ty.nullable, ..ty }),
            (ValType::Ref(ty), 1) => ValType::Ref(RefType { heap_type: self.any_heap_type(), ..ty }),
            _ => self.any_value_type(),
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
