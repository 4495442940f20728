//! Matching of heap types, reference types and value types (spec, "Matching"), over canonical types. Reads rows only:
//! no lock, constant time.

use super::{
    AbstractHeapType, HeapType, KIND_ARRAY, KIND_EXCEPTION, KIND_FUNC, KIND_HOST, KIND_STRUCT, TypeId,
    TypeRegistry, ValType,
};

impl TypeRegistry {
    /// Whether `sub` is `sup` or declares it as an ancestor (constant time). Free ids match nothing.
    pub fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        let rows = self.rows();
        rows.kind(sup.0) != 0 && rows.ancestor(sub.0, rows.depth(sup.0)) == sup.0
    }

    /// Full matching of value types (spec "Value Types" matching) over canonical types.
    pub fn matches(&self, sub: &ValType, sup: &ValType) -> bool {
        match (sub, sup) {
            (ValType::Ref(sub), ValType::Ref(sup)) => {
                (sup.nullable || !sub.nullable) && self.heap_matches(sub.heap, sup.heap)
            }
            _ => sub == sup,
        }
    }

    /// Full matching of heap types.
    pub fn heap_matches(&self, sub: HeapType, sup: HeapType) -> bool {
        match (sub, sup) {
            (HeapType::Abstract(sub), HeapType::Abstract(sup)) => abstract_matches(sub, sup),
            (HeapType::Concrete(sub), HeapType::Concrete(sup)) => self.is_subtype(sub, sup),
            (HeapType::Concrete(sub), HeapType::Abstract(sup)) => kind_matches(self.kind(sub), sup),
            (HeapType::Abstract(sub), HeapType::Concrete(sup)) => match self.kind(sup) {
                KIND_FUNC => sub == AbstractHeapType::NoFunc,
                KIND_STRUCT | KIND_ARRAY => sub == AbstractHeapType::None,
                KIND_EXCEPTION => sub == AbstractHeapType::NoExn,
                _ => false,
            },
            (HeapType::Rec(sub), HeapType::Rec(sup)) => sub == sup,
            (HeapType::Rec(_), _) | (_, HeapType::Rec(_)) => false,
        }
    }
}

/// Whether each concrete type of `kind` matches `sup`. Host boxes are values of `any` and `extern`, of nothing between.
fn kind_matches(kind: u32, sup: AbstractHeapType) -> bool {
    use AbstractHeapType::{Any, Array, Eq, Exn, Extern, Func, Struct};
    match kind {
        KIND_FUNC => sup == Func,
        KIND_STRUCT => matches!(sup, Struct | Eq | Any),
        KIND_ARRAY => matches!(sup, Array | Eq | Any),
        KIND_HOST => matches!(sup, Any | Extern),
        KIND_EXCEPTION => sup == Exn,
        _ => false,
    }
}

fn abstract_matches(sub: AbstractHeapType, sup: AbstractHeapType) -> bool {
    use AbstractHeapType::{Any, Array, Eq, Exn, Extern, Func, I31, NoExn, NoExtern, NoFunc, None, Struct};
    sub == sup
        || match sub {
            NoFunc => sup == Func,
            NoExtern => sup == Extern,
            NoExn => sup == Exn,
            None => matches!(sup, I31 | Struct | Array | Eq | Any),
            I31 | Struct | Array => matches!(sup, Eq | Any),
            Eq => sup == Any,
            Func | Extern | Exn | Any => false,
        }
}
