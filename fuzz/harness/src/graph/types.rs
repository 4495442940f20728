//! Type keys: a rec group's structure as a 128-bit digest, so that two executors that share no code name a type alike.
//!
//! A reference into the group itself counts by its position, any other by the key of what it refers to. So the digest
//! is equal exactly for iso-recursively equal groups (but for collisions of a 128-bit FNV-1a hash over an encoding
//! that no two different groups share).

use std::collections::HashMap;
use std::hash::Hash;

use super::TypeKey;

/// A heap type; `T` is the executor's name of a canonical type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum HeapShape<T> {
    Any,
    Eq,
    I31,
    Struct,
    Array,
    None,
    Func,
    NoFunc,
    Extern,
    NoExtern,
    Exn,
    NoExn,
    /// A defined type.
    Type(T),
}

/// What a field, an element, a parameter or a result holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum StorageShape<T> {
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
    V128,
    Ref { nullable: bool, heap: HeapShape<T> },
}

/// A field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldShape<T> {
    /// Whether it can be written.
    pub mutable: bool,
    /// What it holds.
    pub storage: StorageShape<T>,
}

/// A composite type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompositeShape<T> {
    /// Its fields.
    Struct(Vec<FieldShape<T>>),
    /// Its element.
    Array(FieldShape<T>),
    /// Parameters and results.
    Func(Vec<StorageShape<T>>, Vec<StorageShape<T>>),
}

/// A type of a rec group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubTypeShape<T> {
    /// Whether it can have no subtypes.
    pub is_final: bool,
    /// Its supertype.
    pub supertype: Option<T>,
    /// Its structure.
    pub composite: CompositeShape<T>,
}

/// An executor's types.
pub trait TypeView {
    /// Name of a canonical type: equal types have equal names.
    type Id: Copy + Eq + Hash;
    /// The types of the rec group of `id`, in order; contains `id`.
    fn group(&self, id: Self::Id) -> Vec<Self::Id>;
    /// The type's description.
    fn shape(&self, id: Self::Id) -> SubTypeShape<Self::Id>;
}

/// Keys that have been computed; valid as long as the executor's names are.
#[derive(Clone, Debug)]
pub struct TypeKeys<T> {
    known: HashMap<T, TypeKey>,
}

impl<T> Default for TypeKeys<T> {
    fn default() -> Self {
        TypeKeys { known: HashMap::new() }
    }
}

impl<T: Copy + Eq + Hash> TypeKeys<T> {
    /// The key of `id`. Groups refer only to earlier groups, so the explicit stack ends.
    pub fn key<V: TypeView<Id = T>>(&mut self, view: &V, id: T) -> TypeKey {
        let mut stack = vec![id];
        while let Some(&top) = stack.last() {
            if self.known.contains_key(&top) {
                stack.pop();
                continue;
            }
            let group = view.group(top);
            let places: HashMap<T, u32> = group.iter().copied().zip(0..).collect();
            let shapes: Vec<SubTypeShape<T>> = group.iter().map(|id| view.shape(*id)).collect();
            let waiting = stack.len();
            for shape in &shapes {
                each_type(shape, &mut |id| {
                    if !places.contains_key(&id) && !self.known.contains_key(&id) {
                        stack.push(id);
                    }
                });
            }
            if stack.len() > waiting {
                continue;
            }
            let digest = self.digest(&shapes, &places);
            for (id, index) in places {
                self.known.insert(id, TypeKey { group: digest, index });
            }
        }
        self.known.get(&id).copied().unwrap_or(TypeKey { group: 0, index: 0 })
    }

