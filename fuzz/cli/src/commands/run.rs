//! `assay run`: one module on the JIT engine.

use std::fs;
use std::path::{Path, PathBuf};

use assay_harness::case::Collection;
use assay_harness::subject::stress;
use assay_runtime::{
    Config, Engine, ErrorKind, Extern, Instance, Module, RefKind, Schedule, Store, StoreInner, Val,
};
use clap::Args;

use crate::exit::{Exit, Failure};
use crate::statistics;

/// Arguments of `assay run`.
#[derive(Args)]
pub(crate) struct RunArguments {
    /// Collector and heap: `collector=NAME`, `gc-heap-max=SIZE` (e.g. 64m); testing modes `gc-stress[=all]`, `every-alloc`,
    /// `every-safepoint`, `barrier-slow`, `move-always`, `settle`, `poison`, `verify`; `collect-every=N`, `collect-every-safepoint=N`,
    /// `collect-seed=N`, `schedule=minor@alloc:7,full@safepoint:31,slice:5@alloc:9`; `polls` for code that passes safepoints.
    #[arg(short = 'C', value_name = "KEY[=VALUE]")]
    collector: Vec<String>,
    /// Code: `opt=none|speed`, `regalloc=single_pass|backtracking`.
    #[arg(short = 'O', value_name = "KEY=VALUE")]
    code: Vec<String>,
    /// Fuel; the program ends with "out of fuel" when it is used up.
    #[arg(long)]
    fuel: Option<u64>,
    /// Print the heap's counters and pauses at the end, on standard error.
    #[arg(long)]
    stats: bool,
    /// Print one JSON object instead of lines: results, and with --stats counters and pauses.
    #[arg(long)]
    json: bool,
    /// Export to call; without it only the start function runs (and `_start`, if there is one).
    #[arg(long, value_name = "NAME")]
    invoke: Option<String>,
    /// The module (.wasm or .wat).
    file: PathBuf,
    /// Arguments of the export: numbers, or `null`.
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    arguments: Vec<String>,
}

/// Runs.
pub(crate) fn run(arguments: &RunArguments) -> Result<Exit, Failure> {
    let shown = arguments.file.display().to_string();
    if arguments.invoke.is_none() && !arguments.arguments.is_empty() {
        return Err(Failure::bad_input("arguments without --invoke NAME"));
    }
    let bytes = fs::read(&arguments.file).map_err(|error| Failure::bad_input(format!("{shown}: {error}")))?;
    let bytes = to_binary(&arguments.file, bytes)?;
    let (config, schedule) = config(arguments)?;
    let subject = format!("collector {}", config.collector);
    let engine = Engine::new(config).map_err(|error| Failure::bad_input(format!("{subject}: {error}")))?;
    let module = Module::new(&engine, &bytes).map_err(|error| failure(&shown, &error))?;
    if let Some(import) = module.imports().first() {
        return Err(Failure::bad_input(format!(
            "{shown}: the module imports {}.{}; assay run offers no imports",
            import.module, import.name
        )));
    }
    let mut store = Store::new(&engine).map_err(Failure::internal)?;
    if let Some(fuel) = arguments.fuel {
        store.set_fuel(fuel);
    }
    store.set_schedule(&schedule);
    let ended = execute(&mut store, &module, arguments, &shown);
    let statistics = arguments.stats.then(|| statistics::of(&store));
    // After the counters are taken: it collects.
    let live = arguments.stats.then(|| store.live_objects()).transpose();
    let live = live.map_err(|error| failure(&shown, &error));
    if arguments.json {
        let mut value = serde_json::json!({ "results": ended.as_ref().ok() });
        if let Some(statistics) = &statistics {
            value["plain_functions"] = module.plain_functions().into();
            value["counters"] = statistics.counters_json();
            value["pauses"] = statistics.pauses_json();
            let live = live.as_ref().ok().copied().flatten();
            value["live"] = serde_json::json!(
                live.map(|(objects, bytes)| serde_json::json!({ "objects": objects, "bytes": bytes }))
            );
        }
        println!("{}", serde_json::to_string_pretty(&value).map_err(Failure::internal)?);
    } else {
        for result in ended.as_ref().into_iter().flatten() {
            println!("{result}");
        }
        if let Some(statistics) = &statistics {
            eprint!("{}", statistics.human());
            if module.plain_functions() > 0 {
                eprintln!("code: {} functions too large to be optimised", module.plain_functions());
            }
        }
        if let Ok(Some((objects, bytes))) = &live {
            eprintln!("live: {objects} objects, {bytes} bytes");
        }
    }
    ended?;
    live?;
    Ok(Exit::Fine)
}

