//! What all stores of one configuration share: canonical types, compiler, collector, trampolines.
//!
//! The first two are a [`Code`], which engines of different configurations can share in their turn, as far as their
//! code is the same: two collectors of one [`CodeShape`](assay_gc::CodeShape), two heap limits, two stress modes.
//! Trampolines are shared further: they are the same for all collectors.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use assay_gc::{BarrierShape, CodeShape, CollectorEntry, RecGroup, SubType, TypeRegistry};
use assay_jit::trampoline::{AbiSignature, Trampolines};
use assay_jit::{CompileOptions, Compiler};

use crate::fiber::StackPool;
use crate::{Config, Error, Usage};

/// Trampolines that stay compiled although no store uses them.
const KEPT_TRAMPOLINES: usize = 64;

#[derive(Default)]
struct TrampolineCache {
    known: HashMap<AbiSignature, Weak<Trampolines>>,
    /// Most recently compiled or revived ones, newest last.
    kept: VecDeque<Arc<Trampolines>>,
}

/// What compiled code depends on.
struct Code {
    types: Arc<TypeRegistry>,
    compiler: Compiler,
    /// Those of other codes, too, that set Cranelift alike.
    trampolines: Arc<Mutex<TrampolineCache>>,
}

struct Inner {
    config: Config,
    code: Arc<Code>,
    collector: &'static CollectorEntry,
    stacks: StackPool,
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
        Engine::with_trampolines(config, Arc::default())
    }
    fn with_trampolines(config: Config, trampolines: Arc<Mutex<TrampolineCache>>) -> Result<Engine, Error> {
        let collector = collector_of(&config)?;
        let types = TypeRegistry::new()?;
        let compiler = Compiler::new(
            options_of(&config, collector.constraints.code),
            collector.constraints.code,
            types.clone(),
        )?;
        crate::signal::install();
        let code = Arc::new(Code { types, compiler, trampolines });
        let stacks = StackPool::default();
        Ok(Engine(Arc::new(Inner { config, code, collector, stacks })))
    }
    /// An engine of another configuration with this one's types and compiled code: a module of either can be
    /// instantiated in the stores of both. None if `config` asks for other code.
    ///
    /// # Errors
    /// `Usage(UnknownCollector)`.
    pub fn sibling(&self, config: Config) -> Result<Option<Engine>, Error> {
        let collector = collector_of(&config)?;
        let compiler = &self.0.code.compiler;
        let shape = collector.constraints.code;
        if shape != compiler.shape() || options_of(&config, shape) != compiler.options() {
            return Ok(None);
        }
        let (code, stacks) = (self.0.code.clone(), StackPool::default());
        Ok(Some(Engine(Arc::new(Inner { config, code, collector, stacks }))))
    }
    /// An engine of another configuration with types and code of its own, but with this one's trampolines, which do not
    /// depend on collectors. None if `config` asks for other ones.
    ///
    /// # Errors
    /// Those of [`Engine::new`].
    pub fn neighbour(&self, config: Config) -> Result<Option<Engine>, Error> {
        let options = options_of(&config, collector_of(&config)?.constraints.code);
        if !options.sets_machine_like(&self.0.code.compiler.options()) {
            return Ok(None);
        }
        Engine::with_trampolines(config, self.0.code.trampolines.clone()).map(Some)
    }
    /// Whether a module of one can be instantiated in a store of the other.
    pub fn shares_code_with(&self, other: &Engine) -> bool {
        Arc::ptr_eq(&self.0.code, &other.0.code)
    }
    /// Whether both call and are called through the same trampolines.
    pub fn shares_trampolines_with(&self, other: &Engine) -> bool {
        Arc::ptr_eq(&self.0.code.trampolines, &other.0.code.trampolines)
    }
    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }
    /// The canonical types: descriptions by id.
    pub fn types(&self) -> &Arc<TypeRegistry> {
        &self.0.code.types
    }
    /// Registers host-made types; the handle keeps them alive.
    ///
    /// # Errors
    /// `Limit`, `Internal` for a description that is no valid rec group.
    pub fn register(&self, types: &[SubType]) -> Result<RecGroup, Error> {
        Ok(self.0.code.types.register(types)?)
    }
    /// The collector that its stores use.
    pub fn collector(&self) -> &'static CollectorEntry {
        self.0.collector
    }
    /// Stacks for fibers.
    pub(crate) fn stacks(&self) -> &StackPool {
        &self.0.stacks
    }
    pub(crate) fn compiler(&self) -> &Compiler {
        &self.0.code.compiler
    }
    /// The trampolines of a signature, compiled at most once while anybody uses them.
    pub(crate) fn trampolines(&self, signature: AbiSignature) -> Result<Arc<Trampolines>, Error> {
        let mut cache = self.0.code.trampolines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = cache.known.get(&signature).and_then(Weak::upgrade) {
            return Ok(found);
        }
        let made = Arc::new(self.0.code.compiler.trampolines(&signature)?);
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

fn collector_of(config: &Config) -> Result<&'static CollectorEntry, Error> {
    assay_gc::find(&config.collector)
        .map_err(|_| Error::usage(Usage::UnknownCollector(config.collector.clone())))
}

fn options_of(config: &Config, shape: CodeShape) -> CompileOptions {
    CompileOptions {
        opt: config.opt,
        regalloc: config.regalloc,
        cpu: config.cpu,
        fuel: config.fuel,
        verifier: config.verifier,
        polls: config.polls,
        yields: config.yields,
        // Only one shape has other code then.
        slow_barriers: config.stress.barrier_slow && shape.write_barrier == BarrierShape::Card,
        alias_analysis: config.alias_analysis,
        legacy_exceptions: config.legacy_exceptions,
    }
}
