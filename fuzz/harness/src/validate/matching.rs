//! Which types are above, below and beside another one, by what a module declares. The mutations put one where another one stands,
//! so that matching (spec: Validation / Matching) alone decides.
//!
//! A rough answer is good enough: types that are equal and not the same declaration are not seen to match, and a module that declares
//! nonsense gives some.

use wasm_encoder::{
    AbstractHeapType, CompositeInnerType, FieldType, HeapType, RefType, StorageType, ValType,
};

use super::mutate::Mutator;
use super::spaces::Spaces;

/// Most declared supertypes that are followed (in an invalid module they may go round), and most types that are looked at.
const MOST: usize = 64;

/// Abstract heap types, each hierarchy from its top to its bottom.
const HIERARCHIES: [&[AbstractHeapType]; 4] = {
    use AbstractHeapType::{Any, Array, Eq, Exn, Extern, Func, I31, NoExn, NoExtern, NoFunc, None, Struct};
    [&[Any, Eq, I31, Struct, Array, None], &[Func, NoFunc], &[Extern, NoExtern], &[Exn, NoExn]]
};

fn of(ty: AbstractHeapType) -> HeapType {
    HeapType::Abstract { shared: false, ty }
}

impl Spaces {
    /// The supertypes of `ty`, itself first and the top of its hierarchy last; a bottom type has the top alone.
    fn above(&self, ty: HeapType) -> Vec<HeapType> {
        use AbstractHeapType as A;
        let mut all = vec![ty];
        let mut abstract_type = match ty {
            HeapType::Abstract { ty, .. } => ty,
            HeapType::Concrete(mut index) | HeapType::Exact(mut index) => {
                while all.len() < MOST
                    && let Some(&sup) =
                        self.declared.get(index as usize).and_then(|ty| ty.supertype_idxs.first())
                {
                    all.push(HeapType::Concrete(sup));
                    index = sup;
                }
                let kind = match self.declared.get(index as usize).map(|ty| &ty.composite_type.inner) {
                    Some(CompositeInnerType::Func(_)) => A::Func,
                    Some(CompositeInnerType::Array(_)) => A::Array,
                    Some(CompositeInnerType::Struct(_) | CompositeInnerType::Cont(_)) | None => A::Struct,
                };
                all.push(of(kind));
                kind
            }
        };
        loop {
            abstract_type = match abstract_type {
                A::Struct | A::Array | A::I31 => A::Eq,
                A::Eq | A::None => A::Any,
                A::NoFunc => A::Func,
                A::NoExtern => A::Extern,
                A::NoExn => A::Exn,
                A::Any | A::Func | A::Extern | A::Exn | A::Cont | A::NoCont => return all,
            };
            all.push(of(abstract_type));
        }
    }

    /// The types of the hierarchy of `ty`, its top first and its bottom last.
    fn hierarchy(&self, ty: HeapType) -> Vec<HeapType> {
        let top = self.above(ty).pop();
        let abstracts =
            HIERARCHIES.iter().find(|types| Some(of(types[0])) == top).copied().unwrap_or_default();
        let mut all: Vec<HeapType> = abstracts.iter().copied().map(of).collect();
        let bottom = all.pop();
        let declared = (0..self.types.min(MOST as u32)).map(HeapType::Concrete);
        all.extend(declared.filter(|ty| self.above(*ty).last() == top.as_ref()));
        all.extend(bottom);
        all
    }

    /// The subtypes of `ty`: itself and the bottom of its hierarchy among them.
    fn below(&self, ty: HeapType) -> Vec<HeapType> {
        let mut all = self.hierarchy(ty);
        let bottom = all.pop();
        all.retain(|other| self.above(*other).contains(&ty));
        all.extend(bottom);
        all
    }
}

