//! References, i31, structs, arrays and external references (spec: Validation / Reference Instructions, Aggregate Reference
//! Instructions).

use super::Rule;
use super::context::Context;
use super::expression::{Expression, Operand, non_null, nullable};
use super::types::{is_defaultable, is_numeric_or_vector};
use crate::error::Result;
use crate::runtime::types::Hierarchy;
use crate::syntax::instructions::Extension;
use crate::syntax::types::{FieldType, HeapType, RefType, StorageType, TypeId, ValType};

const I32: ValType = ValType::I32;

impl Expression<'_> {
    pub(super) fn ref_null(&mut self, heap: HeapType) -> Result<()> {
        let heap = self.context.heap_type(heap, self.at)?;
        self.push(nullable(heap));
        Ok(())
    }

    /// Spec: in a body, only functions that occur outside of bodies; elsewhere the occurrence itself makes it such a one.
    pub(super) fn ref_func(&mut self, func: u32) -> Result<()> {
        let id = self.context.func(func, self.at)?;
        if self.constant.is_some() {
            self.name_func(func);
        } else if !self.context.is_declared(func) {
            return Err(self.error(Rule::RefFunc, "undeclared function reference"));
        }
        self.push(Context::non_null(id));
        Ok(())
    }

    pub(super) fn ref_is_null(&mut self) -> Result<()> {
        self.rule = Rule::RefIsNull;
        self.pop_ref()?;
        self.push(I32);
        Ok(())
    }

    pub(super) fn ref_as_non_null(&mut self) -> Result<()> {
        self.rule = Rule::RefAsNonNull;
        let reference = self.pop_ref()?;
        self.push_operand(reference.non_null().unwrap_or(Operand::BottomRef));
        Ok(())
    }

    /// The operand of a test or cast: any type of the target's hierarchy will do.
    fn cast_operand(&mut self, rule: Rule, target: RefType) -> Result<RefType> {
        self.rule = rule;
        let target = self.context.ref_type(target, self.at)?;
        let top = match self.context.types.hierarchy(target.heap) {
            Hierarchy::Any => HeapType::Any,
            Hierarchy::Func => HeapType::Func,
            Hierarchy::Extern => HeapType::Extern,
            Hierarchy::Exn => HeapType::Exn,
        };
        self.pop_type(nullable(top))?;
        Ok(target)
    }

    pub(super) fn ref_test(&mut self, target: RefType) -> Result<()> {
        self.cast_operand(Rule::RefTest, target)?;
        self.push(I32);
        Ok(())
    }

    pub(super) fn ref_cast(&mut self, target: RefType) -> Result<()> {
        let target = self.cast_operand(Rule::RefCast, target)?;
        self.push(ValType::Ref(target));
        Ok(())
    }

    /// The conversions between internal and external references keep nullability.
    pub(super) fn convert(&mut self, rule: Rule, from: HeapType, to: HeapType) -> Result<()> {
        self.rule = rule;
        let operand = self.pop_match(nullable(from))?;
        self.push(if operand.is_nullable() { nullable(to) } else { non_null(to) });
        Ok(())
    }

    // Structs.

    pub(super) fn struct_new(&mut self, ty: u32) -> Result<()> {
        self.rule = Rule::StructNew;
        let (id, fields) = self.context.struct_type(ty, self.at)?;
        for field in fields.iter().rev() {
            if self.only_bottom_left() {
                break;
            }
            self.pop_type(field.storage.unpack())?;
        }
        self.push(Context::non_null(id));
        Ok(())
    }

    pub(super) fn struct_new_default(&mut self, ty: u32) -> Result<()> {
        let (id, _) = self.context.struct_type(ty, self.at)?;
        if self.context.defaultable.get(ty as usize) != Some(&true) {
            let message = "type mismatch: field type is not defaultable";
            return Err(self.error(Rule::StructNewDefault, message));
        }
        self.push(Context::non_null(id));
        Ok(())
    }

    fn field(&self, ty: u32, field: u32) -> Result<(TypeId, FieldType)> {
        let (id, fields) = self.context.struct_type(ty, self.at)?;
        match fields.get(field as usize) {
            Some(&found) => Ok((id, found)),
            None => Err(self.error(Rule::UnknownField, format!("unknown field {field}"))),
        }
    }

    /// Packed storage is read with a sign extension or zero extension, and only packed storage.
    fn check_extension(&self, storage: StorageType, extension: Extension, rule: Rule) -> Result<()> {
        let packed = matches!(storage, StorageType::I8 | StorageType::I16);
        if packed == (extension != Extension::None) {
            return Ok(());
        }
        let message = if packed { "field is packed" } else { "field is unpacked" };
        Err(self.error(rule, format!("type mismatch: {message}")))
    }

    fn check_mutable(&self, field: FieldType, rule: Rule, message: &'static str) -> Result<()> {
        if field.mutable { Ok(()) } else { Err(self.error(rule, message)) }
    }

    pub(super) fn struct_get(&mut self, ty: u32, field: u32, extension: Extension) -> Result<()> {
        let (id, field) = self.field(ty, field)?;
        self.check_extension(field.storage, extension, Rule::StructGetSign)?;
        self.apply(Rule::StructGet, &[Context::nullable(id)], &[field.storage.unpack()])
    }

    pub(super) fn struct_set(&mut self, ty: u32, field: u32) -> Result<()> {
        let (id, field) = self.field(ty, field)?;
        self.check_mutable(field, Rule::StructSetMutable, "immutable field")?;
        self.apply(Rule::StructSet, &[Context::nullable(id), field.storage.unpack()], &[])
    }

    // Arrays.

    pub(super) fn array_new(&mut self, ty: u32) -> Result<()> {
        let (id, element) = self.context.array_type(ty, self.at)?;
        self.apply(Rule::ArrayNew, &[element.storage.unpack(), I32], &[Context::non_null(id)])
    }

    pub(super) fn array_new_default(&mut self, ty: u32) -> Result<()> {
        let (id, element) = self.context.array_type(ty, self.at)?;
        if !is_defaultable(element.storage.unpack()) {
            let message = "type mismatch: array type is not defaultable";
            return Err(self.error(Rule::ArrayNewDefaultType, message));
        }
        self.apply(Rule::ArrayNewDefault, &[I32], &[Context::non_null(id)])
    }

    pub(super) fn array_new_fixed(&mut self, ty: u32, len: u32) -> Result<()> {
        self.rule = Rule::ArrayNewFixed;
        let (id, element) = self.context.array_type(ty, self.at)?;
        self.pop_repeated(element.storage.unpack(), len)?;
        self.push(Context::non_null(id));
        Ok(())
    }

    /// The premise of `array.new_data` and `array.init_data`: elements made of bytes, and a segment of them.
    fn check_data(&self, element: FieldType, data: u32, rule: Rule) -> Result<()> {
        if !is_numeric_or_vector(element.storage) {
            return Err(self.error(rule, "array type is not numeric or vector"));
        }
        self.context.data(data, self.at)
    }

    /// The premise of `array.new_elem` and `array.init_elem`: a segment whose references match the elements.
    fn check_elem(&self, element: FieldType, elem: u32, rule: Rule) -> Result<()> {
        let items = StorageType::Val(ValType::Ref(self.context.elem(elem, self.at)?));
        if self.context.types.storage_matches(items, element.storage) {
            return Ok(());
        }
        Err(self.error(rule, "type mismatch: element segment does not match the array's element type"))
    }

    pub(super) fn array_new_data(&mut self, ty: u32, data: u32) -> Result<()> {
        let (id, element) = self.context.array_type(ty, self.at)?;
        self.check_data(element, data, Rule::ArrayNewDataType)?;
        self.apply(Rule::ArrayNewData, &[I32, I32], &[Context::non_null(id)])
    }

    pub(super) fn array_new_elem(&mut self, ty: u32, elem: u32) -> Result<()> {
        let (id, element) = self.context.array_type(ty, self.at)?;
        self.check_elem(element, elem, Rule::ArrayNewElemType)?;
        self.apply(Rule::ArrayNewElem, &[I32, I32], &[Context::non_null(id)])
    }

    pub(super) fn array_get(&mut self, ty: u32, extension: Extension) -> Result<()> {
        let (id, element) = self.context.array_type(ty, self.at)?;
        self.check_extension(element.storage, extension, Rule::ArrayGetSign)?;
        self.apply(Rule::ArrayGet, &[Context::nullable(id), I32], &[element.storage.unpack()])
    }

    pub(super) fn array_set(&mut self, ty: u32) -> Result<()> {
        let (id, element) = self.context.array_type(ty, self.at)?;
        self.check_mutable(element, Rule::ArraySetMutable, "immutable array")?;
        self.apply(Rule::ArraySet, &[Context::nullable(id), I32, element.storage.unpack()], &[])
    }

    pub(super) fn array_fill(&mut self, ty: u32) -> Result<()> {
        let (id, element) = self.context.array_type(ty, self.at)?;
        self.check_mutable(element, Rule::ArrayFillMutable, "immutable array")?;
        self.apply(Rule::ArrayFill, &[Context::nullable(id), I32, element.storage.unpack(), I32], &[])
    }

    pub(super) fn array_copy(&mut self, dst: u32, src: u32) -> Result<()> {
        let (dst, to) = self.context.array_type(dst, self.at)?;
        let (src, from) = self.context.array_type(src, self.at)?;
        self.check_mutable(to, Rule::ArrayCopyMutable, "immutable array")?;
        if !self.context.types.storage_matches(from.storage, to.storage) {
            return Err(self.error(Rule::ArrayCopyType, "array types do not match"));
        }
        let operands = [Context::nullable(dst), I32, Context::nullable(src), I32, I32];
        self.apply(Rule::ArrayCopy, &operands, &[])
    }

    pub(super) fn array_init_data(&mut self, ty: u32, data: u32) -> Result<()> {
        let (id, element) = self.context.array_type(ty, self.at)?;
        self.check_mutable(element, Rule::ArrayInitDataMutable, "immutable array")?;
        self.check_data(element, data, Rule::ArrayInitDataType)?;
        self.apply(Rule::ArrayInitData, &[Context::nullable(id), I32, I32, I32], &[])
    }

    pub(super) fn array_init_elem(&mut self, ty: u32, elem: u32) -> Result<()> {
        let (id, element) = self.context.array_type(ty, self.at)?;
        self.check_mutable(element, Rule::ArrayInitElemMutable, "immutable array")?;
        self.check_elem(element, elem, Rule::ArrayInitElemType)?;
        self.apply(Rule::ArrayInitElem, &[Context::nullable(id), I32, I32, I32], &[])
    }
}
