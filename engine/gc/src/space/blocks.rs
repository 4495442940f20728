//! Blocks of equal cells, one size class a block, with free lists that the mutator pops inline.
//!
//! A free cell has type word 0 and the next free cell of its list (or 0) in its collector's word; any other type word
//! means an object. Mark bits lie outside the cells. A class has at most one list at a time; a new one is made only
//! when it is empty, so that every cell with type word 0 in the class's blocks is in no list then.
//!
//! A block is carved into cells as lists need them, from its start; what is not carved yet is no cell. Lists are short
//! when all were taken back and double from then on, so that a small heap costs little to sweep, however often it is.
//!
//! Sweeping is lazy: after [`Blocks::begin_sweep`] a block is swept when its class needs cells, or by
//! [`Blocks::sweep_all`]. Objects are allocated in swept blocks only, so in an unswept block an unmarked object is dead.
//!
//! One file, though a long one, since lists, sweeping and the states of blocks hold for each other.
//!
//! Invariant: nothing but block numbers, classes and states is believed; words of cells only say whether they are 0.

use std::time::Instant;

use crate::collector::Account;
use crate::header::{GC_WORD, TYPE_WORD};
use crate::heap::{HeapCore, RegionId};
use crate::memory::{ExtentId, View, WATCHED};
use crate::space::classes::{CELL_SIZES, SIZE_CLASSES};
use crate::{Error, GcRef};

/// Bytes of a block.
pub(crate) const BLOCK: u32 = 1 << 13;
const MARK_WORDS: usize = BLOCK as usize / 8 / 64;

/// Full blocks that an allocation sweeps before it takes a free one.
const FRUITLESS: u32 = 32;

/// Cells of the first list of a class after its lists were taken back, at most.
const FIRST_LIST: u32 = 16;

/// An offset within a block times a reciprocal, shifted by this, is the number of its cell.
const RECIPROCAL_SHIFT: u32 = 32;

/// By class: bytes of a cell, and the reciprocal by which offsets are divided by them.
const SHAPES: [(u32, u64); SIZE_CLASSES] = {
    let mut shapes = [(0, 0); SIZE_CLASSES];
    let mut class = 0;
    while class < SIZE_CLASSES {
        let size = CELL_SIZES[class];
        shapes[class] = (size, (1u64 << RECIPROCAL_SHIFT).div_ceil(size as u64));
        class += 1;
    }
    shapes
};

/// How a sweep tells the living from the dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LiveBy {
    /// The mark bit is set.
    Mark,
    /// The collector's word is this.
    Word(u32),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Of no class.
    Free,
    /// Its dead are not yet told from its living.
    Unswept,
    /// Every object in it counts as living.
    Swept,
}

struct Block {
    state: State,
    class: u8,
    /// Whether its class may find free cells here that are in no list.
    partial: bool,
    /// Whether cells of it were given to the mutator since [`Blocks::take_fresh`].
    fresh: bool,
    /// Whether cells of it were freed one by one since [`Blocks::release_empty`].
    freed: bool,
    /// Whether its pages went back to the operating system.
    discarded: bool,
    /// Cells that it is carved into so far.
    carved: u16,
    marks: [u64; MARK_WORDS],
}

impl Block {
    /// Bytes of a cell.
    fn size(&self) -> u32 {
        CELL_SIZES[usize::from(self.class)]
    }

    /// Whether all of it is carved.
    fn is_carved(&self) -> bool {
        u32::from(self.carved) == BLOCK / self.size()
    }
}