/// Runs what is asked for; results as text.
fn execute(
    store: &mut Store,
    module: &Module,
    arguments: &RunArguments,
    shown: &str,
) -> Result<Vec<String>, Failure> {
    let instance = Instance::new(store, module, &[]).map_err(|error| failure(shown, &error))?;
    let name = match &arguments.invoke {
        Some(name) => name.as_str(),
        None if matches!(instance.export(store, "_start"), Ok(Some(Extern::Func(_)))) => "_start",
        None => return Ok(Vec::new()),
    };
    let exported = instance.export(store, name).map_err(|error| failure(shown, &error))?;
    let Some(Extern::Func(func)) = exported else {
        return Err(Failure::bad_input(format!("{shown}: no exported function {name:?}")));
    };
    let ty = func.ty(store).map_err(|error| failure(shown, &error))?;
    if ty.params.len() != arguments.arguments.len() {
        return Err(Failure::bad_input(format!(
            "{name} takes {} arguments, given {}",
            ty.params.len(),
            arguments.arguments.len()
        )));
    }
    let args = ty
        .params
        .iter()
        .zip(&arguments.arguments)
        .map(|(ty, text)| argument(store, ty, text))
        .collect::<Result<Vec<_>, _>>()?;
    let results = func.call(store, &args).map_err(|error| failure(shown, &error))?;
    Ok(results.iter().map(|value| show(store, value)).collect())
}

/// A module's bytes: text is translated.
pub(crate) fn to_binary(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if bytes.starts_with(b"\0asm") || path.extension().is_some_and(|e| e == "wasm") {
        return Ok(bytes);
    }
    wat::Parser::new()
        .parse_bytes(Some(path), &bytes)
        .map(std::borrow::Cow::into_owned)
        .map_err(|error| Failure::bad_input(format!("{error}")))
}

fn failure(shown: &str, error: &assay_runtime::Error) -> Failure {
    // The text names the frames of a trap.
    let message = format!("{shown}: {error}");
    match error.kind() {
        ErrorKind::Trap(_) | ErrorKind::Exhausted(_) | ErrorKind::Host(_) => Failure::finding(message),
        ErrorKind::Corrupt(_) | ErrorKind::Internal(_) => Failure::internal(message),
        _ => Failure::bad_input(message),
    }
}

