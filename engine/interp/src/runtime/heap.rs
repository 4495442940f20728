//! The arena of heap objects (spec: Runtime Structure / Structure, Array and Exception instances).
//!
//! Sizes are counted by a documented formula, independent of how Rust lays objects out: a struct is 8 bytes plus its fields
//! (references 4, packed ones 1 or 2), an array 12 bytes plus its elements, an exception 12 bytes plus its payload, each
//! field aligned to its size or to 8, all rounded up to 8.
//! Invariant: a payload has the form that its type prescribes; freed places are chained in a list.

use super::types::{CanonicalType, ElementKind};
use crate::error::{Error, Resource, Result};
use crate::syntax::types::TypeId;

/// Content of an object; struct fields one slot each (vectors two, the low half first), i32 and f32 zero-extended, packed ones masked.
#[derive(Debug)]
pub(crate) enum Payload {
    Struct(Box<[u64]>),
    Bits8(Box<[u8]>),
    Bits16(Box<[u16]>),
    Bits32(Box<[u32]>),
    Bits64(Box<[u64]>),
    Bits128(Box<[u128]>),
    Refs(Box<[u64]>),
    /// An exception instance: address of its tag, and slots of the payload. The object's type is the tag's.
    Exception {
        tag: u32,
        fields: Box<[u64]>,
    },
    /// Next free place.
    Free(Option<u32>),
}

#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) ty: TypeId,
    pub(crate) marked: bool,
    /// Found by a survey as reachable from frames only, and not read since.
    pub(crate) surveyed: bool,
    pub(crate) payload: Payload,
}

/// Counters of the heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeapStats {
    pub(crate) allocations: u64,
    pub(crate) bytes: u64,
    pub(crate) peak_bytes: u64,
    pub(crate) objects: u64,
    pub(crate) survey_found: u64,
    pub(crate) survey_read: u64,
}

pub(crate) struct Heap {
    objects: Vec<Object>,
    free: Option<u32>,
    limit: u64,
    pub(crate) stats: HeapStats,
}

/// Bytes of an array by the size formula; a length is an i32, larger ones come from invalid code only.
pub(crate) fn array_size(element: ElementKind, len: u64) -> u64 {
    (12 + len.min(u32::MAX.into()) * element.size()).next_multiple_of(8)
}

impl Payload {
    /// Number of a struct's slots or an array's elements.
    pub(crate) fn len(&self) -> usize {
        match self {
            Payload::Struct(fields) | Payload::Exception { fields, .. } => fields.len(),
            Payload::Bits8(items) => items.len(),
            Payload::Bits16(items) => items.len(),
            Payload::Bits32(items) => items.len(),
            Payload::Bits64(items) | Payload::Refs(items) => items.len(),
            Payload::Bits128(items) => items.len(),
            Payload::Free(_) => 0,
        }
    }

    /// An array of equal elements.
    pub(crate) fn array(element: ElementKind, len: usize, value: u128) -> Payload {
        match element {
            ElementKind::Bits8 => Payload::Bits8(vec![value as u8; len].into()),
            ElementKind::Bits16 => Payload::Bits16(vec![value as u16; len].into()),
            ElementKind::Bits32 => Payload::Bits32(vec![value as u32; len].into()),
            ElementKind::Bits64 => Payload::Bits64(vec![value as u64; len].into()),
            ElementKind::Bits128 => Payload::Bits128(vec![value; len].into()),
            ElementKind::Ref => Payload::Refs(vec![value as u64; len].into()),
        }
    }

    /// A slot or an element that is no vector; `None` beyond the end.
    pub(crate) fn get(&self, index: usize) -> Option<u64> {
        match self {
            Payload::Struct(items) | Payload::Bits64(items) | Payload::Refs(items) => {
                items.get(index).copied()
            }
            Payload::Bits8(items) => items.get(index).map(|&item| u64::from(item)),
            Payload::Bits16(items) => items.get(index).map(|&item| u64::from(item)),
            Payload::Bits32(items) => items.get(index).map(|&item| u64::from(item)),
            Payload::Exception { fields, .. } => fields.get(index).copied(),
            Payload::Bits128(_) | Payload::Free(_) => None,
        }
    }

    /// A vector: of two slots of a struct, or an element; `None` beyond the end.
    pub(crate) fn get_wide(&self, index: usize) -> Option<u128> {
        match self {
            Payload::Struct(slots) => {
                let &[low, high] = slots.get(index..)?.first_chunk()?;
                Some(u128::from(high) << 64 | u128::from(low))
            }
            Payload::Bits128(items) => items.get(index).copied(),
            _ => None,
        }
    }

    /// Stores a vector; `None` beyond the end.
    pub(crate) fn set_wide(&mut self, index: usize, value: u128) -> Option<()> {
        match self {
            Payload::Struct(slots) => {
                *slots.get_mut(index..)?.first_chunk_mut()? = [value as u64, (value >> 64) as u64];
            }
            Payload::Bits128(items) => *items.get_mut(index)? = value,
            _ => return None,
        }
        Some(())
    }

    /// Stores a slot or an element that is no vector, truncated to its width; `None` beyond the end.
    pub(crate) fn set(&mut self, index: usize, value: u64) -> Option<()> {
        match self {
            Payload::Struct(items) | Payload::Bits64(items) | Payload::Refs(items) => {
                *items.get_mut(index)? = value;
            }
            Payload::Bits8(items) => *items.get_mut(index)? = value as u8,
            Payload::Bits16(items) => *items.get_mut(index)? = value as u16,
            Payload::Bits32(items) => *items.get_mut(index)? = value as u32,
            Payload::Bits128(_) | Payload::Exception { .. } | Payload::Free(_) => return None,
        }
        Some(())
    }