/// The small objects of a heap.
pub(crate) struct Blocks {
    extent: ExtentId,
    region: RegionId,
    start: u32,
    /// Most blocks that the extent holds.
    limit: usize,
    blocks: Vec<Block>,
    free: Vec<u32>,
    unswept: [Vec<u32>; SIZE_CLASSES],
    partial: [Vec<u32>; SIZE_CLASSES],
    fresh: Vec<u32>,
    /// Blocks that may have become empty.
    freed: Vec<u32>,
    /// Cells of the present list of each class when it was made.
    listed: [u32; SIZE_CLASSES],
    /// Cells of the next list of each class, at most.
    next_list: [u32; SIZE_CLASSES],
    /// Cells that hold objects or stand in a list, in bytes.
    taken: u64,
    live_by: LiveBy,
}

/// A cell that an object may start at.
#[derive(Clone, Copy)]
struct Cell {
    block: usize,
    size: u32,
}

impl Blocks {
    /// Makes `[start, limit)` of the reservation blocks, none of them committed yet.
    ///
    /// # Errors
    /// `Reservation`.
    pub(crate) fn new(core: &mut HeapCore, start: u64, limit: u64) -> Result<Blocks, Error> {
        let extent = core.extent(start, limit)?;
        let region = core.add_region(extent, start as u32, false);
        Ok(Blocks {
            extent,
            region,
            start: start as u32,
            limit: ((limit - start) / u64::from(BLOCK)) as usize,
            blocks: Vec::new(),
            free: Vec::new(),
            unswept: Default::default(),
            partial: Default::default(),
            fresh: Vec::new(),
            freed: Vec::new(),
            listed: [0; SIZE_CLASSES],
            next_list: [FIRST_LIST; SIZE_CLASSES],
            taken: 0,
            live_by: LiveBy::Mark,
        })
    }

    /// Takes a cell of `class`, of at most `room` bytes of new cells altogether.
    pub(crate) fn alloc(&mut self, core: &mut HeapCore, class: usize, room: u64) -> Option<u32> {
        if core.head(class) == 0 && !self.refill(core, class, room) {
            return None;
        }
        let head = core.head(class);
        let view = core.memory.view(self.extent);
        // A head that generated code read from a damaged cell is not followed.
        self.cell(head).filter(|cell| cell.size == CELL_SIZES[class])?;
        if view.read_u32(head + TYPE_WORD)? != 0 {
            return None;
        }
        let next = view.read_u32(head + GC_WORD)?;
        core.set_head(class, next);
        Some(head)
    }

    /// Whether `at` is the start of a cell of a block in use.
    pub(crate) fn is_cell(&self, at: u32) -> bool {
        self.cell(at).is_some()
    }

    /// Bytes of the cell at `at`.
    pub(crate) fn cell_size(&self, at: u32) -> Option<u32> {
        self.cell(at).map(|cell| cell.size)
    }

    #[inline]
    fn cell(&self, at: u32) -> Option<Cell> {
        let offset = at.checked_sub(self.start)?;
        let number = (offset / BLOCK) as usize;
        let block = self.blocks.get(number).filter(|block| block.state != State::Free)?;
        let (size, reciprocal) = SHAPES[usize::from(block.class)];
        let within = offset % BLOCK;
        let index = ((u64::from(within) * reciprocal) >> RECIPROCAL_SHIFT) as u32;
        (index * size == within && index < u32::from(block.carved)).then_some(Cell { block: number, size })
    }

