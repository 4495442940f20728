//! Whole modules: validation, translation, Cranelift, code memory.

use std::fmt;
use std::sync::{Arc, OnceLock};

use assay_gc::{CodeShape, TypeRegistry};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::FunctionBuilderContext;

use crate::convert::internal;
use crate::decode::{self, Decoded};
use crate::link::{CodeMemory, Linked, Linker};
use crate::module::ModuleInfo;
use crate::{CodeMap, Cpu, Error, Place, translate};

/// Cranelift's optimisation level.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OptLevel {
    /// None.
    None,
    /// For speed.
    Speed,
}

/// Cranelift's register allocator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RegAlloc {
    /// Quick.
    SinglePass,
    /// Good.
    Backtracking,
}

/// How code is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CompileOptions {
    /// Optimisation level.
    pub opt: OptLevel,
    /// Register allocator.
    pub regalloc: RegAlloc,
    /// Which of the processor's instructions code may use (a bisect switch).
    pub cpu: Cpu,
    /// Whether code counts fuel.
    pub fuel: bool,
    /// Whether code passes a safepoint at each function's entry and at each arrival at a loop's header.
    pub polls: bool,
    /// Whether a fiber may be suspended at each function's entry, at each arrival at a loop's header (when its fuel or its
    /// epochs are used up) and before each bulk operation (fuel).
    pub yields: bool,
    /// Whether stores into fresh objects run the collector's barrier too, where that does something for them.
    pub slow_barriers: bool,
    /// Whether Cranelift's verifier runs.
    pub verifier: bool,
    /// Whether Cranelift's alias analysis runs (a bisect switch).
    pub alias_analysis: bool,
    /// Whether modules may use the exception instructions that WebAssembly 3.0 left out (`try`, `catch`, `rethrow`,
    /// `delegate`).
    pub legacy_exceptions: bool,
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions {
            opt: OptLevel::Speed,
            regalloc: RegAlloc::Backtracking,
            cpu: Cpu::Native,
            fuel: false,
            polls: false,
            yields: false,
            slow_barriers: false,
            verifier: cfg!(debug_assertions),
            alias_analysis: true,
            legacy_exceptions: false,
        }
    }
}

impl CompileOptions {
    /// Whether Cranelift is set alike by both: then it makes the same of the same CLIF, and trampolines, which depend on
    /// nothing else, are the same.
    pub fn sets_machine_like(&self, other: &CompileOptions) -> bool {
        let settings = |o: &CompileOptions| (o.opt, o.regalloc, o.cpu, o.verifier, o.alias_analysis);
        settings(self) == settings(other)
    }
}

/// Compiles modules for one engine configuration. Thread-safe.
pub struct Compiler {
    pub(crate) isa: OwnedTargetIsa,
    /// The same machine for functions that are too large for the options.
    plain: OnceLock<OwnedTargetIsa>,
    pub(crate) options: CompileOptions,
    pub(crate) shape: CodeShape,
    pub(crate) types: Arc<TypeRegistry>,
}

impl fmt::Debug for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiler").field("options", &self.options).field("shape", &self.shape).finish()
    }
}

/// Cranelift's settings for `options`, of which it reads what [`CompileOptions::sets_machine_like`] compares. Stack overflow is found by comparison with a limit, so no probes; frames are
/// walked by frame pointers, so no unwind information; 1,000 results are legal, so the implicit return area.
fn isa(options: &CompileOptions) -> Result<OwnedTargetIsa, Error> {
    let refuse = |error: &dyn fmt::Display| internal(&format!("Cranelift refuses the settings: {error}"));
    let flag = |on: bool| if on { "true" } else { "false" };
    let mut builder = settings::builder();
    for (name, value) in [
        ("opt_level", if options.opt == OptLevel::None { "none" } else { "speed" }),
        (
            "regalloc_algorithm",
            if options.regalloc == RegAlloc::SinglePass { "single_pass" } else { "backtracking" },
        ),
        ("enable_alias_analysis", flag(options.alias_analysis)),
        ("enable_verifier", flag(options.verifier)),
        ("enable_nan_canonicalization", "true"),
        ("preserve_frame_pointers", "true"),
        ("enable_probestack", "false"),
        ("unwind_info", "false"),
        ("enable_multi_ret_implicit_sret", "true"),
        ("use_colocated_libcalls", "false"),
        ("is_pic", "false"),
    ] {
        builder.set(name, value).map_err(|error| refuse(&error))?;
    }
    let machine = options.cpu.builder()?;
    machine.finish(settings::Flags::new(builder)).map_err(|error| refuse(&error))
}

impl Compiler {
    /// A compiler for this machine.
    ///
    /// # Errors
    /// `Machine` when the processor lacks what the engine demands; `Internal` when Cranelift refuses the settings.
    pub fn new(
        options: CompileOptions,
        shape: CodeShape,
        types: Arc<TypeRegistry>,
    ) -> Result<Compiler, Error> {
        Ok(Compiler { isa: isa(&options)?, plain: OnceLock::new(), options, shape, types })
    }

