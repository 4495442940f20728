//! Which instructions a run has executed, and between which others.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::ops::Range;

use serde::{Deserialize, Serialize};
use wasmparser::{Operator, Parser, Payload};

/// Contexts of one instruction that are kept; more are not counted.
pub const MAX_CONTEXTS: usize = 64;

/// Contexts of one instruction that one run tells.
const MAX_CONTEXTS_OF_RUN: usize = 8;

macro_rules! define_instructions {
    ($($variant:ident $name:literal,)*) => {
        /// The instructions that count: those on references, objects, tables and exceptions, and the tail calls, by their names
        /// in the text format.
        pub const INSTRUCTIONS: &[&str] = &[$($name),*];

        /// Place in [`INSTRUCTIONS`]. A cast to a nullable type counts as another instruction.
        fn place(operator: &Operator<'_>) -> Option<u16> {
            #[derive(Clone, Copy)]
            enum Place { $($variant),* }
            match operator {
                $(Operator::$variant { .. } => Some(Place::$variant as u16),)*
                // The others are not of these families.
                _ => None,
            }
        }
    };
}

define_instructions! {
    RefNull "ref.null",
    RefIsNull "ref.is_null",
    RefFunc "ref.func",
    RefEq "ref.eq",
    RefAsNonNull "ref.as_non_null",
    BrOnNull "br_on_null",
    BrOnNonNull "br_on_non_null",
    TypedSelect "select (result)",
    StructNew "struct.new",
    StructNewDefault "struct.new_default",
    StructGet "struct.get",
    StructGetS "struct.get_s",
    StructGetU "struct.get_u",
    StructSet "struct.set",
    ArrayNew "array.new",
    ArrayNewDefault "array.new_default",
    ArrayNewFixed "array.new_fixed",
    ArrayNewData "array.new_data",
    ArrayNewElem "array.new_elem",
    ArrayGet "array.get",
    ArrayGetS "array.get_s",
    ArrayGetU "array.get_u",
    ArraySet "array.set",
    ArrayLen "array.len",
    ArrayFill "array.fill",
    ArrayCopy "array.copy",
    ArrayInitData "array.init_data",
    ArrayInitElem "array.init_elem",
    RefTestNonNull "ref.test",
    RefTestNullable "ref.test null",
    RefCastNonNull "ref.cast",
    RefCastNullable "ref.cast null",
    BrOnCast "br_on_cast",
    BrOnCastFail "br_on_cast_fail",
    AnyConvertExtern "any.convert_extern",
    ExternConvertAny "extern.convert_any",
    RefI31 "ref.i31",
    I31GetS "i31.get_s",
    I31GetU "i31.get_u",
    TableGet "table.get",
    TableSet "table.set",
    TableSize "table.size",
    TableGrow "table.grow",
    TableFill "table.fill",
    TableCopy "table.copy",
    TableInit "table.init",
    ElemDrop "elem.drop",
    Throw "throw",
    ThrowRef "throw_ref",
    TryTable "try_table",
    CallIndirect "call_indirect",
    CallRef "call_ref",
    ReturnCall "return_call",
    ReturnCallIndirect "return_call_indirect",
    ReturnCallRef "return_call_ref",
}

/// Instructions of the families that were executed, by their place in [`INSTRUCTIONS`], each with its contexts: what
/// stands before and after it, as a hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed(BTreeMap<u16, BTreeSet<u32>>);

impl Executed {
    /// Adds what stands in these ranges of a valid module.
    pub fn see(&mut self, module: &[u8], mut ranges: impl Iterator<Item = Range<u64>>) {
        let Some(mut range) = ranges.next() else { return };
        for payload in Parser::new(0).parse_all(module) {
            let Ok(Payload::CodeSectionEntry(body)) = payload else { continue };
            if body.range().end <= range.start {
                continue;
            }
            let Ok(operators) = body.get_operators_reader() else { return };
            // Discriminants of the two before.
            let mut before: (Option<Seen>, Option<Seen>) = (None, None);
            for entry in operators.into_iter_with_offsets() {
                let Ok((operator, at)) = entry else { return };
                while at >= range.end {
                    match ranges.next() {
                        Some(next) => range = next,
                        None => return self.add(before, Some(hash(&std::mem::discriminant(&operator)))),
                    }
                }
                let seen = Seen {
                    place: place(&operator).filter(|_| range.contains(&at)),
                    kind: hash(&std::mem::discriminant(&operator)),
                };
                self.add(before, Some(seen.kind));
                before = (before.1, Some(seen));
            }
            self.add(before, None);
        }
    }