    /// A view of the blocks.
    #[inline]
    pub(crate) fn view<'c>(&self, core: &'c HeapCore) -> View<'c> {
        core.memory.view(self.extent)
    }

    fn place(&self, at: u32) -> (usize, u64) {
        let slot = (at - self.start) % BLOCK / 8;
        (slot as usize / 64, 1 << (slot % 64))
    }

    /// Marks the cell at `at`: whether it was not marked yet. `None` if there is no cell.
    #[inline]
    pub(crate) fn mark(&mut self, at: u32) -> Option<bool> {
        let cell = self.cell(at)?;
        let (word, bit) = self.place(at);
        let word = &mut self.blocks[cell.block].marks[word];
        let clear = *word & bit == 0;
        *word |= bit;
        Some(clear)
    }

    /// Whether the cell at `at` is marked. `None` if there is no cell.
    #[inline]
    pub(crate) fn is_marked(&self, at: u32) -> Option<bool> {
        let cell = self.cell(at)?;
        let (word, bit) = self.place(at);
        Some(self.blocks[cell.block].marks[word] & bit != 0)
    }

    /// Whether the next sweep by marks will free the cell at `at`.
    pub(crate) fn is_doomed(&self, at: u32) -> bool {
        let unswept = |cell: Cell| self.blocks[cell.block].state == State::Unswept;
        self.cell(at).is_some_and(unswept) && self.is_marked(at) == Some(false)
    }

    /// Takes the mark of the cell at `at` away.
    pub(crate) fn unmark(&mut self, at: u32) {
        let Some(cell) = self.cell(at) else { return };
        let (word, bit) = self.place(at);
        self.blocks[cell.block].marks[word] &= !bit;
    }

    /// Clears all marks.
    pub(crate) fn clear_marks(&mut self) {
        self.blocks.iter_mut().for_each(|block| block.marks = [0; MARK_WORDS]);
    }

    /// Takes all lists back from the mutator.
    pub(crate) fn retire(&mut self, core: &mut HeapCore) {
        for (class, &size) in CELL_SIZES.iter().enumerate() {
            let left = self.listed_now(core, class);
            // A list lies in one block, which has free cells again when the list is cut off.
            let cut_off = self.cell(core.head(class)).filter(|cell| left > 0 && cell.size == size);
            if let Some(cell) = cut_off {
                self.make_partial(cell.block);
            }
            if WATCHED {
                self.unlist(core, class);
            }
            let used = self.listed[class] - left;
            core.stats.bytes_allocated += u64::from(used) * u64::from(size);
            self.taken = self.taken.saturating_sub(u64::from(left) * u64::from(size));
            self.listed[class] = 0;
            self.next_list[class] = FIRST_LIST;
            core.set_head(class, 0);
        }
    }

    /// The blocks of which cells were given to the mutator since the last call.
    pub(crate) fn take_fresh(&mut self) -> Vec<u32> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh.iter().for_each(|&block| self.blocks[block as usize].fresh = false);
        fresh
    }

    /// Whether the cell at `at` lies in one of those blocks.
    pub(crate) fn is_fresh(&self, at: u32) -> bool {
        self.cell(at).is_some_and(|cell| self.blocks[cell.block].fresh)
    }

    /// Calls `f` with each object of `block`, as the words of its cells tell.
    pub(crate) fn each_in_block(&self, core: &HeapCore, block: u32, mut f: impl FnMut(u32)) {
        let view = core.memory.view(self.extent);
        for at in self.cells_of(block as usize) {
            if view.read_u32(at + TYPE_WORD).is_some_and(|word| word != 0) {
                f(at);
            }
        }
    }

    /// From here on unmarked objects of the blocks in use are dead. The lists were retired.
    pub(crate) fn begin_sweep(&mut self, live_by: LiveBy) {
        self.live_by = live_by;
        for class in 0..SIZE_CLASSES {
            self.unswept[class].clear();
            self.partial[class].clear();
        }
        for (number, block) in (0u32..).zip(&mut self.blocks) {
            block.partial = false;
            if block.state != State::Free {
                block.state = State::Unswept;
                self.unswept[usize::from(block.class)].push(number);
            }
        }
    }

    /// Whether a sweep is under way.
    pub(crate) fn is_sweeping(&self) -> bool {
        self.unswept.iter().any(|blocks| !blocks.is_empty())
    }

    /// Sweeps up to `most` of the blocks that have not been swept yet, in an allocation's time.
    pub(crate) fn sweep_some(&mut self, core: &mut HeapCore, most: u32) {
        if !self.is_sweeping() {
            return;
        }
        let start = Instant::now();
        let (mut left, mut class) = (most, 0);
        while left > 0 && class < SIZE_CLASSES {
            match self.unswept[class].pop() {
                Some(block) => {
                    self.sweep(core, block as usize);
                    left -= 1;
                }
                None => class += 1,
            }
        }
        core.pauses.add_sweeping(start.elapsed());
    }

    /// Sweeps what has not been swept yet, while an allocation waits for room: a pause.
    pub(crate) fn sweep_now(&mut self, core: &mut HeapCore) {
        if self.is_sweeping() {
            let start = Instant::now();
            self.sweep_all(core);
            core.pauses.add(start.elapsed());
        }
    }

    /// Sweeps what has not been swept yet.
    pub(crate) fn sweep_all(&mut self, core: &mut HeapCore) {
        for class in 0..SIZE_CLASSES {
            while let Some(block) = self.unswept[class].pop() {
                self.sweep(core, block as usize);
            }
        }
    }

    /// Frees the dead of a block. A block without living objects belongs to no class any more.
    fn sweep(&mut self, core: &mut HeapCore, number: usize) {
        let size = self.blocks[number].size();
        let view = core.memory.view(self.extent);
        let poison = core.stress().poison;
        let (mut dead, mut alive, mut free) = (0u64, 0, 0);
        for at in self.cells_of(number) {
            if view.read_u32(at + TYPE_WORD).is_none_or(|word| word == 0) {
                free += 1;
                continue;
            }
            let lives = match self.live_by {
                LiveBy::Mark => {
                    let (word, bit) = self.place(at);
                    self.blocks[number].marks[word] & bit != 0
                }
                LiveBy::Word(live) => view.read_u32(at + GC_WORD) == Some(live),
            };
            if lives {
                alive += 1;
            } else {
                clear_cell(&view, at, size, poison);
                dead += 1;
            }
        }
        core.stats.blocks_swept += 1;
        core.stats.objects_freed += dead;
        core.stats.bytes_freed += dead * u64::from(size);
        // On a damaged heap a free cell may look like an object.
        self.taken = self.taken.saturating_sub(dead * u64::from(size));
        self.blocks[number].state = State::Swept;
        if alive == 0 {
            self.dissolve(&view, number, poison);
            self.release(number);
        } else if dead + free > 0 || !self.blocks[number].is_carved() {
            self.make_partial(number);
        }
    }

    /// The cells of a block without objects are cells no more.
    fn dissolve(&mut self, view: &View<'_>, number: usize, poison: bool) {
        let start = self.start + number as u32 * BLOCK;
        let block = &mut self.blocks[number];
        let size = block.size();
        view.dissolved_cells(start..start + u32::from(block.carved) * size, size, poison);
        block.carved = 0;
    }

    /// Frees one object of a swept block; whether there is such a cell.
    pub(crate) fn free_cell(&mut self, core: &mut HeapCore, at: u32) -> bool {
        let Some(cell) = self.cell(at) else { return false };
        clear_cell(&core.memory.view(self.extent), at, cell.size, core.stress().poison);
        self.taken = self.taken.saturating_sub(u64::from(cell.size));
        core.stats.objects_freed += 1;
        core.stats.bytes_freed += u64::from(cell.size);
        self.make_partial(cell.block);
        let block = &mut self.blocks[cell.block];
        if !block.freed {
            block.freed = true;
            self.freed.push(cell.block as u32);
        }
        true
    }

    /// Lets go of swept blocks that [`Blocks::free_cell`] has left without objects. The lists were retired.
    pub(crate) fn release_empty(&mut self, core: &HeapCore) {
        let view = core.memory.view(self.extent);
        let mut classes = [false; SIZE_CLASSES];
        for number in std::mem::take(&mut self.freed) {
            let block = &mut self.blocks[number as usize];
            block.freed = false;
            let (class, swept) = (usize::from(block.class), block.state == State::Swept);
            let mut cells = self.cells_of(number as usize);
            if swept && cells.all(|at| view.read_u32(at + TYPE_WORD) == Some(0)) {
                self.dissolve(&view, number as usize, core.stress().poison);
                let block = &mut self.blocks[number as usize];
                block.partial = false;
                block.state = State::Free;
                self.free.push(number);
                classes[class] = true;
            }
        }
        // One pass over the lists, however many blocks have left them.
        let blocks = &self.blocks;
        for (partial, _) in self.partial.iter_mut().zip(classes).filter(|&(_, left)| left) {
            partial.retain(|&number| blocks[number as usize].partial);
        }
    }

    /// Returns the pages of free blocks beyond the number of those in use and beyond the heap's initial size; whether
    /// there were any.
    pub(crate) fn shrink(&mut self, core: &mut HeapCore) -> bool {
        let initial = core.initial_bytes().div_ceil(u64::from(BLOCK)) as usize;
        let keep = (self.blocks.len() - self.free.len()).max(initial);
        let mut discarded = false;
        for &number in self.free.iter().rev().skip(keep) {
            let block = &mut self.blocks[number as usize];
            if !block.discarded {
                let start = self.start + number * BLOCK;
                block.discarded = core.memory.discard(self.extent, start..start + BLOCK);
                discarded |= block.discarded;
            }
        }
        discarded
    }

    /// Calls `f` with each object and the bytes of its cell, in address order.
    ///
    /// # Errors
    /// Those of `f`.
    pub(crate) fn cells(
        &self,
        core: &HeapCore,
        f: &mut dyn FnMut(u32, u32) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let view = core.memory.view(self.extent);
        for (number, block) in (0u32..).zip(&self.blocks) {
            let size = block.size();
            for at in self.cells_of(number as usize) {
                if view.read_u32(at + TYPE_WORD).is_some_and(|word| word != 0) {
                    f(at, size)?;
                }
            }
        }
        Ok(())
    }

    /// Calls `f` with each object that is not marked, a view of it and the bytes of its cell, in address order.
    ///
    /// # Errors
    /// Those of `f`.
    pub(crate) fn unmarked(
        &self,
        core: &HeapCore,
        f: &mut impl FnMut(&View<'_>, u32, u32) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let view = core.memory.view(self.extent);
        for (number, block) in (0u32..).zip(&self.blocks) {
            let size = block.size();
            for at in self.cells_of(number as usize) {
                let (word, bit) = self.place(at);
                if block.marks[word] & bit == 0 && view.read_u32(at + TYPE_WORD).is_some_and(|word| word != 0)
                {
                    f(&view, at, size)?;
                }
            }
        }
        Ok(())
    }

    /// Bytes in use; what is left in the lists is not.
    pub(crate) fn account(&self, core: &HeapCore) -> Account {
        let (mut left, mut uncounted) = (0, 0);
        for (class, &size) in CELL_SIZES.iter().enumerate() {
            let now = self.listed_now(core, class);
            left += u64::from(now) * u64::from(size);
            uncounted += u64::from(self.listed[class] - now) * u64::from(size);
        }
        Account { used: self.taken.saturating_sub(left), uncounted }
    }

    /// Bytes taken, those in lists included.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Checks that the lists hold free cells of their class, each once.
    ///
    /// # Errors
    /// `Verify`.
    pub(crate) fn check_lists(&self, core: &HeapCore) -> Result<(), Error> {
        let view = core.memory.view(self.extent);
        for (class, &size) in CELL_SIZES.iter().enumerate() {
            let (mut at, mut seen) = (core.head(class), 0);
            while at != 0 {
                let cell = self.cell(at).filter(|cell| cell.size == size);
                if cell.is_none() {
                    return crate::verify::broken(
                        at,
                        "a free list holds something that is no cell of its class",
                    );
                }
                if view.read_u32(at + TYPE_WORD) != Some(0) {
                    return crate::verify::broken(at, "an object in a free list");
                }
                seen += 1;
                if seen > self.listed[class] {
                    return crate::verify::broken(at, "a free list that is longer than it was made");
                }
                at = view.read_u32(at + GC_WORD).unwrap_or(0);
            }
        }
        Ok(())
    }

    /// Cells left in the list of `class`; ends on any content.
    fn listed_now(&self, core: &HeapCore, class: usize) -> u32 {
        let view = core.memory.view(self.extent);
        let (mut at, mut count) = (core.head(class), 0);
        while at != 0 && count < self.listed[class] && self.is_cell(at) {
            count += 1;
            at = view.read_u32(at + GC_WORD).unwrap_or(0);
        }
        count
    }

    /// Tells what watches the memory that the cells left in the list of `class` are not the mutator's any more.
    fn unlist(&self, core: &HeapCore, class: usize) {
        let view = core.memory.view(self.extent);
        let (mut at, mut count) = (core.head(class), 0);
        while at != 0 && count < self.listed[class] && self.is_cell(at) {
            count += 1;
            let next = view.read_u32(at + GC_WORD).unwrap_or(0);
            view.unlisted_cell(at, CELL_SIZES[class]);
            at = next;
        }
    }

    /// Makes a list of free cells of `class`: of a block that has some, of one that is to be swept, or of a new one.
    fn refill(&mut self, core: &mut HeapCore, class: usize, room: u64) -> bool {
        core.stats.bytes_allocated += u64::from(self.listed[class]) * u64::from(CELL_SIZES[class]);
        self.listed[class] = 0;
        let most = u32::try_from(room / u64::from(CELL_SIZES[class])).unwrap_or(u32::MAX);
        if most == 0 {
            return false;
        }
        let most = most.min(self.next_list[class]);
        self.next_list[class] = (self.next_list[class] * 2).min(BLOCK);
        if self.list_known(core, class, most) || self.list_swept(core, class, most) {
            return true;
        }
        match self.fresh_block(core, class) {
            Some(block) => self.list(core, block, most),
            // All blocks are swept now.
            None => self.list_known(core, class, most),
        }
    }

    /// Makes a list of a block of `class` that is known to have free cells; whether there is any.
    fn list_known(&mut self, core: &mut HeapCore, class: usize, most: u32) -> bool {
        while let Some(block) = self.partial[class].pop() {
            self.blocks[block as usize].partial = false;
            if self.list(core, block as usize, most) {
                return true;
            }
        }
        false
    }

    /// Sweeps blocks of `class` until one has free cells, and makes a list of these; not without end, and not if a block
    /// of nothing but free cells turns up.
    fn list_swept(&mut self, core: &mut HeapCore, class: usize, most: u32) -> bool {
        if self.unswept[class].is_empty() {
            return false;
        }
        let start = Instant::now();
        let mut listed = false;
        for _ in 0..FRUITLESS {
            let Some(block) = self.unswept[class].pop() else { break };
            self.sweep(core, block as usize);
            listed = self.list_known(core, class, most);
            if listed || self.blocks[block as usize].state == State::Free {
                break;
            }
        }
        core.pauses.add_sweeping(start.elapsed());
        listed
    }

    /// Gives the free cells of `number`, at most `most`, to the mutator as its class's list.
    fn list(&mut self, core: &mut HeapCore, number: usize, most: u32) -> bool {
        let class = usize::from(self.blocks[number].class);
        let size = CELL_SIZES[class];
        let view = core.memory.view(self.extent);
        let (mut first, mut last, mut count) = (0, 0, 0);
        let mut add = |at| {
            view.write_u32(at + GC_WORD, 0);
            match last {
                0 => first = at,
                last => {
                    view.write_u32(last + GC_WORD, at);
                }
            }
            (last, count) = (at, count + 1);
            count == most
        };
        let mut free = self.cells_of(number).filter(|at| view.read_u32(at + TYPE_WORD) == Some(0));
        let mut full = free.any(&mut add);
        let mut more = full && free.next().is_some();
        while !full && !self.blocks[number].is_carved() {
            let at = self.carve(&view, number);
            full = add(at);
        }
        more |= !self.blocks[number].is_carved();
        if WATCHED {
            self.listed_cells(&view, first, size);
        }
        if more {
            self.make_partial(number);
        }
        if count == 0 {
            return false;
        }
        self.listed[class] = count;
        self.taken += u64::from(count) * u64::from(size);
        core.set_head(class, first);
        if !self.blocks[number].fresh {
            self.blocks[number].fresh = true;
            self.fresh.push(number as u32);
        }
        true
    }

    /// Carves another cell off a block that has room for it.
    fn carve(&mut self, view: &View<'_>, number: usize) -> u32 {
        let block = &mut self.blocks[number];
        let at = self.start + number as u32 * BLOCK + u32::from(block.carved) * block.size();
        block.carved += 1;
        view.carved_cell(at);
        view.write_u32(at + TYPE_WORD, 0);
        at
    }

    /// Tells what watches the memory that the mutator may take the cells of the list that starts at `first`.
    fn listed_cells(&self, view: &View<'_>, first: u32, size: u32) {
        let mut at = first;
        while at != 0 {
            view.listed_cell(at, size);
            at = view.read_u32(at + GC_WORD).unwrap_or(0);
        }
    }

    /// A block of free cells for `class`: one of no class, else a new one, else one that sweeping other classes frees.
    fn fresh_block(&mut self, core: &mut HeapCore, class: usize) -> Option<usize> {
        let number = match self.free.pop() {
            Some(number) => number as usize,
            None => match self.commit_block(core) {
                Some(number) => number,
                None => {
                    self.sweep_now(core);
                    self.free.pop()? as usize
                }
            },
        };
        let block = &mut self.blocks[number];
        block.class = class as u8;
        block.state = State::Swept;
        block.discarded = false;
        block.carved = 0;
        block.marks = [0; MARK_WORDS];
        Some(number)
    }

    fn commit_block(&mut self, core: &mut HeapCore) -> Option<usize> {
        let number = self.blocks.len();
        if number == self.limit {
            return None;
        }
        let end = self.start + (number as u32 + 1) * BLOCK;
        let grown = core.memory.commit(self.extent, u64::from(end)).ok()?;
        core.stats.grown += u64::from(grown);
        core.set_region_end(self.region, end);
        self.blocks.push(Block {
            state: State::Free,
            class: 0,
            partial: false,
            fresh: false,
            freed: false,
            discarded: false,
            carved: 0,
            marks: [0; MARK_WORDS],
        });
        Some(number)
    }

    /// The cells that a block is carved into.
    fn cells_of(&self, number: usize) -> impl Iterator<Item = u32> + use<> {
        let (start, block) = (self.start + number as u32 * BLOCK, &self.blocks[number]);
        let size = block.size();
        (0..u32::from(block.carved)).map(move |index| start + index * size)
    }

    fn make_partial(&mut self, number: usize) {
        let block = &mut self.blocks[number];
        if block.state == State::Swept && !block.partial {
            block.partial = true;
            self.partial[usize::from(block.class)].push(number as u32);
        }
    }

    fn release(&mut self, number: usize) {
        let block = &mut self.blocks[number];
        if block.partial {
            block.partial = false;
            self.partial[usize::from(block.class)].retain(|&other| other as usize != number);
        }
        block.state = State::Free;
        self.free.push(number as u32);
    }
}

