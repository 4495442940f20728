//! Shows a store's roots to its collector, freshly computed at each visit.
//!
//! Frames: each activation's wasm frames, from the youngest that left for the host to the entry trampoline, found by
//! frame pointers; the code's stack maps name the slots; then those of suspended fibers. State: globals, tables,
//! segments, constant-expression stack, handles.

use assay_gc::{GcRef, RootKind, RootPhase, RootSet};

use crate::constant::ConstVal;
use crate::store::State;

/// Root slots that held an object when they were shown, to collections and verifications, added up over all visits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RootCounts {
    /// Of globals.
    pub globals: u64,
    /// Of tables.
    pub tables: u64,
    /// Of passive element segments.
    pub segments: u64,
    /// Of handles, and of constant expressions under evaluation.
    pub handles: u64,
    /// Of frames that run, or wait for others that do.
    pub frames: u64,
    /// Of frames of suspended fibers.
    pub suspended: u64,
}

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
    let mut held = RootCounts::default();
    for global in state.globals.iter().filter(|global| global.traced) {
        // SAFETY: the cell lives as long as the store; no other reference to it exists while a collection runs.
        let word = unsafe { &mut *global.cell.as_ptr().cast::<GcRef>() };
        held.globals += u64::from(word.is_object());
        visit(RootKind::Global, word);
    }
    for table in state.tables.iter_mut().filter(|table| table.traced) {
        for element in table.elements_mut() {
            held.tables += u64::from(element.is_object());
            visit(RootKind::Table, element);
        }
    }
    for instance in &mut state.instances {
        for segment in instance.elements.iter_mut().filter(|segment| segment.traced) {
            for item in &mut segment.items {
                held.segments += u64::from(item.is_object());
                visit(RootKind::Segment, item);
            }
        }
    }
    for value in &mut state.const_stack {
        if let ConstVal::Ref(word) = value {
            held.handles += u64::from(word.is_object());
            visit(RootKind::Handle, word);
        }
    }
    state.handles.visit(&mut |word| {
        held.handles += u64::from(word.is_object());
        visit(RootKind::Handle, word);
    });
    let counts = &mut state.root_counts;
    counts.globals += held.globals;
    counts.tables += held.tables;
    counts.segments += held.segments;
    counts.handles += held.handles;
}

fn visit_frames(state: &mut State, visit: &mut dyn FnMut(RootKind, &mut GcRef)) {
    let (mut frames, mut moved) = (0, 0);
    let mut held = [0; 2];
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
            held[usize::from(suspended)] += u64::from(before.is_object());
            visit(RootKind::Frame, slot);
            moved += u64::from(suspended && *slot != before);
        }
    });
    state.fibers.count_visit(frames, moved);
    state.root_counts.frames += held[0];
    state.root_counts.suspended += held[1];
}
