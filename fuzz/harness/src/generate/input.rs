//! An input of the typed generator as a list of sections, one for each stage of generation and one for each statement.
//!
//! A stage draws its choices from its own section and, when that is used up, from a fixed tail that depends on the
//! section's number alone; so a section can be changed, and leave what the others mean alone. What a statement means still
//! hangs on the types and on the locals that it finds.
//!
//! On disk: the four bytes of [`MAGIC`], then sections, each a byte for its kind, two for its length (little-endian) and
//! so many bytes. Every byte string is an input: a length that is too large takes what is there, the kind counts modulo
//! the number of kinds, sections of one kind beyond the first are added to it (statements stand one after another). What
//! does not begin with [`MAGIC`] is dealt out to the sections in rounds, so that a longer string has longer sections that
//! begin alike.

use std::collections::BTreeMap;

use super::choices::SplitMix64;

/// How an input begins that says what its sections are.
pub const MAGIC: [u8; 4] = *b"aso1";

/// Entry functions whose statements an input can hold.
pub const ENTRIES: usize = 3;

/// Statements of an entry function, at most.
pub const STATEMENTS: usize = 16;

/// Bytes of one section, at most.
pub const LONGEST: usize = u16::MAX as usize;

/// Bytes before a section's own.
const HEADER: usize = 3;

/// A stage of generation, or a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The type graph.
    Types,
    /// What exceptions hold; globals, tables and segments.
    Parts,
    /// Points where others go first, walkers, functions on lists.
    Points,
    /// Makers of graphs.
    Makers,
    /// Functions that are called by reference, and those that return fresh objects.
    Callees,
    /// What throws, and functions that end in tail calls.
    Throwers,
    /// The workloads.
    Workloads,
    /// Whether there are fibers, how many entry functions there are, who is called and with what.
    Script,
    /// The heap limit.
    Limits,
    /// Collections, modes and turns.
    Schedule,
    /// An entry function's signature, its beginning and its end.
    Entry(usize),
    /// A statement of an entry function.
    Statement(usize, usize),
}

impl Section {
    /// All but statements, in the order of their numbers.
    pub const FIXED: [Section; 10 + ENTRIES] = [
        Section::Types,
        Section::Parts,
        Section::Points,
        Section::Makers,
        Section::Callees,
        Section::Throwers,
        Section::Workloads,
        Section::Script,
        Section::Limits,
        Section::Schedule,
        Section::Entry(0),
        Section::Entry(1),
        Section::Entry(2),
    ];

    /// Bytes that it gets in each round of a string without sections.
    fn share(self) -> usize {
        match self {
            Section::Types | Section::Parts | Section::Points | Section::Makers | Section::Workloads => 6,
            Section::Callees | Section::Schedule => 4,
            Section::Throwers | Section::Script | Section::Entry(_) | Section::Statement(..) => 2,
            Section::Limits => 1,
        }
    }

    /// What its tail depends on.
    fn number(self) -> u64 {
        match self {
            Section::Statement(entry, at) => 1 << 32 | (entry as u64) << 16 | at as u64,
            Section::Entry(entry) => 1 << 16 | entry as u64,
            fixed => Section::FIXED.iter().position(|known| *known == fixed).unwrap_or(0) as u64,
        }
    }
}

/// The sections of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Those of [`Section::FIXED`].
    pub fixed: [Vec<u8>; Section::FIXED.len()],
    /// The statements of each entry function.
    pub entries: [Vec<Vec<u8>>; ENTRIES],
}

impl Input {
    /// The input that these bytes mean.
    pub fn decode(bytes: &[u8]) -> Input {
        let Some(mut rest) = bytes.strip_prefix(&MAGIC) else { return Input::dealt(bytes) };
        let mut input = Input::default();
        while let [kind, low, high, content @ ..] = rest {
            let length = usize::from(u16::from_le_bytes([*low, *high])).min(content.len());
            let (content, behind) = content.split_at(length);
            let kind = usize::from(*kind) % (Section::FIXED.len() + ENTRIES);
            match kind.checked_sub(Section::FIXED.len()) {
                None => {
                    let room = LONGEST - input.fixed[kind].len();
                    input.fixed[kind].extend(&content[..length.min(room)]);
                }
                Some(entry) if input.entries[entry].len() < STATEMENTS => {
                    input.entries[entry].push(content.to_vec());
                }
                Some(_) => {}
            }
            rest = behind;
        }
        input
    }

    /// The bytes that [`Self::decode`] makes the same input of, as far as its sections are not too long or too many.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let mut section = |kind: usize, content: &[u8]| {
            let content = &content[..content.len().min(LONGEST)];
            bytes.push(kind as u8);
            bytes.extend((content.len() as u16).to_le_bytes());
            bytes.extend(content);
        };
        for (kind, content) in self.fixed.iter().enumerate().filter(|(_, content)| !content.is_empty()) {
            section(kind, content);
        }
        for (entry, statements) in self.entries.iter().enumerate() {
            for statement in statements.iter().take(STATEMENTS) {
                section(Section::FIXED.len() + entry, statement);
            }
        }
        bytes
    }

    /// How long [`Self::encode`] is.
    pub fn encoded_len(&self) -> usize {
        let fixed = self.fixed.iter().filter(|content| !content.is_empty());
        let sections = fixed.chain(self.entries.iter().flatten());
        MAGIC.len() + sections.map(|content| HEADER + content.len()).sum::<usize>()
    }

    /// A section's bytes; none of a statement that is not there.
    pub fn section(&self, section: Section) -> &[u8] {
        match section {
            Section::Statement(entry, at) => self.entries.get(entry).and_then(|of| of.get(at)),
            fixed => Section::FIXED.iter().position(|known| *known == fixed).map(|at| &self.fixed[at]),
        }
        .map_or(&[], |content| content)
    }

    /// Deals bytes out in rounds.
    fn dealt(bytes: &[u8]) -> Input {
        let mut input = Input::default();
        if !bytes.is_empty() {
            input.entries = std::array::from_fn(|_| vec![Vec::new(); STATEMENTS]);
        }
        let mut rest = bytes;
        let mut deal = |section: Section, to: &mut Vec<u8>| {
            let (content, behind) = rest.split_at(section.share().min(rest.len()));
            to.extend(content);
            rest = behind;
            rest.is_empty()
        };
        loop {
            for (section, to) in Section::FIXED.into_iter().zip(&mut input.fixed) {
                if deal(section, to) {
                    return input;
                }
            }
            for (entry, statements) in input.entries.iter_mut().enumerate() {
                for (at, to) in statements.iter_mut().enumerate() {
                    if deal(Section::Statement(entry, at), to) {
                        return input;
                    }
                }
            }
        }
    }
}

