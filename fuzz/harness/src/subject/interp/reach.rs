//! How many bytes a program reaches at once: the measure behind heap limits that every collector must get by with.
//!
//! The interpreter is asked what is reachable at calls of the host and between steps, where it knows its frames. From
//! there on each byte that is allocated counts as reachable until it is asked again, which happens when those bytes may
//! matter: so the figure is never too small, and too large by a part of what is reachable or by [`STEP`] bytes, unless
//! much is allocated between two calls of the host.

use assay_interp as wasm;

use super::{HostOp, Shared, kept_roots};
use crate::graph::NodeRef;
use crate::observe::Value;

/// Bytes that a host value may take in a heap; the interpreter's are no objects.
pub(super) const HOST_BOX: u64 = 16;

/// Bytes that may be allocated before the interpreter is asked again.
const STEP: u64 = 512;

/// The measurement of one run.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The most bytes of objects that were reachable at once.
    most: u64,
    /// Host values made so far.
    boxes: u64,
    /// Bytes reachable when the interpreter was last asked.
    reachable: u64,
    /// Bytes of its objects then, reachable or not.
    held: u64,
}

impl Reach {
    /// The most bytes that were reachable at once. Host values count as if all of them were.
    pub(super) fn most(&self) -> u64 {
        self.most + self.boxes * HOST_BOX
    }

    /// The program has called the host.
    pub(super) fn called(&mut self, op: HostOp, store: &mut wasm::Store, host: &Shared) {
        self.boxes += u64::from(op == HostOp::Host);
        if self.grown(store) >= STEP.max(self.reachable / 16) {
            self.ask(store, host);
        }
    }

    /// A step that had these arguments is over.
    pub(super) fn stepped(&mut self, args: &[Value], store: &mut wasm::Store, host: &Shared) {
        let is_host = |arg: &&Value| matches!(arg, Value::Ref(NodeRef::Host(_)));
        self.boxes += args.iter().filter(is_host).count() as u64;
        self.grown(store);
        self.ask(store, host);
    }

    /// The store has freed what is unreachable.
    pub(super) fn collected(&mut self, store: &wasm::Store) {
        self.held = store.stats().bytes;
        self.reachable = self.held;
    }

    /// Bytes allocated since the interpreter was asked.
    fn grown(&mut self, store: &wasm::Store) -> u64 {
        let grown = store.stats().bytes.saturating_sub(self.held);
        self.most = self.most.max(self.reachable + grown);
        grown
    }

    fn ask(&mut self, store: &mut wasm::Store, host: &Shared) {
        self.held = store.stats().bytes;
        self.reachable = store.reachable(&kept_roots(host)).bytes;
    }
}