fn config(arguments: &RunArguments) -> Result<(Config, Schedule), Failure> {
    use assay_runtime::{OptLevel, RegAlloc};
    let mut config = Config { fuel: arguments.fuel.is_some(), ..Config::default() };
    let mut schedule = Schedule::default();
    for setting in &arguments.collector {
        let wrong = |why: &dyn std::fmt::Display| Failure::bad_input(format!("-C {setting}: {why}"));
        let number = |text: &str| text.parse::<u32>().map_err(|error| wrong(&error));
        match setting.split_once('=').unwrap_or((setting, "")) {
            ("collector", name) => config.collector = name.to_owned(),
            ("gc-heap-max", size) => {
                config.gc_heap_max = parse_size(size).map_err(|why| wrong(&why))?;
                config.gc_heap_initial = config.gc_heap_initial.min(config.gc_heap_max);
            }
            ("polls", "") => config.polls = true,
            ("collect-every", n) => config.stress.every_nth = number(n)?,
            ("collect-every-safepoint", n) => config.stress.every_safepoint = number(n)?,
            ("collect-seed", n) => schedule.seed = Some(n.parse().map_err(|error| wrong(&error))?),
            ("schedule", list) => {
                let list = Collection::list(list).map_err(|error| wrong(&error))?;
                config.polls |= list.iter().any(Collection::at_safepoint);
                schedule.events.extend(list.into_iter().map(|Collection(event)| event));
            }
            _ if stress::set(&mut config.stress, setting) => {}
            _ => {
                return Err(wrong(&format!(
                    "there are collector=NAME, gc-heap-max=SIZE, {}, polls, collect-every=N, collect-every-safepoint=N, \
                     collect-seed=N and schedule=KIND@alloc:N,KIND@safepoint:N,…",
                    stress::MODES
                )));
            }
        }
    }
    config.polls |= config.stress.every_safepoint != 0 || schedule.seed.is_some();
    for setting in &arguments.code {
        match setting.as_str() {
            "opt=none" => config.opt = OptLevel::None,
            "opt=speed" => config.opt = OptLevel::Speed,
            "regalloc=single_pass" => config.regalloc = RegAlloc::SinglePass,
            "regalloc=backtracking" => config.regalloc = RegAlloc::Backtracking,
            _ => {
                return Err(Failure::bad_input(format!(
                    "-O {setting}: there are opt=none|speed and regalloc=single_pass|backtracking"
                )));
            }
        }
    }
    Ok((config, schedule))
}

/// `4096`, `64k`, `16m`, `1g`.
fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 =
        digits.parse().map_err(|_| format!("not a size: {text:?}; write 4096, 64k, 16m or 1g"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text} does not fit 64 bits"))
}

fn argument(store: &StoreInner, ty: &assay_runtime::ValType, text: &str) -> Result<Val, Failure> {
    use assay_runtime::ValType;
    let wrong = || Failure::bad_input(format!("{text:?} is no argument of type {ty:?}"));
    Ok(match ty {
        ValType::I32 => Val::I32(
            text.parse::<i32>().or_else(|_| text.parse::<u32>().map(|v| v as i32)).map_err(|_| wrong())?,
        ),
        ValType::I64 => Val::I64(
            text.parse::<i64>().or_else(|_| text.parse::<u64>().map(|v| v as i64)).map_err(|_| wrong())?,
        ),
        ValType::F32 => Val::F32(text.parse::<f32>().map_err(|_| wrong())?.to_bits()),
        ValType::F64 => Val::F64(text.parse::<f64>().map_err(|_| wrong())?.to_bits()),
        ValType::V128 => Val::V128(text.parse().map_err(|_| wrong())?),
        ValType::Ref(ty) if ty.nullable && text == "null" => Val::default_of(store, &ValType::Ref(*ty)),
        ValType::Ref(_) => return Err(wrong()),
    })
}

fn show(store: &StoreInner, value: &Val) -> String {
    match value {
        Val::I32(v) => v.to_string(),
        Val::I64(v) => v.to_string(),
        Val::F32(bits) => f32::from_bits(*bits).to_string(),
        Val::F64(bits) => f64::from_bits(*bits).to_string(),
        Val::V128(v) => format!("{v:#034x}"),
        Val::FuncRef(func) => if func.is_some() { "funcref" } else { "null" }.to_owned(),
        Val::AnyRef(None) | Val::ExternRef(None) | Val::ExnRef(None) => "null".to_owned(),
        Val::AnyRef(Some(handle)) | Val::ExternRef(Some(handle)) | Val::ExnRef(Some(handle)) => {
            match handle.kind(store) {
                Ok(RefKind::I31(v)) => format!("i31 {v}"),
                Ok(kind) => format!("{kind:?}").to_lowercase(),
                Err(error) => error.to_string(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64k"), Ok(65536));
        assert_eq!(parse_size("1G"), Ok(1 << 30));
        assert_eq!(parse_size("12"), Ok(12));
        assert!(
            parse_size("").is_err()
                && parse_size("m").is_err()
                && parse_size("99999999999999999999g").is_err()
        );
    }
}