/// A place in each section, while a case is made of the input.
pub(super) struct Cursors {
    input: Input,
    places: BTreeMap<Section, (usize, SplitMix64)>,
    current: Section,
}

impl Cursors {
    /// At the beginning of all sections, in the first.
    pub(super) fn new(input: &Input) -> Cursors {
        Cursors { input: input.clone(), places: BTreeMap::new(), current: Section::Types }
    }

    /// Goes on where this section was left.
    pub(super) fn enter(&mut self, section: Section) {
        self.current = section;
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> u8 {
        let section = self.current;
        let (at, tail) = self.places.entry(section).or_insert_with(|| (0, SplitMix64::new(section.number())));
        match self.input.section(section).get(*at) {
            Some(byte) => {
                *at += 1;
                *byte
            }
            None => (tail.next() >> 24) as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{objects, seed_bytes};

    #[test]
    fn every_string_is_an_input_that_can_be_written() {
        let bytes = seed_bytes(3);
        for length in (0..400).chain([bytes.len()]) {
            for prefix in [&[][..], &MAGIC] {
                let input = Input::decode(&[prefix, &bytes[..length]].concat());
                let written = input.encode();
                assert_eq!(written.len(), input.encoded_len());
                assert_eq!(Input::decode(&written), input);
            }
        }
        assert_eq!(Input::decode(&[]), Input::default());
        assert_eq!(Input::decode(&MAGIC), Input::default());
    }

    #[test]
    fn bytes_without_sections_are_all_dealt_out() {
        let bytes = seed_bytes(4);
        let input = Input::decode(&bytes);
        let sections = input.fixed.iter().chain(input.entries.iter().flatten());
        assert_eq!(sections.clone().map(Vec::len).sum::<usize>(), bytes.len());
        assert!(sections.clone().all(|section| section.len() >= 16));
        // A longer string goes on where a shorter one ends.
        let shorter = Input::decode(&bytes[..1000]);
        for (long, short) in sections.zip(shorter.fixed.iter().chain(shorter.entries.iter().flatten())) {
            assert!(long.starts_with(short));
        }
    }

    #[test]
    fn sections_of_any_length_and_kind_are_taken() {
        let long = vec![7; LONGEST + 10];
        let mut input = Input::default();
        input.fixed[0] = long.clone();
        input.entries[2] = vec![long; STATEMENTS + 2];
        let read = Input::decode(&input.encode());
        assert_eq!(read.section(Section::Types).len(), LONGEST);
        assert_eq!(read.entries[2].len(), STATEMENTS);
        let kinds = Section::FIXED.len() + ENTRIES;
        let other = [&MAGIC[..], &[kinds as u8, 1, 0, 5], &[0, 1, 0, 6], &[1, 200, 0, 9]].concat();
        let read = Input::decode(&other);
        assert_eq!((read.section(Section::Types), read.section(Section::Parts)), (&[5, 6][..], &[9][..]));
        assert_eq!(read.section(Section::Statement(7, 0)), b"");
    }

    #[test]
    fn tails_differ_and_places_are_kept() {
        let mut cursors = Cursors::new(&Input::default());
        let all = Section::FIXED.into_iter().chain((0..9).map(|at| Section::Statement(at % 3, at)));
        let mut tails = std::collections::HashSet::new();
        for section in all.clone() {
            cursors.enter(section);
            assert!(tails.insert((0..8).map(|_| cursors.byte()).collect::<Vec<u8>>()));
        }
        let mut input = Input::default();
        input.fixed[0] = vec![1, 2, 3];
        input.fixed[1] = vec![4, 5];
        let mut cursors = Cursors::new(&input);
        let mut read = |section| {
            cursors.enter(section);
            cursors.byte()
        };
        let [a, b, c, d] = [Section::Types, Section::Parts, Section::Types, Section::Parts].map(&mut read);
        assert_eq!([a, b, c, d], [1, 4, 2, 5]);
    }

    /// The schedule and the script hang on nothing that is chosen elsewhere but signatures.
    #[test]
    fn another_schedule_leaves_the_module_alone() {
        for seed in 0..20 {
            let input = Input::decode(&seed_bytes(seed));
            let case = objects::of(&input, &objects::Options::default());
            if case.schedule.gc_heap_max.is_some() {
                continue;
            }
            let mut other = input.clone();
            other.fixed[9] = seed_bytes(seed + 100);
            let changed = objects::of(&other, &objects::Options::default());
            assert_eq!(case.steps, changed.steps);
        }
    }
}
