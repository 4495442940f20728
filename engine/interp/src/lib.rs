//! The reference interpreter of Assay: a WebAssembly 3.0 implementation written for being right and readable, with its own
//! decoder, validator, types, store and object model. It shares no code with the JIT engine that it is compared with.
//!
//! The way of the data: bytes → [`Module::new`] (`binary/` reads, `valid/` judges, `exec/translate` turns bodies into internal code) →
//! [`Store::instantiate`] (`runtime/`) → [`Store::invoke`] (`exec/`) → values, and a heap to look at. A call that takes turns with
//! others is a [`Fiber`]: [`Store::start_fiber`], [`Store::resume`].
//! The folders are the spec's chapters: `syntax` (Structure), `valid` (Validation), `binary` (Binary Format), `exec` and `runtime`
//! (Execution).
//!
//! Invariants: no unsafe code; no Rust recursion on anything that a module controls, except a host function that calls back or
//! resumes a fiber (bounded by [`Config::max_host_depth`]); malformed input never panics; what cannot happen in valid code is an error of
//! kind [`ErrorKind::Crash`]. Only a valid module can be instantiated; an invalid one is refused with the [`Rule`] that it breaks.
//!
//! ```
//! # fn main() -> Result<(), assay_interp::Error> {
//! // (module (func (export "f") (param i32) (result i32) local.get 0 i32.const 1 i32.add))
//! let bytes = b"\0asm\x01\0\0\0\x01\x06\x01\x60\x01\x7f\x01\x7f\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x09\x01\x07\0\x20\0\x41\x01\x6a\x0b";
//! use assay_interp::{Config, Extern, Features, Module, Store, Value};
//! let module = Module::new(bytes, &Features::default())?;
//! let mut store = Store::new(Config::default());
//! let instance = store.instantiate(&module, &[])?;
//! let Some(Extern::Func(f)) = store.export(instance, "f") else { panic!("no function") };
//! assert_eq!(store.invoke(f, &[Value::I32(41)])?, [Value::I32(42)]);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod binary;
mod error;
mod exec;
mod runtime;
mod syntax;
mod valid;

pub use error::{DecodeError, Error, ErrorKind, HostError, Resource, Result, TrapKind};
pub use exec::fiber::{Fiber, Slice, Turn, Yield};
pub use runtime::collect::LiveSet;
pub use runtime::exception::Exception;
pub use runtime::introspect::{FuncOrigin, ObjectKind, TypePlace};
pub use runtime::store::{Config, HostFunc, PAGE_SIZE, SharedHostFunc, Stats, Store};
pub use runtime::types::GroupId;
pub use runtime::value::{
    Extern, ExternRef, FuncAddr, GlobalAddr, InstanceAddr, MemoryAddr, ObjectAddr, Ref, TableAddr, TagAddr,
    Value,
};
pub use syntax::features::Features;
pub use syntax::module::{ExportType, ImportType, Module};
pub use syntax::types::{
    AddrType, CompositeType, ExternType, FieldType, FuncType, GlobalType, HeapType, Limits, MemoryType,
    RecGroup, RefType, StorageType, SubType, TableType, TypeId, TypeIndex, ValType,
};
pub use valid::Rule;