    pub(crate) fn fill(&mut self, range: std::ops::Range<usize>, value: u128) -> Option<()> {
        match self {
            Payload::Bits8(items) => items.get_mut(range)?.fill(value as u8),
            Payload::Bits16(items) => items.get_mut(range)?.fill(value as u16),
            Payload::Bits32(items) => items.get_mut(range)?.fill(value as u32),
            Payload::Bits64(items) | Payload::Refs(items) => items.get_mut(range)?.fill(value as u64),
            Payload::Bits128(items) => items.get_mut(range)?.fill(value),
            Payload::Struct(_) | Payload::Exception { .. } | Payload::Free(_) => return None,
        }
        Some(())
    }

    /// Copies within one array.
    pub(crate) fn copy_within(&mut self, range: std::ops::Range<usize>, to: usize) -> Option<()> {
        if range.end > self.len() || to.checked_add(range.len())? > self.len() {
            return None;
        }
        match self {
            Payload::Bits8(items) => items.copy_within(range, to),
            Payload::Bits16(items) => items.copy_within(range, to),
            Payload::Bits32(items) => items.copy_within(range, to),
            Payload::Bits64(items) | Payload::Refs(items) => items.copy_within(range, to),
            Payload::Bits128(items) => items.copy_within(range, to),
            Payload::Struct(_) | Payload::Exception { .. } | Payload::Free(_) => return None,
        }
        Some(())
    }
}

impl Heap {
    pub(crate) fn new(limit: u64) -> Heap {
        Heap { objects: Vec::new(), free: None, limit, stats: HeapStats::default() }
    }

    /// Whether `bytes` more fit under the limit.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<()> {
        if bytes > self.limit.saturating_sub(self.stats.bytes) {
            return Err(Error::exhausted(Resource::GcHeap));
        }
        Ok(())
    }

    /// Adds an object of `bytes` by the size formula; gives its index.
    pub(crate) fn allocate(&mut self, ty: TypeId, bytes: u64, payload: Payload) -> Result<u32> {
        self.reserve(bytes)?;
        self.stats.allocations += 1;
        self.stats.objects += 1;
        self.stats.bytes += bytes;
        self.stats.peak_bytes = self.stats.peak_bytes.max(self.stats.bytes);
        let object = Object { ty, marked: false, surveyed: false, payload };
        if let Some(index) = self.free {
            let place = &mut self.objects[index as usize];
            if let Payload::Free(next) = place.payload {
                self.free = next;
            }
            *place = object;
            return Ok(index);
        }
        let index = u32::try_from(self.objects.len()).map_err(|_| Error::exhausted(Resource::GcHeap))?;
        self.objects.push(object);
        Ok(index)
    }

    /// The live object at an index.
    pub(crate) fn get(&self, index: u32) -> Option<&Object> {
        self.objects.get(index as usize).filter(|object| !matches!(object.payload, Payload::Free(_)))
    }

    /// Indices of all live objects.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..)
            .zip(&self.objects)
            .filter(|(_, object)| !matches!(object.payload, Payload::Free(_)))
            .map(|(index, _)| index)
    }

    /// Tag and payload of the exception at an index.
    pub(crate) fn exception(&self, index: u32) -> Option<(u32, &[u64])> {
        match &self.objects.get(index as usize)?.payload {
            Payload::Exception { tag, fields } => Some((*tag, fields)),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Object> {
        self.objects.get_mut(index as usize).filter(|object| !matches!(object.payload, Payload::Free(_)))
    }

    /// The object, for a read by the program: counts it if a survey had found it.
    pub(crate) fn read(&mut self, index: u32) -> Option<&Object> {
        let object = self.objects.get_mut(index as usize)?;
        if object.surveyed {
            object.surveyed = false;
            self.stats.survey_read += 1;
        }
        Some(object)
    }

    /// Two objects at once: one to write, another to read.
    pub(crate) fn pair(&mut self, write: u32, read: u32) -> Option<(&mut Object, &Object)> {
        let (write, read) = (write as usize, read as usize);
        if write < read {
            let (low, high) = self.objects.split_at_mut_checked(read)?;
            Some((low.get_mut(write)?, high.first()?))
        } else {
            let (low, high) = self.objects.split_at_mut_checked(write)?;
            Some((high.first_mut()?, low.get(read)?))
        }
    }

    /// Frees every object that is not marked and clears the marks.
    pub(crate) fn sweep(&mut self, size: impl Fn(&Object) -> u64) {
        for index in 0..self.objects.len() {
            let object = &mut self.objects[index];
            if object.marked {
                object.marked = false;
            } else if !matches!(object.payload, Payload::Free(_)) {
                self.stats.objects -= 1;
                self.stats.bytes = self.stats.bytes.saturating_sub(size(object));
                object.surveyed = false;
                object.payload = Payload::Free(self.free);
                self.free = Some(index as u32);
            }
        }
    }
}

/// Bytes of an object by the size formula.
pub(crate) fn object_size(ty: &CanonicalType, payload: &Payload) -> u64 {
    match ty.element {
        Some(element) => array_size(element, payload.len() as u64),
        None => ty.struct_size,
    }
}
