//! Matching imports with definitions (spec "External Types" matching), by position or by name.

use std::collections::HashMap;

use assay_gc::TypeRegistry;
use assay_jit::module::{ExternType, GlobalType, Import};

use crate::store::StoreInner;
use crate::{Error, ErrorKind, Extern, Instance, LinkReason, Module};

/// Whether a definition of type `given` may stand for an import of type `wanted`.
fn matches(types: &TypeRegistry, given: &ExternType, wanted: &ExternType) -> bool {
    match (given, wanted) {
        (ExternType::Func(given), ExternType::Func(wanted)) => types.is_subtype(*given, *wanted),
        (ExternType::Table(given), ExternType::Table(wanted)) => {
            given.element == wanted.element
                && given.is_64 == wanted.is_64
                && limits(given.min, given.max, wanted.min, wanted.max)
        }
        (ExternType::Memory(given), ExternType::Memory(wanted)) => {
            given.is_64 == wanted.is_64 && limits(given.min, given.max, wanted.min, wanted.max)
        }
        (ExternType::Global(given), ExternType::Global(wanted)) => global_matches(types, given, wanted),
        (ExternType::Tag(given), ExternType::Tag(wanted)) => given == wanted,
        _ => false,
    }
}

fn limits(given_min: u64, given_max: Option<u64>, min: u64, max: Option<u64>) -> bool {
    given_min >= min && max.is_none_or(|max| given_max.is_some_and(|given| given <= max))
}

fn global_matches(types: &TypeRegistry, given: &GlobalType, wanted: &GlobalType) -> bool {
    given.mutable == wanted.mutable
        && types.matches(&given.content, &wanted.content)
        && (!wanted.mutable || types.matches(&wanted.content, &given.content))
}

/// The error of a refused import.
fn refused(import: &Import, why: LinkReason) -> Error {
    Error::new(ErrorKind::Link { module: import.module.clone(), name: import.name.clone(), why })
}

/// Checks a definition against an import.
pub(crate) fn check_import(store: &StoreInner, import: &Import, given: &Extern) -> Result<(), Error> {
    let ty = given.ty(store)?;
    if matches(store.types(), &ty, &import.ty) {
        Ok(())
    } else {
        Err(refused(import, LinkReason::Incompatible))
    }
}

/// Definitions by module and field name.
#[derive(Clone, Debug, Default)]
pub struct Linker {
    modules: HashMap<String, HashMap<String, Extern>>,
}

impl Linker {
    /// An empty one.
    pub fn new() -> Linker {
        Linker::default()
    }
    /// Defines `module` `name`; a later definition replaces an earlier one.
    pub fn define(&mut self, module: &str, name: &str, item: Extern) {
        self.modules.entry(module.to_owned()).or_default().insert(name.to_owned(), item);
    }
    /// Defines all exports of `instance` under the module name `module`, and nothing else there.
    ///
    /// # Errors
    /// `WrongStore`.
    pub fn instance(&mut self, store: &StoreInner, module: &str, instance: Instance) -> Result<(), Error> {
        let exports: HashMap<String, Extern> = instance.exports(store)?.into_iter().collect();
        self.modules.insert(module.to_owned(), exports);
        Ok(())
    }
    /// What is defined as `module` `name`.
    pub fn get(&self, module: &str, name: &str) -> Option<Extern> {
        self.modules.get(module)?.get(name).copied()
    }
    /// The definitions of the module's imports, in order.
    ///
    /// # Errors
    /// `Link` with [`LinkReason::Unknown`].
    pub fn resolve(&self, module: &Module) -> Result<Vec<Extern>, Error> {
        let find = |import: &Import| {
            self.get(&import.module, &import.name).ok_or_else(|| refused(import, LinkReason::Unknown))
        };
        module.imports().iter().map(find).collect()
    }
    /// Resolves the imports and instantiates.
    ///
    /// # Errors
    /// As [`Linker::resolve`] and [`Instance::new`].
    pub fn instantiate(&self, store: &mut StoreInner, module: &Module) -> Result<Instance, Error> {
        let imports = self.resolve(module)?;
        Instance::new(store, module, &imports)
    }
}