    /// The options that it compiles by.
    pub fn options(&self) -> CompileOptions {
        self.options
    }

    /// The shape of the collectors that its code serves.
    pub fn shape(&self) -> CodeShape {
        self.shape
    }

    /// What compiles in a time that grows with the function's size: without optimisation, by the quick allocator.
    fn plain(&self) -> Result<&OwnedTargetIsa, Error> {
        if let Some(plain) = self.plain.get() {
            return Ok(plain);
        }
        let options = CompileOptions { opt: OptLevel::None, regalloc: RegAlloc::SinglePass, ..self.options };
        let made = isa(&options)?;
        Ok(self.plain.get_or_init(|| made))
    }

    /// Decodes, validates and compiles `wasm` (binary format).
    ///
    /// Functions that would take the optimising compiler long are compiled plainly, and counted
    /// ([`CompiledModule::plain`]); so that
    /// each takes seconds at most, or a time that grows with its size. What is too much even so is a `Limit`.
    ///
    /// # Errors
    /// See [`ErrorKind`](crate::ErrorKind).
    pub fn compile(&self, wasm: &[u8]) -> Result<CompiledModule, Error> {
        self.validate(wasm)?;
        self.compile_valid(wasm)
    }

    /// Compiles a module whose validation is done, as [`Compiler::compile`] does; one that was validated under other
    /// rules is validated again.
    ///
    /// # Errors
    /// See [`ErrorKind`](crate::ErrorKind).
    pub fn compile_validated(&self, module: &Validated) -> Result<CompiledModule, Error> {
        if module.legacy_exceptions != self.options.legacy_exceptions {
            self.validate(&module.wasm)?;
        }
        self.compile_valid(&module.wasm)
    }

    fn compile_valid(&self, wasm: &[u8]) -> Result<CompiledModule, Error> {
        let Decoded { info, defs, bodies, .. } =
            decode::module(wasm, &self.types, self.options.legacy_exceptions)?;
        let module = translate::Module {
            info: &info,
            types: &self.types,
            defs: &defs,
            shape: self.shape,
            options: self.options,
            frontend: self.isa.frontend_config(),
        };
        let mut linker = Linker::new(self.isa.clone());
        let mut context = FunctionBuilderContext::new();
        let mut plain = 0;
        for (index, body) in (0..).zip(&bodies) {
            let function = info.imported_funcs + index;
            let place = Place { function, offset: body.range().start as usize };
            let within = |error: Error| error.within(place);
            let func = &mut linker.context.func;
            let work =
                translate::translate_function(module, index, body, func, &mut context).map_err(within)?;
            let isa = if work.is_large() { self.plain()? } else { &self.isa };
            plain += u32::from(work.is_large());
            linker.compile(&**isa, function).map_err(within)?;
        }
        let Linked { map, entries, memory } = linker.finish()?;
        Ok(CompiledModule { info, map, entries, plain, memory })
    }

    /// Decodes and validates only.
    ///
    /// # Errors
    /// See [`ErrorKind`](crate::ErrorKind).
    pub fn validate(&self, wasm: &[u8]) -> Result<(), Error> {
        validate(wasm, self.options.legacy_exceptions)
    }
}

fn validate(wasm: &[u8], legacy_exceptions: bool) -> Result<(), Error> {
    decode::structure(wasm, legacy_exceptions)?;
    decode::validate(wasm, legacy_exceptions)
}

/// A module that has been found valid. Validation alone makes one, and it owns the bytes, so nothing else can be compiled
/// in their place. Cheap to clone.
#[derive(Clone)]
pub struct Validated {
    wasm: Arc<[u8]>,
    legacy_exceptions: bool,
}

impl fmt::Debug for Validated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validated").field("bytes", &self.wasm.len()).finish_non_exhaustive()
    }
}

impl Validated {
    /// Decodes and validates `wasm` (binary format) as the compiler does that `options` are for.
    ///
    /// # Errors
    /// Those of [`Compiler::validate`].
    pub fn new(wasm: &[u8], options: &CompileOptions) -> Result<Validated, Error> {
        validate(wasm, options.legacy_exceptions)?;
        Ok(Validated { wasm: wasm.into(), legacy_exceptions: options.legacy_exceptions })
    }

    /// The module's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.wasm
    }
}

/// A compiled module. Dropping it frees its code: the runtime keeps it as long as any frame, instance or function
/// entry may use it.
#[derive(Debug)]
pub struct CompiledModule {
    /// Everything but code.
    pub info: ModuleInfo,
    /// Code and tables.
    pub map: CodeMap,
    /// Entry point of each *defined* function.
    pub entries: Vec<usize>,
    /// How many functions were too large for the compiler's options (see [`Compiler::compile`]).
    pub plain: u32,
    #[expect(dead_code, reason = "held to be freed")]
    memory: CodeMemory,
}
