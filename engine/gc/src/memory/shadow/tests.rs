//! The tables of [`shadow`](super), case by case.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::header::POISON_WORD;
use crate::layout::{ArrayLayout, StructLayout};
use crate::memory::{ExtentId, GRANULE, Memory, NULL_PAGE, View};

/// An object of 16 bytes (a reference, then data) and an array of two references in the first extent; room for one
/// object in the second.
struct Fixture {
    memory: Memory,
    from: ExtentId,
    to: ExtentId,
}

const AT: u32 = NULL_PAGE as u32;
const ARRAY: u32 = AT + 16;
const BEHIND: u32 = ARRAY + 24;
const TO: u32 = AT + GRANULE as u32;

impl Fixture {
    fn new() -> Fixture {
        let mut memory = Memory::reserve(4 * GRANULE).unwrap();
        let from = memory.extent(u64::from(AT), u64::from(TO)).unwrap();
        let to = memory.extent(u64::from(TO), u64::from(TO) + GRANULE).unwrap();
        memory.commit(from, u64::from(TO)).unwrap();
        memory.commit(to, u64::from(TO) + GRANULE).unwrap();
        memory.set_checked(true);
        let object = StructLayout::new([Slot::Ref, Slot::I32].into_iter()).unwrap();
        memory.view(from).claimed(AT..BEHIND + 16);
        memory.view(to).claimed(TO..TO + 16);
        memory.made(AT, 16, &Layout::Struct(object), 0);
        memory.made(ARRAY, 24, &Layout::Array(ArrayLayout::new(Slot::Ref)), 2);
        memory.view(from).for_runtime().fill(AT, 40, 0).unwrap();
        Fixture { memory, from, to }
    }

    fn view(&self) -> View<'_> {
        self.memory.view(self.from)
    }

    fn runtime(&self) -> View<'_> {
        self.view().for_runtime()
    }

    fn evacuate(&self) {
        self.memory.view(self.to).copy(TO, &self.view(), AT, 16).unwrap();
    }

    /// A cell of 24 bytes in free space.
    fn cell(&self) -> u32 {
        self.view().carved_cell(AT + 1024);
        AT + 1024
    }
}