    fn add(&mut self, (first, of): (Option<Seen>, Option<Seen>), next: Option<u32>) {
        let Some(Seen { place: Some(place), .. }) = of else { return };
        let contexts = self.0.entry(place).or_default();
        if contexts.len() < MAX_CONTEXTS_OF_RUN {
            contexts.insert(hash(&(first.map(|seen| seen.kind), next)));
        }
    }

    /// Every instruction, in one context.
    #[cfg(test)]
    pub(crate) fn all() -> Executed {
        Executed((0..INSTRUCTIONS.len() as u16).map(|place| (place, BTreeSet::from([0]))).collect())
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Executed) {
        for (&place, contexts) in &other.0 {
            let known = self.0.entry(place).or_default();
            for &context in contexts {
                if known.len() < MAX_CONTEXTS {
                    known.insert(context);
                }
            }
        }
    }

    /// Number of different contexts of each of [`INSTRUCTIONS`], 0 for one that was not executed, at most [`MAX_CONTEXTS`].
    pub fn contexts(&self) -> impl Iterator<Item = (&'static str, usize)> + '_ {
        let of = |place: usize| self.0.get(&u16::try_from(place).ok()?).map(BTreeSet::len);
        INSTRUCTIONS.iter().enumerate().map(move |(place, &name)| (name, of(place).unwrap_or(0)))
    }
}

#[derive(Clone, Copy)]
struct Seen {
    /// In the table, if it was executed.
    place: Option<u16>,
    kind: u32,
}

/// A hash that is the same in each process of one build.
pub(crate) fn hash(value: &impl Hash) -> u32 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }

        fn write(&mut self, bytes: &[u8]) {
            for &byte in bytes {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    value.hash(&mut hasher);
    (hasher.finish() ^ hasher.finish() >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ranges of the module's operators of these numbers, counted over all bodies.
    fn ranges(module: &[u8], of: Range<usize>) -> Range<u64> {
        let mut offsets = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                let operators = body.get_operators_reader().unwrap().into_iter_with_offsets();
                offsets.extend(operators.map(|entry| entry.unwrap().1));
            }
        }
        offsets[of.start]..offsets[of.end]
    }

    fn named(executed: &Executed) -> Vec<(&'static str, usize)> {
        executed.contexts().filter(|(_, n)| *n > 0).collect()
    }

    #[test]
    fn what_lies_in_the_ranges_counts_by_its_neighbours() {
        let module = wat::parse_str(
            "(module (func (param i32) (result i32)
                (ref.eq (ref.i31 (local.get 0)) (ref.i31 (i32.const 0)))
                (drop (ref.null none)) (drop (i31.get_u (ref.i31 (i32.const 1)))))
              (func (drop (ref.func 0))) (elem declare func 0))",
        )
        .unwrap();
        let mut executed = Executed::default();
        executed.see(&module, std::iter::empty());
        assert!(named(&executed).is_empty());
        // Up to the first drop, which follows ref.null.
        executed.see(&module, std::iter::once(ranges(&module, 0..6)));
        assert_eq!(named(&executed), [("ref.null", 1), ("ref.eq", 1), ("ref.i31", 2)]);
        let before = executed.clone();
        executed.see(&module, std::iter::once(ranges(&module, 0..6)));
        assert_eq!(executed, before);
        let two = [ranges(&module, 4..5), ranges(&module, 7..13)];
        executed.see(&module, two.into_iter());
        assert_eq!(
            named(&executed),
            [("ref.null", 1), ("ref.func", 1), ("ref.eq", 1), ("ref.i31", 3), ("i31.get_u", 1)]
        );
        let mut all = Executed::default();
        all.merge(&executed);
        all.merge(&before);
        assert_eq!(all, executed);
    }
}
