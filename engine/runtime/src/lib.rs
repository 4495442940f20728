//! Stores, instances, host functions and traps: the embedding API of Assay's JIT engine.
//!
//! The way of the data: [`Module::new`] compiles bytes through `assay-jit`; a [`Store`] owns a heap of `assay-gc` and
//! everything that was instantiated in it; [`Instance::new`] links imports and runs initialisers; [`Func::call`] enters
//! wasm code, which comes back through the builtins (allocation, bulk operations, host calls) or leaves by a trap.
//!
//! Contents: [`Engine`], [`Config`] · [`Module`] · [`Store`], [`StoreInner`], [`Caller`] · [`Instance`], [`Linker`],
//! [`Extern`] · [`Func`], [`Table`], [`Memory`], [`Global`], [`Tag`] · [`Val`], [`Rooted`], [`ExternRef`] · [`Fiber`] ·
//! [`Inspector`] · [`Error`], [`Exception`].
//!
//! ```
//! use assay_runtime::{Config, Engine, Instance, Module, Store};
//!
//! # fn main() -> Result<(), assay_runtime::Error> {
//! let text = r#"(module
//!     (type $pair (struct (field i32) (field i32)))
//!     (func (export "second") (param i32 i32) (result i32)
//!         (struct.get $pair 1 (struct.new $pair (local.get 0) (local.get 1)))))"#;
//! let wasm = wat::parse_str(text).expect("the text is well-formed");
//!
//! let engine = Engine::new(Config::default())?;
//! let module = Module::new(&engine, &wasm)?;
//! let mut store = Store::new(&engine)?;
//! let instance = Instance::new(&mut store, &module, &[])?;
//! let second = instance.exported_func(&store, "second")?.typed::<(i32, i32), i32>(&store)?;
//! assert_eq!(second.call(&mut store, (1, 2))?, 2);
//! # Ok(())
//! # }
//! ```
//!
//! Handles ([`Func`], [`Rooted`], …) name their store; use with another store is an error, never undefined behaviour.
//! Every function that needs a store takes `&mut StoreInner` (or `&`); [`Store`] and [`Caller`] dereference to it.

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("assay-runtime knows the stack frames and signal contexts of x86-64 Linux only");

mod builtins;
mod config;
mod constant;
mod engine;
mod enter;
mod error;
mod exception;
mod externs;
mod fiber;
mod func;
mod global;
mod handle;
#[cfg(test)]
mod hostile_heap;
mod inspect;
mod instance;
mod link;
mod memory;
mod module;
mod pinned;
mod reserve;
mod roots;
mod signal;
#[cfg(test)]
mod slow_barriers;
mod stack;
mod store;
mod table;
mod typed;
mod value;

pub use assay_gc::{
    AbstractHeapType, CollectKind, CompositeType, Event, FieldType, FuncType, GcRef, HeapType, Pauses,
    RecGroup, RefType, Schedule, Stats, StorageType, Stress, SubType, Trigger, TypeId, TypeRegistry, ValType,
};
pub use assay_jit::module::{ExternType, GlobalType, Import, MemoryType, TableType};
pub use assay_jit::{Cpu, OptLevel, Place, RegAlloc, TrapCode, Validated};
pub use config::Config;
pub use engine::Engine;
pub use error::{Error, ErrorKind, FiberMisuse, Frame, LinkReason, Resource, Usage};
pub use exception::Exception;
pub use externs::{Extern, Tag};
pub use fiber::{AsyncCaller, EpochHandle, Fiber, FiberStats, HostFuture, OnFiber, Slice, Turn, Yield};
pub use func::{Caller, Func};
pub use global::Global;
pub use handle::Rooted;
pub use inspect::{FuncInfo, Inspector, RawVal, RefKind};
pub use instance::Instance;
pub use link::Linker;
pub use memory::Memory;
pub use module::Module;
pub use roots::RootCounts;
pub use store::{Store, StoreInner};
pub use table::Table;
pub use typed::{TypedFunc, WasmList, WasmValue};
pub use value::{AnyRef, ExternRef, Val};
