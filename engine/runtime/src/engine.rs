//! What all stores of one configuration share: canonical types, compiler, collector, trampolines.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use assay_gc::{CollectorEntry, RecGroup, SubType, TypeRegistry};
use assay_jit::trampoline::{AbiSignature, Trampolines};
use assay_jit::{CompileOptions, Compiler};

use crate::{Config, Error, Usage};

/// Trampolines that stay compiled although no store uses them.
const KEPT_TRAMPOLINES: usize = 64;

#[derive(Default)]
struct TrampolineCache {
    known: HashMap<AbiSignature, Weak<Trampolines>>,
    /// Most recently compiled or revived ones, newest last.
    kept: VecDeque<Arc<Trampolines>>,
}

struct Inner {
    config: Config,
    types: Arc<TypeRegistry>,
    compiler: Compiler,
    collector: &'static CollectorEntry,
    trampolines: Mutex<TrampolineCache>,
}

/// Compiles modules and makes stores. Cheap to clone; shared by threads.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine of this configuration.
    ///
    /// # Errors
    /// `Usage(UnknownCollector)`; `Exhausted` when address space is out; `Machine` when the processor lacks
    /// SSE4.1.
    pub fn new(config: Config) -> Result<Engine, Error> {
        let collector = assay_gc::registry()
            .iter()
            .find(|entry| entry.constraints.name == config.collector)
            .ok_or_else(|| Error::usage(Usage::UnknownCollector(config.collector.clone())))?;
        let types = TypeRegistry::new()?;
        let options = CompileOptions {
            opt: config.opt,
            regalloc: config.regalloc,
            cpu: config.cpu,
            fuel: config.fuel,
            verifier: config.verifier,
            polls: config.polls,
            slow_barriers: config.stress.barrier_slow,
            alias_analysis: config.alias_analysis,
            legacy_exceptions: config.legacy_exceptions,
        };
        let compiler = Compiler::new(options, collector.constraints, types.clone())?;
        crate::signal::install();
        Ok(Engine(Arc::new(Inner { config, types, compiler, collector, trampolines: Mutex::default() })))
    }
    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }
    /// The canonical types: descriptions by id.
    pub fn types(&self) -> &Arc<TypeRegistry> {
        &self.0.types
    }
    /// Registers host-made types; the handle keeps them alive.
    ///
    /// # Errors
    /// `Limit`, `Internal` for a description that is no valid rec group.
    pub fn register(&self, types: &[SubType]) -> Result<RecGroup, Error> {
        Ok(self.0.types.register(types)?)
    }
    /// The collector that its stores use.
    pub fn collector(&self) -> &'static CollectorEntry {
        self.0.collector
    }
    pub(crate) fn compiler(&self) -> &Compiler {
        &self.0.compiler
    }
    pub(crate) fn same(&self, other: &Engine) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
    /// The trampolines of a signature, compiled at most once while anybody uses them.
    pub(crate) fn trampolines(&self, signature: AbiSignature) -> Result<Arc<Trampolines>, Error> {
        let mut cache = self.0.trampolines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = cache.known.get(&signature).and_then(Weak::upgrade) {
            return Ok(found);
        }
        let made = Arc::new(self.0.compiler.trampolines(&signature)?);
        if cache.kept.len() == KEPT_TRAMPOLINES {
            cache.kept.pop_front();
        }
        cache.kept.push_back(made.clone());
        if cache.known.len() > 4 * KEPT_TRAMPOLINES {
            cache.known.retain(|_, trampolines| trampolines.strong_count() > 0);
        }
        cache.known.insert(signature, Arc::downgrade(&made));
        Ok(made)
    }
}
