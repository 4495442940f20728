//! Criterion group `execute`: each program on the interpreter and on wasmi, in one run. The goal is at most four times
//! wasmi's time. `cargo bench -p assay-interp-benches` (ideally on an idle machine).

use assay_interp::{Config, Extern, Features, Module, Store, Value};
use assay_interp_benches::{FIB, Program, SIEVE};
use criterion::{Criterion, criterion_group, criterion_main};

fn programs(criterion: &mut Criterion) {
    for program in [SIEVE, FIB] {
        let bytes = wat::parse_str(program.text).expect("valid text");
        let mut group = criterion.benchmark_group(format!("execute/{}", program.name));
        let mut ours = interp(&bytes, program.argument);
        let mut theirs = wasmi(&bytes, program.argument);
        assert_eq!(ours(), theirs(), "{}", program.name);
        check(program, ours());
        group.bench_function("interp", |bencher| bencher.iter(&mut ours));
        group.bench_function("wasmi", |bencher| bencher.iter(&mut theirs));
        group.finish();
    }
}

fn check(program: Program, result: i32) {
    assert_eq!(result, program.result, "{}", program.name);
}

fn interp(bytes: &[u8], argument: i32) -> impl FnMut() -> i32 {
    let module = Module::new(bytes, &Features::default()).expect("a module");
    let mut store = Store::new(Config::default());
    let instance = store.instantiate(&module, &[]).expect("an instance");
    let Some(Extern::Func(run)) = store.export(instance, "run") else { panic!("no function") };
    move || match store.invoke(run, &[Value::I32(argument)]).expect("a result")[..] {
        [Value::I32(result)] => result,
        ref other => panic!("{other:?}"),
    }
}

fn wasmi(bytes: &[u8], argument: i32) -> impl FnMut() -> i32 {
    let engine = wasmi::Engine::default();
    let module = wasmi::Module::new(&engine, bytes).expect("a module");
    let mut store = wasmi::Store::new(&engine, ());
    let instance =
        wasmi::Linker::new(&engine).instantiate_and_start(&mut store, &module).expect("an instance");
    let run = instance.get_typed_func::<i32, i32>(&store, "run").expect("a function");
    move || run.call(&mut store, argument).expect("a result")
}

criterion_group!(benches, programs);
criterion_main!(benches);
