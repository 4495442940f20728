//! Shows a store's roots to its collector, freshly computed at each visit.
//!
//! Frames: each activation's wasm frames, from the youngest that left for the host to the entry trampoline, found by
//! frame pointers; the code's stack maps name the slots; then those of suspended fibers. State: globals, tables,
//! segments, constant-expression stack, handles.

use assay_gc::{GcRef, RootKind, RootPhase, RootSet};

use crate::constant::ConstVal;
use crate::store::State;

/// The roots of a store.
pub(crate) struct Roots<'a> {
    pub(crate) state: &'a mut State,
}

impl RootSet for Roots<'_> {
    fn visit(&mut self, phase: RootPhase, visit: &mut dyn FnMut(RootKind, &mut GcRef)) {
        match phase {
            RootPhase::State => visit_state(self.state, visit),
            RootPhase::Frames => visit_frames(self.state, visit),
        }
    }
}

fn visit_state(state: &mut State, visit: &mut dyn FnMut(RootKind, &mut GcRef)) {
    for global in state.globals.iter().filter(|global| global.traced) {
        // SAFETY: the cell lives as long as the store; no other reference to it exists while a collection runs.
        visit(RootKind::Global, unsafe { &mut *global.cell.as_ptr().cast::<GcRef>() });
    }
    for table in state.tables.iter_mut().filter(|table| table.traced) {
        for element in table.elements_mut() {
            visit(RootKind::Table, element);
        }
    }
    for instance in &mut state.instances {
        for segment in instance.elements.iter_mut().filter(|segment| segment.traced) {
            for item in &mut segment.items {
                visit(RootKind::Segment, item);
            }
        }
    }
    for value in &mut state.const_stack {
        if let ConstVal::Ref(word) = value {
            visit(RootKind::Handle, word);
        }
    }
    state.handles.visit(&mut |word| visit(RootKind::Handle, word));
}

fn visit_frames(state: &mut State, visit: &mut dyn FnMut(RootKind, &mut GcRef)) {
    let (mut frames, mut moved) = (0, 0);
    state.for_each_frame(&mut |pc, fp, suspended| {
        let Some(map) = state.code_at(pc).and_then(|code| code.stack_map(pc)) else { return };
        frames += u64::from(suspended);
        let sp = fp - map.span as usize;
        for &offset in &map.slots {
            let slot = std::ptr::with_exposed_provenance_mut::<GcRef>(sp + offset as usize);
            // SAFETY: the compiler's stack map says that a live reference lies there, in a frame that is suspended in
            // a call; the frame belongs to an activation of this store, which is blocked or suspended while we run.
            let slot = unsafe { &mut *slot };
            let before = *slot;
            visit(RootKind::Frame, slot);
            moved += u64::from(suspended && *slot != before);
        }
    });
    state.fibers.count_visit(frames, moved);
}
