//! WebAssembly to machine code.
//!
//! The way of the data: bytes → wasmparser (decode and validate) → [`module::ModuleInfo`] and CLIF (`translate`) →
//! Cranelift → [`CompiledModule`]: code, entry points, and tables of stack maps and traps. The runtime links and runs
//! it; what code and runtime share at run time stands in [`vmctx`] and [`builtins`].
//!
//! A function whose compilation would take long is compiled without optimisation ([`CompiledModule::plain`]); beyond
//! that, and beyond the limits of wasmparser ([`limit`]), a module is refused as [`ErrorKind::Limit`].

pub mod builtins;
pub mod code;
pub mod compile;
pub mod error;
pub mod limit;
pub mod module;
pub mod trampoline;
pub mod trap;
pub mod vmctx;

mod barrier;
mod convert;
mod cpu;
mod decode;
mod foreign;
mod link;
mod translate;

pub use code::{CodeMap, Landing, StackMap};
pub use compile::{CompileOptions, CompiledModule, Compiler, OptLevel, RegAlloc, Validated};
pub use cpu::Cpu;
pub use error::{Error, ErrorKind, Place};
pub use trap::TrapCode;