    fn digest(&self, shapes: &[SubTypeShape<T>], places: &HashMap<T, u32>) -> u128 {
        let mut hash = Digest::new();
        hash.number(shapes.len());
        for shape in shapes {
            hash.byte(u8::from(shape.is_final));
            match shape.supertype {
                None => hash.byte(0),
                Some(id) => {
                    hash.byte(1);
                    self.reference(&mut hash, id, places);
                }
            }
            match &shape.composite {
                CompositeShape::Struct(fields) => {
                    hash.byte(1);
                    hash.number(fields.len());
                    for field in fields {
                        self.field(&mut hash, field, places);
                    }
                }
                CompositeShape::Array(field) => {
                    hash.byte(2);
                    self.field(&mut hash, field, places);
                }
                CompositeShape::Func(params, results) => {
                    hash.byte(3);
                    for list in [params, results] {
                        hash.number(list.len());
                        for ty in list {
                            self.storage(&mut hash, ty, places);
                        }
                    }
                }
            }
        }
        hash.0
    }

    fn field(&self, hash: &mut Digest, field: &FieldShape<T>, places: &HashMap<T, u32>) {
        hash.byte(u8::from(field.mutable));
        self.storage(hash, &field.storage, places);
    }

    fn storage(&self, hash: &mut Digest, storage: &StorageShape<T>, places: &HashMap<T, u32>) {
        let number = match storage {
            StorageShape::I8 => 1,
            StorageShape::I16 => 2,
            StorageShape::I32 => 3,
            StorageShape::I64 => 4,
            StorageShape::F32 => 5,
            StorageShape::F64 => 6,
            StorageShape::V128 => 7,
            StorageShape::Ref { nullable, heap } => {
                hash.byte(if *nullable { 9 } else { 8 });
                match heap {
                    HeapShape::Any => 1,
                    HeapShape::Eq => 2,
                    HeapShape::I31 => 3,
                    HeapShape::Struct => 4,
                    HeapShape::Array => 5,
                    HeapShape::None => 6,
                    HeapShape::Func => 7,
                    HeapShape::NoFunc => 8,
                    HeapShape::Extern => 9,
                    HeapShape::NoExtern => 10,
                    HeapShape::Exn => 11,
                    HeapShape::NoExn => 12,
                    HeapShape::Type(id) => {
                        hash.byte(13);
                        self.reference(hash, *id, places);
                        return;
                    }
                }
            }
        };
        hash.byte(number);
    }

    fn reference(&self, hash: &mut Digest, id: T, places: &HashMap<T, u32>) {
        if let Some(place) = places.get(&id) {
            hash.byte(0);
            hash.number(*place as usize);
        } else {
            let key = self.known.get(&id).copied().unwrap_or(TypeKey { group: 0, index: 0 });
            hash.byte(1);
            hash.bytes(&key.group.to_le_bytes());
            hash.number(key.index as usize);
        }
    }
}

/// Calls `f` for each defined type that `shape` names.
fn each_type<T: Copy>(shape: &SubTypeShape<T>, f: &mut impl FnMut(T)) {
    let mut storage = |storage: &StorageShape<T>| {
        if let StorageShape::Ref { heap: HeapShape::Type(id), .. } = storage {
            f(*id);
        }
    };
    match &shape.composite {
        CompositeShape::Struct(fields) => fields.iter().for_each(|field| storage(&field.storage)),
        CompositeShape::Array(field) => storage(&field.storage),
        CompositeShape::Func(params, results) => params.iter().chain(results).for_each(storage),
    }
    if let Some(id) = shape.supertype {
        f(id);
    }
}

/// FNV-1a, 128 bits.
struct Digest(u128);

impl Digest {
    fn new() -> Self {
        Digest(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.byte(*byte);
        }
    }

