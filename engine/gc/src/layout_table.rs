//! One heap's layouts by type id, so that a collector finds them without the registry's lock.
//!
//! Invariant: a layout is in the table only together with a handle of its rec group, so an id means the same type for
//! as long as the heap lives, whatever happens to the modules that brought it.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use crate::header::MAX_TYPES;
use crate::layout::Layout;
use crate::types::{RecGroup, TypeId, TypeRegistry};

const CHUNK: usize = 256;
type Chunk = Box<[OnceCell<Arc<Layout>>]>;

/// Layouts of the types that a heap has seen.
#[derive(Debug)]
pub struct LayoutTable {
    registry: Arc<TypeRegistry>,
    chunks: Box<[OnceCell<Chunk>]>,
    groups: RefCell<Vec<RecGroup>>,
}

impl LayoutTable {
    /// An empty table over `registry`.
    pub fn new(registry: Arc<TypeRegistry>) -> LayoutTable {
        let chunks = (0..MAX_TYPES as usize / CHUNK).map(|_| OnceCell::new()).collect();
        LayoutTable { registry, chunks, groups: RefCell::default() }
    }

    /// The registry behind it.
    pub fn registry(&self) -> &Arc<TypeRegistry> {
        &self.registry
    }

    /// The layout of a struct, array or host type; `None` for a function, a free id, or an impossible one.
    #[inline]
    pub fn get(&self, id: TypeId) -> Option<&Layout> {
        let chunk = self.chunks.get(id.0 as usize / CHUNK)?;
        match chunk.get().and_then(|chunk| chunk[id.0 as usize % CHUNK].get()) {
            Some(layout) => Some(layout),
            None => self.fetch(id),
        }
    }

    /// Holds `group` and enters its layouts.
    pub fn retain(&self, group: RecGroup) {
        for &id in group.ids() {
            if let Some(layout) = self.registry.layout(id) {
                self.enter(id, layout);
            }
        }
        self.groups.borrow_mut().push(group);
    }

    #[cold]
    fn fetch(&self, id: TypeId) -> Option<&Layout> {
        if id == self.registry.host_type() {
            return Some(self.enter(id, self.registry.layout(id)?));
        }
        let (group, _) = self.registry.group_of(id)?;
        self.registry.layout(id)?;
        self.retain(group);
        self.chunks.get(id.0 as usize / CHUNK)?.get()?[id.0 as usize % CHUNK].get().map(|layout| &**layout)
    }

    fn enter(&self, id: TypeId, layout: Arc<Layout>) -> &Layout {
        let chunk =
            self.chunks[id.0 as usize / CHUNK].get_or_init(|| (0..CHUNK).map(|_| OnceCell::new()).collect());
        chunk[id.0 as usize % CHUNK].get_or_init(|| layout)
    }
}
