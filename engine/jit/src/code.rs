//! Finished code and the tables that belong to it, looked up by return address or by faulting address.

use crate::TrapCode;

/// A contiguous range of code with its tables; offsets are relative to `base`.
#[derive(Debug, Default)]
pub struct CodeMap {
    /// First address.
    pub base: usize,
    /// Bytes.
    pub len: usize,
    /// Sorted by `return_offset`.
    pub stack_maps: Vec<StackMap>,
    /// Calls in the reach of an exception handler; sorted by `return_offset`.
    pub landings: Vec<Landing>,
    /// (offset of the instruction, raw trap code), sorted.
    pub traps: Vec<(u32, u8)>,
    /// (start offset, function index), sorted, for backtraces.
    pub functions: Vec<(u32, u32)>,
}

/// The live references of a frame at one call.
#[derive(Debug)]
pub struct StackMap {
    /// Offset of the return address.
    pub return_offset: u32,
    /// Bytes from the stack pointer to the frame pointer.
    pub span: u32,
    /// Offsets from the stack pointer of the 4-byte slots.
    pub slots: Box<[u32]>,
}

/// Where an exception continues that comes out of a call. The handler takes it in the payload register and expects
/// nothing of the others but the stack and frame pointers.
#[derive(Clone, Copy, Debug)]
pub struct Landing {
    /// Offset of the call's return address.
    pub return_offset: u32,
    /// Offset of the handler.
    pub handler: u32,
    /// Bytes from the stack pointer to the frame pointer.
    pub span: u32,
}

impl CodeMap {
    /// Whether `pc` lies in this code.
    pub fn contains(&self, pc: usize) -> bool {
        pc.wrapping_sub(self.base) < self.len
    }
    /// The stack map of the call that returns to `pc`; `None` when nothing is live there.
    pub fn stack_map(&self, pc: usize) -> Option<&StackMap> {
        let offset = u32::try_from(pc.checked_sub(self.base)?).ok()?;
        self.stack_maps.binary_search_by_key(&offset, |m| m.return_offset).ok().map(|i| &self.stack_maps[i])
    }
    /// The landing of the call that returns to `pc`; `None` when exceptions pass it.
    pub fn landing(&self, pc: usize) -> Option<&Landing> {
        let offset = u32::try_from(pc.checked_sub(self.base)?).ok()?;
        self.landings.binary_search_by_key(&offset, |l| l.return_offset).ok().map(|i| &self.landings[i])
    }
    /// The trap recorded at the instruction at `pc`.
    pub fn trap(&self, pc: usize) -> Option<TrapCode> {
        let offset = u32::try_from(pc.checked_sub(self.base)?).ok()?;
        let at = self.traps.binary_search_by_key(&offset, |t| t.0).ok()?;
        TrapCode::from_raw(self.traps[at].1)
    }
    /// The function that `pc` lies in.
    pub fn function(&self, pc: usize) -> Option<u32> {
        let offset = u32::try_from(pc.checked_sub(self.base)?).ok()?;
        let at = self.functions.partition_point(|f| f.0 <= offset);
        (offset < self.len as u32).then(|| at.checked_sub(1).map(|i| self.functions[i].1)).flatten()
    }
}