impl Mutator<'_, '_, '_> {
    /// The type or one above it.
    pub(super) fn wider_ref(&mut self, ty: RefType) -> RefType {
        let heap_type = match self.choices.below(3) {
            0 => ty.heap_type,
            _ => self.one_of(&self.spaces.above(ty.heap_type)),
        };
        RefType { nullable: ty.nullable || self.choices.chance(1, 3), heap_type }
    }

    /// The type or one below it.
    pub(super) fn narrower_ref(&mut self, ty: RefType) -> RefType {
        let heap_type = match self.choices.below(3) {
            0 => ty.heap_type,
            _ => self.one_of(&self.spaces.below(ty.heap_type)),
        };
        RefType { nullable: ty.nullable && self.choices.chance(2, 3), heap_type }
    }

    /// The type or one above it.
    pub(super) fn wider(&mut self, ty: ValType) -> ValType {
        match ty {
            ValType::Ref(ty) => ValType::Ref(self.wider_ref(ty)),
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => ty,
        }
    }

    /// The type or one below it.
    pub(super) fn narrower(&mut self, ty: ValType) -> ValType {
        match ty {
            ValType::Ref(ty) => ValType::Ref(self.narrower_ref(ty)),
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => ty,
        }
    }

    /// Another heap type, of the same hierarchy as a rule.
    pub(super) fn near_heap_type(&mut self, ty: HeapType) -> HeapType {
        let near = match self.choices.below(8) {
            0..=2 => self.spaces.above(ty),
            3 | 4 => self.spaces.below(ty),
            5 | 6 => self.spaces.hierarchy(ty),
            _ => Vec::new(),
        };
        let near: Vec<HeapType> = near.into_iter().filter(|other| *other != ty).collect();
        if near.is_empty() { self.any_heap_type() } else { self.one_of(&near) }
    }

    /// Another reference type: the null or the heap type differs.
    pub(super) fn near_ref_type(&mut self, ty: RefType) -> RefType {
        match self.choices.below(4) {
            0 => RefType { nullable: !ty.nullable, ..ty },
            _ => RefType { heap_type: self.near_heap_type(ty.heap_type), ..ty },
        }
    }

    /// Another type, a reference for a reference as a rule.
    pub(super) fn near_value_type(&mut self, ty: ValType) -> ValType {
        match ty {
            ValType::Ref(ty) if self.choices.chance(7, 8) => ValType::Ref(self.near_ref_type(ty)),
            _ => self.any_value_type(),
        }
    }

    pub(super) fn narrower_storage(&mut self, field: &mut FieldType) {
        if let StorageType::Val(ty) = field.element_type {
            field.element_type = StorageType::Val(self.narrower(ty));
        }
    }

    /// Another storage type; packed for packed as a rule.
    pub(super) fn near_storage(&mut self, ty: StorageType) -> StorageType {
        match ty {
            StorageType::Val(ty) => StorageType::Val(self.near_value_type(ty)),
            StorageType::I8 if self.choices.chance(1, 2) => StorageType::I16,
            StorageType::I16 if self.choices.chance(1, 2) => StorageType::I8,
            StorageType::I8 | StorageType::I16 => self.any_field().element_type,
        }
    }

    /// One of a list that is not empty.
    fn one_of(&mut self, types: &[HeapType]) -> HeapType {
        self.choices.pick(types)
    }
}

#[cfg(test)]
mod tests {
    use AbstractHeapType as A;

    use super::*;

    fn spaces() -> Spaces {
        let text = "(module
          (type (sub (struct)))
          (type (sub 0 (struct (field i32))))
          (type (sub (array i8)))
          (type (sub (func)))
          (type (sub 3 (func))))";
        Spaces::of(&wat::parse_str(text).unwrap()).unwrap()
    }

    #[test]
    fn above_is_from_the_type_to_the_top() {
        let spaces = spaces();
        let concrete = HeapType::Concrete;
        assert_eq!(
            spaces.above(concrete(1)),
            [concrete(1), concrete(0), of(A::Struct), of(A::Eq), of(A::Any)]
        );
        assert_eq!(spaces.above(concrete(2)), [concrete(2), of(A::Array), of(A::Eq), of(A::Any)]);
        assert_eq!(spaces.above(concrete(4)), [concrete(4), concrete(3), of(A::Func)]);
        assert_eq!(spaces.above(of(A::NoExn)), [of(A::NoExn), of(A::Exn)]);
    }

    #[test]
    fn below_is_what_has_the_type_above_and_the_bottom() {
        let spaces = spaces();
        let concrete = HeapType::Concrete;
        assert_eq!(spaces.below(concrete(0)), [concrete(0), concrete(1), of(A::None)]);
        assert_eq!(spaces.below(of(A::Array)), [of(A::Array), concrete(2), of(A::None)]);
        assert_eq!(spaces.below(of(A::Func)), [of(A::Func), concrete(3), concrete(4), of(A::NoFunc)]);
        assert_eq!(spaces.below(of(A::None)), [of(A::None)]);
    }

    #[test]
    fn supertypes_that_go_round_end() {
        let mut spaces = spaces();
        spaces.declared[0].supertype_idxs = vec![1];
        assert!(spaces.above(HeapType::Concrete(1)).len() <= MOST + 3);
    }
}