    fn number(&mut self, n: usize) {
        self.bytes(&(n as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups of shapes; a name is (group, index).
    struct Toy(Vec<Vec<SubTypeShape<(usize, usize)>>>);

    impl TypeView for Toy {
        type Id = (usize, usize);
        fn group(&self, id: Self::Id) -> Vec<Self::Id> {
            (0..self.0[id.0].len()).map(|i| (id.0, i)).collect()
        }
        fn shape(&self, id: Self::Id) -> SubTypeShape<Self::Id> {
            self.0[id.0][id.1].clone()
        }
    }

    fn points_to(id: (usize, usize)) -> SubTypeShape<(usize, usize)> {
        SubTypeShape {
            is_final: true,
            supertype: None,
            composite: CompositeShape::Array(FieldShape {
                mutable: true,
                storage: StorageShape::Ref { nullable: true, heap: HeapShape::Type(id) },
            }),
        }
    }

    #[test]
    fn equal_groups_have_equal_keys_wherever_they_stand() {
        let a = Toy(vec![vec![points_to((0, 0))], vec![points_to((0, 0)), points_to((1, 0))]]);
        let b = Toy(vec![
            vec![points_to((0, 0)), points_to((0, 0))],
            vec![points_to((1, 0))],
            vec![points_to((1, 0)), points_to((2, 0))],
        ]);
        let (mut keys_a, mut keys_b) = (TypeKeys::default(), TypeKeys::default());
        assert_eq!(keys_a.key(&a, (1, 1)), keys_b.key(&b, (2, 1)));
        assert_eq!(keys_a.key(&a, (0, 0)), keys_b.key(&b, (1, 0)));
        assert_ne!(keys_a.key(&a, (0, 0)), keys_b.key(&b, (0, 0)));
        assert_ne!(keys_a.key(&a, (0, 0)).group, keys_a.key(&a, (1, 0)).group);
    }

    #[test]
    fn each_particular_changes_the_key() {
        let field = |mutable, storage| FieldShape { mutable, storage };
        let shape = |is_final, supertype, composite| SubTypeShape { is_final, supertype, composite };
        let null = |nullable, heap| StorageShape::Ref { nullable, heap };
        use CompositeShape as C;
        use HeapShape as H;
        use StorageShape as S;
        let mut shapes: Vec<SubTypeShape<(usize, usize)>> = vec![
            shape(true, None, C::Struct(vec![])),
            shape(false, None, C::Struct(vec![])),
            shape(true, Some((0, 0)), C::Struct(vec![])),
            shape(true, None, C::Func(vec![], vec![])),
            shape(true, None, C::Func(vec![S::I32], vec![])),
            shape(true, None, C::Func(vec![], vec![S::I32])),
        ];
        let heaps = [
            H::Any,
            H::Eq,
            H::I31,
            H::Struct,
            H::Array,
            H::None,
            H::Func,
            H::NoFunc,
            H::Extern,
            H::NoExtern,
            H::Exn,
            H::NoExn,
        ];
        let mut storages = vec![S::I8, S::I16, S::I32, S::I64, S::F32, S::F64, S::V128];
        for heap in heaps {
            storages.extend([null(true, heap), null(false, heap)]);
        }
        storages.extend([null(true, H::Type((0, 0))), null(true, H::Type((0, 1)))]);
        for storage in storages {
            for mutable in [false, true] {
                shapes.push(shape(true, None, C::Array(field(mutable, storage))));
                shapes.push(shape(true, None, C::Struct(vec![field(mutable, storage)])));
            }
        }
        let mut seen = HashMap::new();
        for shape in shapes {
            let base = shape_pair();
            let toy = Toy(vec![base, vec![shape.clone()]]);
            let key = TypeKeys::default().key(&toy, (1, 0));
            if let Some(other) = seen.insert(key, shape.clone()) {
                panic!("{other:?} and {shape:?} have one key");
            }
        }
    }

    fn shape_pair() -> Vec<SubTypeShape<(usize, usize)>> {
        vec![points_to((0, 1)), points_to((0, 0))]
    }

    #[test]
    fn a_long_chain_of_groups_needs_no_stack() {
        let n = 50_000;
        let toy = Toy((0..n).map(|i: usize| vec![points_to((i.saturating_sub(1), 0))]).collect());
        let key = TypeKeys::default().key(&toy, (n - 1, 0));
        assert_ne!(key.group, 0);
    }
}
