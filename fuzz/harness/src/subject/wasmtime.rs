//! Wasmtime in this process as a subject (feature `peer-wasmtime`): its three collectors, `wasmtime:drc`, `wasmtime:copying`
//! and `wasmtime:null`, under its options.
//!
//! It runs the same bytes, given more exports (`origins`), and everything else goes through its public interface: heap graphs
//! with identity, runtime types (`types`) and exceptions with tags and payloads are those of every subject. What it cannot
//! do, or do alike:
//! - *fibers*: a suspended call holds its store, so no two can take turns, nor the heap be looked at meanwhile; cases with
//!   fibers are unsupported there. With `yields` calls are suspended and resumed at once;
//! - *fuel* is counted otherwise (`fuel`): the reference's running out of it ends the comparison;
//! - *liveness*: it does not tell how many objects there are. Leaks show where a heap has a limit;
//! - *heap limits* of a case are taken times [`ROOM`], since its objects are larger; schedules of collections name places that it
//!   does not have;
//! - *legacy exceptions* are unsupported, and modules with `relaxed_madd` and `relaxed_nmadd`, which Wasmtime always fuses, while
//!   the deterministic profile rounds the product as well;
//! - functions and tags of an instance whose start function failed have no origin: unsupported where they are seen.
//!
//! `every-safepoint` collects the heap in each call of the host that a passed epoch makes, at functions' entries and loops'
//! headers: Wasmtime's own stress mode (`gc-zeal=N`) is there only in a build with `RUSTFLAGS='--cfg gc_zeal'`.

mod executor;
mod fuel;
mod graph;
mod host;
mod limits;
mod options;
mod origins;
mod outcome;
mod types;
mod values;

use ::wasmtime::{Engine, Store, UpdateDeadline};

use super::{Features, Shelf, Subject};
use crate::observe::Outcome;
use crate::{Case, Observation};
use executor::Peer;
use graph::Books;
use host::{Data, collect};
use limits::Limits;
pub use options::WasmtimeOptions;
use options::{COLLECTORS, LEAST_HEAP, OPTIONS};
use types::Types;

/// Bytes of heap for each byte of a case's limit: a header takes up to 24 bytes where ours take 8, half of a copying heap stands
/// empty, and a heap that would double beyond its limit does not grow.
const ROOM: u64 = 16;
/// Units of fuel after which a call with `yields` is suspended.
const TURN: u64 = 7;
/// Safepoints of a case that collect, before one in [`SPARSE`] does.
const DENSE: u64 = 4000;
const SPARSE: u64 = 64;

/// Wasmtime under a configuration.
pub struct WasmtimeSubject {
    name: String,
    options: WasmtimeOptions,
    shelf: Shelf,
    /// Without and with fuel, as far as they were needed.
    engines: [Option<Engine>; 2],
}

impl WasmtimeSubject {
    /// A subject; makes an engine.
    ///
    /// # Errors
    /// What Wasmtime lacks.
    pub fn new(options: WasmtimeOptions, shelf: &Shelf) -> Result<Self, String> {
        let name = options.name();
        let mut subject = WasmtimeSubject { name, options, shelf: shelf.clone(), engines: [None, None] };
        subject.engine_for(true).map_err(|error| format!("{error:#}"))?;
        Ok(subject)
    }

    fn engine_for(&mut self, fuel: bool) -> ::wasmtime::Result<Engine> {
        let place = &mut self.engines[usize::from(fuel)];
        if let Some(engine) = place {
            return Ok(engine.clone());
        }
        Ok(place.insert(self.options.engine(fuel)?).clone())
    }

    fn peer(&mut self, case: &Case) -> ::wasmtime::Result<Peer> {
        let options = self.options.clone();
        let counts = case.schedule.fuel.is_some() || options.yields;
        let engine = self.engine_for(counts)?;
        let limit = case.schedule.gc_heap_max.map(|limit| limit.saturating_mul(ROOM).max(LEAST_HEAP));
        let heap = limit.unwrap_or(options.heap).min(options.heap);
        let limits = Limits { heap: usize::try_from(heap).unwrap_or(usize::MAX) };
        let data = Data { host: Default::default(), limits, collections: 0, safepoints: 0 };
        let mut store = Store::new(&engine, data);
        store.limiter(|data| &mut data.limits);
        if options.every_safepoint {
            store.set_epoch_deadline(0);
            store.epoch_deadline_callback(|mut store| {
                let data: &mut Data = store.data_mut();
                data.safepoints += 1;
                if data.safepoints <= DENSE || data.safepoints.is_multiple_of(SPARSE) {
                    collect(&mut store)?;
                }
                Ok(UpdateDeadline::Continue(0))
            });
        }
        if options.yields {
            store.fuel_async_yield_interval(Some(TURN))?;
        }
        let books = Books::new(Types::new(engine.clone()));
        Ok(Peer::new(engine, store, books, self.shelf.clone(), (counts, options.yields)))
    }
}

impl Subject for WasmtimeSubject {
    fn name(&self) -> &str {
        &self.name
    }

    fn supports(&self) -> Features {
        Features {
            validates: true,
            gc: true,
            simd: true,
            relaxed_simd: true,
            constant_conversions: true,
            exceptions: true,
            legacy_exceptions: false,
            tail_calls: true,
            memory64: true,
            multi_memory: true,
            collects: self.options.collector != "null",
            graphs: true,
            liveness: false,
        }
    }

    fn observe(&mut self, case: &Case) -> Observation {
        match self.peer(case) {
            Ok(mut peer) => super::script::run(&mut peer, case),
            Err(error) => {
                let crash = Outcome::Crashed(format!("no store: {error:#}"));
                Observation { outcomes: vec![crash; case.steps.len()], ..Observation::default() }
            }
        }
    }
}

/// The subjects of `wasmtime:` and `rest`: a collector or `*` and options, `*` as with the JIT.
///
/// # Errors
/// What exists instead.
pub(super) fn parse(shelf: &Shelf, rest: &str) -> Result<Vec<Box<dyn Subject>>, String> {
    let mut parts = rest.split(',').map(str::trim);
    let collector = parts.next().unwrap_or_default();
    let mut levels = collector == "*";
    let mut options = WasmtimeOptions::default();
    for part in parts {
        if part == "opt=*" {
            levels = true;
        } else if options.set(part) {
            levels &= !part.starts_with("opt=");
        } else {
            return Err(format!("no option {part:?}; there are {OPTIONS}"));
        }
    }
    let chosen: Vec<&str> = COLLECTORS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| collector == "*" || collector == *name)
        .collect();
    if chosen.is_empty() {
        return Err(format!("no collector {collector:?}; there are drc, copying, null, and * for all"));
    }
    let mut subjects: Vec<Box<dyn Subject>> = Vec::new();
    for collector in chosen {
        options.collector = collector.to_owned();
        for level in if levels { &["opt=none", "opt=speed"][..] } else { &[""] } {
            options.set(level);
            subjects.push(Box::new(WasmtimeSubject::new(options.clone(), shelf)?));
        }
    }
    Ok(subjects)
}