type Case = (&'static str, fn(&Fixture));

const LEGAL: &[Case] = &[
    ("a collector reads a header", |f| assert_eq!(f.view().read_u32(AT), Some(0))),
    ("a collector writes its word", |f| f.view().write_u32(AT + 4, 7).unwrap()),
    ("a collector reads and writes a reference", |f| {
        f.view().write_u32(AT + 8, f.view().read_u32(AT + 8).unwrap()).unwrap();
    }),
    ("a collector reads a length", |f| assert_eq!(f.view().read_u32(ARRAY + 8), Some(0))),
    ("a collector forwards what it has copied", |f| {
        f.evacuate();
        f.view().write_u32(AT, 1 << 31).unwrap();
        f.view().write_u32(AT + 4, TO).unwrap();
        f.memory.view(f.to).write_u32(TO + 8, TO).unwrap();
    }),
    ("a collector slides an object over its predecessor", |f| {
        f.view().copy(AT, &f.view(), ARRAY, 24).unwrap();
        assert_eq!(f.view().read_u32(AT + 16), Some(0));
        f.view().freed(AT + 24..BEHIND, true);
    }),
    ("a collector links free cells", |f| f.view().write_u32(f.cell() + 4, 0).unwrap()),
    ("the mutator takes a cell", |f| {
        let at = f.cell();
        f.view().write_u32(at + 4, 0).unwrap();
        f.view().listed_cell(at, 24);
        assert_eq!(f.runtime().read_u32(at + 4), Some(0));
        f.memory.made(at, 16, &Layout::Host, 0);
    }),
    ("the runtime writes data", |f| f.runtime().write_bytes(AT + 13, &[1, 2]).unwrap()),
    ("the runtime copies elements", |f| f.runtime().copy(ARRAY + 12, &f.runtime(), ARRAY + 16, 4).unwrap()),
    ("nobody accesses what is outside", |f| assert_eq!(f.view().read_u32(TO), None)),
    ("space goes round", |f| {
        for poison in [true, false, true] {
            f.view().freed(AT..BEHIND, poison);
            f.view().claimed(AT..BEHIND);
            f.memory.made(AT, 40, &Layout::Host, 0);
        }
    }),
    ("pages that are given back hold no poison", |f| {
        f.view().freed(AT..BEHIND + 16, true);
        f.view().claimed(AT..BEHIND);
        f.view().withdrawn(AT..BEHIND);
        f.memory.shadow.change(AT..TO, Event::Discarded);
        f.view().claimed(AT..BEHIND);
    }),
    ("damage, with checks off", |f| {
        f.memory.set_checked(false);
        f.view().write_u32(AT + 12, 1).unwrap();
        f.view().claimed(AT..BEHIND);
    }),
];

const ILLEGAL: &[Case] = &[
    ("a collector reads data", |f| _ = f.view().read_u32(AT + 12)),
    ("a collector writes data", |f| _ = f.view().write_u32(AT + 12, 0)),
    ("a collector writes a type", |f| _ = f.view().write_u32(AT, 0)),
    ("a collector writes a length", |f| _ = f.view().write_u32(ARRAY + 8, 0)),
    ("a collector reads behind the last element", |f| _ = f.view().read_u32(ARRAY + 20)),
    ("a collector reads half a word", |f| _ = f.view().read_bytes(AT, &mut [0; 2])),
    ("a collector reads between words", |f| _ = f.view().read_u32(AT + 2)),
    ("a collector fills an object", |f| _ = f.view().fill(AT, 16, 0)),
    ("a collector reads open space", |f| _ = f.view().read_u32(BEHIND)),
    ("a collector reads unclaimed space", |f| _ = f.view().read_u32(AT + 4096)),
    ("a collector reads a fresh object", |f| {
        f.memory.made(BEHIND, 16, &Layout::Host, 0);
        f.view().read_u32(BEHIND);
    }),
    ("a collector reads what is freed", |f| {
        f.view().freed(AT..ARRAY, false);
        f.view().read_u32(AT);
    }),
    ("a collector reads a slot of what has moved", |f| {
        f.evacuate();
        f.view().read_u32(AT + 8);
    }),
    ("a collector copies an object twice", |f| {
        f.evacuate();
        f.memory.view(f.to).freed(TO..TO + 16, false);
        f.memory.view(f.to).claimed(TO..TO + 16);
        f.evacuate();
    }),
    ("a collector copies half an object", |f| _ = f.memory.view(f.to).copy(TO, &f.view(), AT, 8)),
    ("a collector copies two objects", |f| {
        f.memory.view(f.to).claimed(TO..TO + 40);
        f.memory.view(f.to).copy(TO, &f.view(), AT, 40);
    }),
    ("a collector copies into unclaimed space", |f| {
        f.memory.view(f.to).copy(TO + 16, &f.view(), AT, 16);
    }),
    ("a collector copies over an object", |f| {
        f.evacuate();
        f.memory.view(f.to).copy(TO, &f.view(), ARRAY, 24);
    }),
    ("a collector slides what it has slid over", |f| {
        f.view().copy(AT, &f.view(), ARRAY, 24).unwrap();
        f.memory.view(f.to).copy(TO, &f.view(), ARRAY, 16);
    }),
    ("the runtime reads what is freed", |f| {
        f.view().freed(AT..ARRAY, false);
        f.runtime().read_u32(AT + 12);
    }),
    ("the runtime reads what has moved", |f| {
        f.evacuate();
        f.runtime().read_bytes(AT + 13, &mut [0]);
    }),
    ("the runtime reads a fresh object", |f| {
        f.memory.made(BEHIND, 16, &Layout::Host, 0);
        f.runtime().read_u32(BEHIND + 8);
    }),
    ("the runtime writes behind an object", |f| _ = f.runtime().fill(AT, 48, 0)),
    ("the runtime reads a free cell", |f| _ = f.runtime().read_u32(f.cell() + 4)),
    ("an object is made over another", |f| f.memory.made(AT, 16, &Layout::Host, 0)),
    ("an object is made in unclaimed space", |f| f.memory.made(AT + 4096, 16, &Layout::Host, 0)),
    ("an object is made in a cell of no list", |f| f.memory.made(f.cell(), 16, &Layout::Host, 0)),
    ("space with an object is claimed", |f| f.view().claimed(AT..ARRAY)),
    ("space with an object is withdrawn", |f| f.view().withdrawn(AT..ARRAY)),
    ("pages with an object are discarded", |f| f.memory.shadow.change(AT..TO, Event::Discarded)),
    ("space is freed twice", |f| {
        f.view().freed(AT..ARRAY, false);
        f.view().freed(AT..ARRAY, false);
    }),
    ("a cell is freed twice", |f| {
        f.view().freed_cell(AT, 16, false);
        f.view().freed_cell(AT, 16, false);
    }),
    ("cells are dissolved under an object", |f| f.view().dissolved_cells(AT..ARRAY, 16, false)),
    ("a cell is listed twice", |f| {
        let at = f.cell();
        f.view().listed_cell(at, 24);
        f.view().listed_cell(at, 24);
    }),
    ("free space is written to", |f| {
        f.view().freed(AT..ARRAY, true);
        assert_eq!(f.view().word(AT + 8), Some(POISON_WORD));
        f.view().set(AT + 9, 1, 0);
        f.view().claimed(AT..ARRAY);
    }),
];

#[test]
fn what_the_table_allows_goes_through() {
    LEGAL.iter().for_each(|(_, act)| act(&Fixture::new()));
}

#[test]
fn what_the_table_does_not_allow_panics() {
    for (what, act) in ILLEGAL {
        let fixture = Fixture::new();
        let caught = catch_unwind(AssertUnwindSafe(|| act(&fixture)));
        let Err(panic) = caught else { panic!("{what}: unnoticed") };
        let message = panic.downcast_ref::<String>();
        assert!(message.is_some_and(|text| text.starts_with("checked memory: ")), "{what}: {message:?}");
    }
}
