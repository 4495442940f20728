//! Types (spec: Binary Format / Types).

use super::reader::Reader;
use crate::error::{Error, Result};
use crate::syntax::types::{
    AddrType, CompositeType, FieldType, FuncType, GlobalType, HeapType, Limits, MemoryType, RecGroup,
    RefType, StorageType, SubType, TableType, TypeIndex, ValType,
};

fn abstract_heap_type(byte: u8) -> Option<HeapType> {
    Some(match byte {
        0x74 => HeapType::NoExn,
        0x73 => HeapType::NoFunc,
        0x72 => HeapType::NoExtern,
        0x71 => HeapType::None,
        0x70 => HeapType::Func,
        0x6F => HeapType::Extern,
        0x6E => HeapType::Any,
        0x6D => HeapType::Eq,
        0x6C => HeapType::I31,
        0x6B => HeapType::Struct,
        0x6A => HeapType::Array,
        0x69 => HeapType::Exn,
        _ => return None,
    })
}

/// Spec: heap types.
pub(crate) fn heap_type(r: &mut Reader<'_>) -> Result<HeapType> {
    if let Some(heap) = r.peek().and_then(abstract_heap_type) {
        r.byte()?;
        return Ok(heap);
    }
    let start = r.position();
    match u32::try_from(r.s33()?) {
        Ok(index) => Ok(HeapType::Index(TypeIndex(index))),
        Err(_) => Err(Error::malformed(start, "malformed heap type")),
    }
}

/// Spec: reference types.
pub(crate) fn ref_type(r: &mut Reader<'_>) -> Result<RefType> {
    let start = r.position();
    match r.byte()? {
        0x63 => Ok(RefType::nullable(heap_type(r)?)),
        0x64 => Ok(RefType::non_null(heap_type(r)?)),
        byte => match abstract_heap_type(byte) {
            Some(heap) => Ok(RefType::nullable(heap)),
            None => Err(Error::malformed(start, "malformed reference type")),
        },
    }
}

/// Whether a byte opens a value type.
pub(crate) fn opens_val_type(byte: u8) -> bool {
    matches!(byte, 0x7B..=0x7F | 0x63 | 0x64) || abstract_heap_type(byte).is_some()
}

/// Spec: value types.
pub(crate) fn val_type(r: &mut Reader<'_>) -> Result<ValType> {
    let start = r.position();
    let number = match r.peek() {
        Some(0x7F) => ValType::I32,
        Some(0x7E) => ValType::I64,
        Some(0x7D) => ValType::F32,
        Some(0x7C) => ValType::F64,
        Some(0x7B) => ValType::V128,
        Some(byte) if opens_val_type(byte) => return Ok(ValType::Ref(ref_type(r)?)),
        Some(_) => return Err(Error::malformed(start, "malformed value type")),
        None => return Err(r.error("unexpected end")),
    };
    r.byte()?;
    Ok(number)
}

fn mutable(r: &mut Reader<'_>) -> Result<bool> {
    let start = r.position();
    match r.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::malformed(start, "malformed mutability")),
    }
}

fn field_type(r: &mut Reader<'_>) -> Result<FieldType> {
    let storage = match r.peek() {
        Some(0x78) => {
            r.byte()?;
            StorageType::I8
        }
        Some(0x77) => {
            r.byte()?;
            StorageType::I16
        }
        _ => StorageType::Val(val_type(r)?),
    };
    Ok(FieldType { storage, mutable: mutable(r)? })
}

fn vector<T>(r: &mut Reader<'_>, item: fn(&mut Reader<'_>) -> Result<T>) -> Result<Vec<T>> {
    let count = r.count()?;
    let mut items = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        items.push(item(r)?);
    }
    Ok(items)
}

/// Spec: composite types.
fn composite_type(r: &mut Reader<'_>) -> Result<CompositeType> {
    let start = r.position();
    match r.byte()? {
        0x60 => {
            Ok(CompositeType::Func(FuncType { params: vector(r, val_type)?, results: vector(r, val_type)? }))
        }
        0x5F => Ok(CompositeType::Struct(vector(r, field_type)?)),
        0x5E => Ok(CompositeType::Array(field_type(r)?)),
        _ => Err(Error::malformed(start, "malformed composite type: integer representation too long")),
    }
}

/// Spec: sub types. The grammar allows any number of supertypes, validation at most one: the first is kept, and
/// `several_supers` remembers where there were more.
fn sub_type(r: &mut Reader<'_>, several_supers: &mut Option<usize>) -> Result<SubType> {
    let is_final = match r.peek() {
        Some(0x50) => false,
        Some(0x4F) => true,
        _ => return Ok(SubType { is_final: true, supertype: None, composite: composite_type(r)? }),
    };
    r.byte()?;
    let start = r.position();
    let supers = vector(r, |r| r.u32())?;
    if supers.len() > 1 {
        several_supers.get_or_insert(start);
    }
    let supertype = supers.first().map(|&index| HeapType::Index(TypeIndex(index)));
    Ok(SubType { is_final, supertype, composite: composite_type(r)? })
}

/// Spec: recursive types. Also gives the place of a list of several supertypes, if there is one.
pub(crate) fn rec_group(r: &mut Reader<'_>) -> Result<(RecGroup, Option<usize>)> {
    let mut several_supers = None;
    let mut types = Vec::new();
    if r.peek() == Some(0x4E) {
        r.byte()?;
        let count = r.count()?;
        types.reserve(count.min(1024));
        for _ in 0..count {
            types.push(sub_type(r, &mut several_supers)?);
        }
    } else {
        types.push(sub_type(r, &mut several_supers)?);
    }
    Ok((RecGroup { types }, several_supers))
}

fn limits(r: &mut Reader<'_>) -> Result<(AddrType, Limits)> {
    let start = r.position();
    let flags = r.byte()?;
    let (addr, has_max) = match flags {
        0x00 => (AddrType::I32, false),
        0x01 => (AddrType::I32, true),
        0x04 => (AddrType::I64, false),
        0x05 => (AddrType::I64, true),
        _ => return Err(Error::malformed(start, "malformed limits flags")),
    };
    let min = r.u64()?;
    let max = if has_max { Some(r.u64()?) } else { None };
    Ok((addr, Limits { min, max }))
}

/// Spec: memory types.
pub(crate) fn memory_type(r: &mut Reader<'_>) -> Result<MemoryType> {
    let (addr, limits) = limits(r)?;
    Ok(MemoryType { addr, limits })
}

/// Spec: table types.
pub(crate) fn table_type(r: &mut Reader<'_>) -> Result<TableType> {
    let element = ref_type(r)?;
    let (addr, limits) = limits(r)?;
    Ok(TableType { addr, limits, element })
}

/// Spec: global types.
pub(crate) fn global_type(r: &mut Reader<'_>) -> Result<GlobalType> {
    let value = val_type(r)?;
    Ok(GlobalType { mutable: mutable(r)?, value })
}

/// Spec: tag types.
pub(crate) fn tag_type(r: &mut Reader<'_>) -> Result<TypeIndex> {
    let start = r.position();
    if r.byte()? != 0 {
        return Err(Error::malformed(start, "malformed tag attribute"));
    }
    Ok(TypeIndex(r.u32()?))
}