/// Makes a cell free.
fn clear_cell(view: &View<'_>, at: u32, size: u32, poison: bool) {
    view.freed_cell(at, size, poison);
    view.write_u32(at + TYPE_WORD, 0);
    view.write_u32(at + GC_WORD, GcRef::NULL.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HeapConfig;
    use crate::memory::NULL_PAGE;

    #[test]
    fn a_list_that_is_taken_back_leaves_its_block_to_its_class_and_no_other() {
        let mut core = HeapCore::bare(HeapConfig::default());
        let mut blocks = Blocks::new(&mut core, NULL_PAGE, NULL_PAGE + (1 << 20)).unwrap();
        let (class, room) = (1, 1 << 20);
        let cells = (BLOCK / CELL_SIZES[class]) as usize;
        for _ in 0..10 * cells + 1 {
            let at = blocks.alloc(&mut core, class, room).unwrap();
            blocks.view(&core).write_u32(at + TYPE_WORD, 1).unwrap();
        }
        blocks.retire(&mut core);
        assert_eq!(blocks.partial[class], [10], "ten blocks are full");
        for other in 0..cells - 1 {
            let at = blocks.alloc(&mut core, class, room).unwrap_or_else(|| panic!("{other}"));
            blocks.view(&core).write_u32(at + TYPE_WORD, 1).unwrap();
        }
        blocks.retire(&mut core);
        assert!(blocks.partial.iter().all(Vec::is_empty));
    }

    #[test]
    fn a_block_has_no_more_cells_than_lists_took() {
        let mut core = HeapCore::bare(HeapConfig::default());
        let mut blocks = Blocks::new(&mut core, NULL_PAGE, NULL_PAGE + (1 << 20)).unwrap();
        let (class, room) = (1, 1 << 20);
        let (size, cells) = (CELL_SIZES[class], BLOCK / CELL_SIZES[class]);
        let first = blocks.alloc(&mut core, class, room).unwrap();
        assert!(
            blocks.is_cell(first + (FIRST_LIST - 1) * size) && !blocks.is_cell(first + FIRST_LIST * size)
        );
        for taken in 1..cells {
            blocks.view(&core).write_u32(first + (taken - 1) * size + TYPE_WORD, 1).unwrap();
            assert_eq!(
                blocks.alloc(&mut core, class, room),
                Some(first + taken * size),
                "in the order of addresses"
            );
        }
        assert!(!blocks.is_cell(first + cells * size), "what is left of a block is no cell");
        let next = blocks.alloc(&mut core, class, room).unwrap();
        assert_eq!(next, first + BLOCK);
        // Without its object the second block is of no class again.
        blocks.retire(&mut core);
        blocks.begin_sweep(LiveBy::Mark);
        blocks.sweep_all(&mut core);
        assert!(!blocks.is_cell(first) && !blocks.is_cell(next));
    }

    #[test]
    fn a_block_that_is_carved_in_part_goes_on_after_a_sweep() {
        let mut core = HeapCore::bare(HeapConfig::default());
        let mut blocks = Blocks::new(&mut core, NULL_PAGE, NULL_PAGE + (1 << 20)).unwrap();
        let (class, room) = (1, 1 << 20);
        let mut first = 0;
        for taken in 0..FIRST_LIST {
            let at = blocks.alloc(&mut core, class, room).unwrap();
            blocks.view(&core).write_u32(at + TYPE_WORD, 1).unwrap();
            assert_eq!(blocks.mark(at), Some(true));
            first = if taken == 0 { at } else { first };
        }
        blocks.retire(&mut core);
        blocks.begin_sweep(LiveBy::Mark);
        blocks.sweep_all(&mut core);
        assert_eq!(blocks.alloc(&mut core, class, room), Some(first + FIRST_LIST * CELL_SIZES[class]));
    }

    #[test]
    fn the_reciprocals_divide_exactly() {
        for (size, reciprocal) in SHAPES {
            for within in 0..BLOCK {
                let index = (u64::from(within) * reciprocal) >> RECIPROCAL_SHIFT;
                assert_eq!(index, u64::from(within / size), "{within} / {size}");
            }
        }
    }
}
