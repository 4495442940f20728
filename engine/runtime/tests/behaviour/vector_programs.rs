//! Random straight-line programs of vector instructions give the same bits under every optimisation level, register
//! allocator and choice of processor instructions. Cranelift matches groups of vector instructions, and rewrites them
//! when operands are constants or splats, so operands here are all of these and nested instructions; the scripts of the
//! specification have parameters and constants only.

#[path = "vector_programs/generate.rs"]
mod generate;

use assay_runtime::*;
use generate::Program;

fn engines() -> Vec<(String, Engine)> {
    let mut engines = Vec::new();
    for cpu in [Cpu::Native, Cpu::Avx2, Cpu::Sse41] {
        for opt in [OptLevel::None, OptLevel::Speed] {
            for regalloc in [RegAlloc::SinglePass, RegAlloc::Backtracking] {
                let config = Config { cpu, opt, regalloc, collector: "null".to_owned(), ..Config::default() };
                engines.push((format!("{cpu:?} {opt:?} {regalloc:?}"), Engine::new(config).unwrap()));
            }
        }
    }
    engines
}

/// What each run of the program returns.
fn outcomes(engine: &Engine, program: &Program, wasm: &[u8]) -> Vec<Vec<u128>> {
    let mut store = Store::new(engine).unwrap();
    let module = Module::new(engine, wasm).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let func = instance.exported_func(&store, "f").unwrap();
    let mut outcomes = Vec::new();
    for arguments in &program.arguments {
        let arguments = [
            Val::V128(arguments.vectors[0]),
            Val::V128(arguments.vectors[1]),
            Val::V128(arguments.vectors[2]),
            Val::I32(arguments.i32 as i32),
            Val::I64(arguments.i64 as i64),
            Val::F32(arguments.f32),
            Val::F64(arguments.f64),
        ];
        let results = func.call(&mut store, &arguments).unwrap();
        let bits = |val| if let Val::V128(bits) = val { bits } else { panic!("{val:?}") };
        outcomes.push(results.into_iter().map(bits).collect());
    }
    outcomes
}

#[test]
fn every_configuration_gives_the_same_bits() {
    let engines = engines();
    let programs = if cfg!(debug_assertions) { 40 } else { 1000 };
    for seed in 0..programs {
        let program = generate::program(seed);
        let wasm = wat::parse_str(&program.text).unwrap();
        let mut expected = None;
        for (name, engine) in &engines {
            let outcomes = outcomes(engine, &program, &wasm);
            let expected = expected.get_or_insert_with(|| outcomes.clone());
            assert_eq!(*expected, outcomes, "{name}, program {seed}:\n{}", program.text);
        }
    }
}

#[test]
fn every_instruction_is_generated() {
    let all: Vec<String> = (0..400).map(|seed| generate::program(seed).text).collect();
    let missing: Vec<&str> = generate::instructions()
        .filter(|name| !all.iter().any(|text| text.contains(&format!("({name} "))))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(generate::instructions().count(), 236 + 20);
}
