//! wasm-smith with all of WebAssembly 3.0 on: modules of every odd shape, called with made-up arguments.
//!
//! Its programs rarely touch the heap, but it knows constructs that the typed generator does not emit. NaNs are canonical,
//! and fuel ends loops.

use arbitrary::Unstructured;
use wasm_smith::{Config, Module};
use wasmparser::{CompositeInnerType, ExternalKind, Parser, Payload, TypeRef, ValType};

use super::choices::Choices;
use super::objects::step;
use super::schedule;
use crate::graph::NodeRef;
use crate::{Action, Case, Features, Schedule, Source, Value};

/// Fuel of each step: most calls that do not trap loop or recurse for ever. So little that it runs out before any call
/// stack does.
const FUEL: u64 = 500;

/// Calls of one case, at most.
const CALLS: usize = 16;

/// Makes a case of the bytes.
pub fn generate(input: &mut Unstructured<'_>) -> Case {
    within(input, Features::OF_PROGRAMS)
}

/// The same, with a module that uses no more than these features.
pub fn within(input: &mut Unstructured<'_>, features: Features) -> Case {
    let config = Config {
        gc_enabled: features.gc,
        exceptions_enabled: features.exceptions,
        memory64_enabled: features.memory64,
        simd_enabled: features.simd,
        relaxed_simd_enabled: features.relaxed_simd,
        tail_call_enabled: features.tail_calls,
        max_memories: if features.multi_memory { 2 } else { 1 },
        ..config()
    };
    // An empty module stands in where wasm-smith gives up.
    let module = Module::new(config, input).map_or_else(|_| b"\0asm\x01\0\0\0".to_vec(), |m| m.to_bytes());
    let mut choices = Choices::new(input);
    let mut case = script(module, 1, CALLS, &mut choices);
    case.schedule = Schedule {
        origin: case.schedule.origin.take(),
        fuel: case.schedule.fuel,
        observe_state: case.schedule.observe_state,
        ..schedule::collections(&mut choices)
    };
    case
}

/// A module that may use all of WebAssembly 3.0, for validators rather than executors.
pub(crate) fn module_of_everything(input: &mut Unstructured<'_>) -> Vec<u8> {
    Module::new(everything(), input).map_or_else(|_| b"\0asm\x01\0\0\0".to_vec(), |m| m.to_bytes())
}

/// A case of any module: each exported function is called `rounds` times (once without parameters) with made-up
/// arguments; functions that take references which cannot be null are left out.
pub(super) fn script(module: Vec<u8>, rounds: usize, limit: usize, choices: &mut Choices<'_, '_>) -> Case {
    let functions = functions(&module);
    let mut steps = vec![step(Action::Module { name: None, source: Source::Binary(module) })];
    for (field, params) in functions.into_iter().take(limit) {
        for _ in 0..if params.is_empty() { 1 } else { rounds } {
            let args: Option<Vec<Value>> = params.iter().map(|ty| argument(choices, *ty)).collect();
            if let Some(args) = args {
                steps.push(step(Action::Invoke { module: None, field: field.clone(), args }));
            }
        }
    }
    let schedule = Schedule {
        origin: Some("generator smith".to_owned()),
        fuel: Some(FUEL),
        observe_state: true,
        ..Schedule::default()
    };
    Case { schedule, steps }
}

fn config() -> Config {
    Config {
        min_types: 10,
        max_types: 30,
        min_funcs: 3,
        max_funcs: 6,
        min_globals: 2,
        max_globals: 8,
        max_instructions: 120,
        max_imports: 0,
        max_tags: 2,
        max_memories: 2,
        max_memory32_bytes: 2 << 16,
        max_memory64_bytes: 2 << 16,
        memory_max_size_required: true,
        max_tables: 2,
        max_table_elements: 64,
        table_max_size_required: true,
        max_elements: 8,
        max_element_segments: 6,
        max_data_segments: 4,
        export_everything: true,
        allow_start_export: false,
        limit_arrays_in_const_exprs: true,
        const_expr_fuel: 20,
        canonicalize_nans: true,
        bulk_memory_enabled: true,
        reference_types_enabled: true,
        multi_value_enabled: true,
        gc_enabled: true,
        extended_const_enabled: true,
        saturating_float_to_int_enabled: true,
        sign_extension_ops_enabled: true,
        exceptions_enabled: true,
        memory64_enabled: true,
        simd_enabled: true,
        // Both executors implement the deterministic profile.
        relaxed_simd_enabled: true,
        tail_call_enabled: true,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        wide_arithmetic_enabled: false,
        acquire_release_atomics_enabled: false,
        custom_descriptors_enabled: false,
        custom_page_sizes_enabled: false,
        compact_imports_enabled: false,
        multibyte_array_access_enabled: false,
        ..Config::default()
    }
}

fn everything() -> Config {
    Config {
        min_types: 6,
        max_funcs: 6,
        max_instructions: 120,
        max_imports: 6,
        max_tags: 3,
        max_memories: 3,
        max_tables: 3,
        allow_start_export: true,
        canonicalize_nans: false,
        memory_max_size_required: false,
        table_max_size_required: false,
        ..config()
    }
}

/// Exported functions by name, with their parameters.
fn functions(module: &[u8]) -> Vec<(String, Vec<ValType>)> {
    let mut types: Vec<Option<Vec<ValType>>> = Vec::new();
    let mut functions: Vec<u32> = Vec::new();
    let mut exported = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload {
            Ok(Payload::TypeSection(section)) => {
                for group in section.into_iter().flatten() {
                    types.extend(group.into_types().map(|ty| match ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => Some(ty.params().to_vec()),
                        _ => None,
                    }));
                }
            }
            Ok(Payload::ImportSection(section)) => {
                for import in section.into_imports().flatten() {
                    if let TypeRef::Func(ty) = import.ty {
                        functions.push(ty);
                    }
                }
            }
            Ok(Payload::FunctionSection(section)) => functions.extend(section.into_iter().flatten()),
            Ok(Payload::ExportSection(section)) => {
                for export in section.into_iter().flatten() {
                    if export.kind == ExternalKind::Func {
                        exported.push((export.name.to_owned(), export.index));
                    }
                }
            }
            _ => {}
        }
    }
    exported
        .into_iter()
        .filter_map(|(name, index)| {
            let ty = *functions.get(index as usize)?;
            Some((name, types.get(ty as usize)?.clone()?))
        })
        .collect()
}

/// A value of the type; none for references that cannot be null.
fn argument(c: &mut Choices<'_, '_>, ty: ValType) -> Option<Value> {
    Some(match ty {
        ValType::I32 => Value::I32(c.i32()),
        ValType::I64 => Value::I64(c.i64()),
        ValType::F32 => Value::F32(c.f32()),
        ValType::F64 => Value::F64(c.f64()),
        ValType::V128 => Value::V128(u128::from(c.i64() as u64) << 64 | u128::from(c.i64() as u64)),
        ValType::Ref(ty) if ty.is_nullable() => Value::Ref(NodeRef::Null),
        ValType::Ref(_) => return None,
    })
}
