//! Where functions and tags come from. Wasmtime shows a function that a table or an object holds, but not which one it is.
//!
//! So each module is given exports beside its own ([`expose`]): of each function that a reference can be made to
//! (spec: Validation / Conventions, `C.refs`) and of each tag. Such functions can be reached from outside anyway, so neither
//! what is valid nor the code changes. After the instantiation their places are taken down.

use std::collections::{BTreeSet, HashMap};
use std::ffi::c_void;

use ::wasmtime::{AsContext, Tag};
use wasm_encoder::{Encode, RawSection, SectionId};
use wasmparser::{
    BinaryReaderError, ConstExpr, ElementItems, ExternalKind, Operator, Parser, Payload, TableInit, TypeRef,
};

use crate::observe::Outcome;

/// A module with the exports that it was given.
pub(super) struct Exposed {
    pub(super) bytes: Vec<u8>,
    /// What names of such exports begin with.
    pub(super) prefix: String,
    /// Indices of the functions that have one.
    pub(super) funcs: Vec<u32>,
    /// Indices of the tags, which all have one.
    pub(super) tags: u32,
    /// Imported ones come first. Per import whether it is a function or a tag.
    pub(super) imports: Vec<TypeRef>,
    /// The content of the type section.
    pub(super) types: Vec<u8>,
    /// Whether it has a relaxed multiplication and addition.
    pub(super) fuses: bool,
    /// Instructions of the longest function.
    pub(super) longest: u64,
}

impl Exposed {
    /// The export's name of a function.
    pub(super) fn func(&self, index: u32) -> String {
        format!("{}f{index}", self.prefix)
    }

    /// The export's name of a tag.
    pub(super) fn tag(&self, index: u32) -> String {
        format!("{}t{index}", self.prefix)
    }
}

/// `bytes` with more exports.
///
/// # Errors
/// What is no module.
pub(super) fn expose(bytes: &[u8]) -> Result<Exposed, BinaryReaderError> {
    let mut funcs = BTreeSet::new();
    let (mut imports, mut tags, mut types) = (Vec::new(), 0, Vec::new());
    let (mut names, mut own, mut fuses, mut longest) = (Vec::new(), 0, false, 0);
    // Where sections of the module begin and end, by number; the code section is passed over whole.
    let mut sections: Vec<(u8, std::ops::Range<usize>)> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        if let Some((id, range)) = payload.as_section() {
            sections.push((id, range.start as usize..range.end as usize));
        }
        match payload {
            Payload::TypeSection(section) => {
                let range = section.range();
                types = bytes[range.start as usize..range.end as usize].to_vec();
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imports.push(import?.ty);
                }
                tags = imports.iter().filter(|ty| matches!(ty, TypeRef::Tag(_))).count() as u32;
            }
            Payload::TagSection(section) => tags += section.count(),
            Payload::GlobalSection(section) => {
                for global in section {
                    referred(&global?.init_expr, &mut funcs)?;
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    if let TableInit::Expr(init) = table?.init {
                        referred(&init, &mut funcs)?;
                    }
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    match element?.items {
                        ElementItems::Functions(items) => {
                            for index in items {
                                funcs.insert(index?);
                            }
                        }
                        ElementItems::Expressions(_, items) => {
                            for item in items {
                                referred(&item?, &mut funcs)?;
                            }
                        }
                    }
                }
            }
            Payload::ExportSection(section) => {
                own = section.count();
                for export in section {
                    let export = export?;
                    names.push(export.name);
                    if matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact) {
                        funcs.insert(export.index);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                let mut len = 0;
                for operator in body.get_operators_reader()? {
                    len += 1;
                    fuses |= matches!(
                        operator?,
                        Operator::F32x4RelaxedMadd
                            | Operator::F32x4RelaxedNmadd
                            | Operator::F64x2RelaxedMadd
                            | Operator::F64x2RelaxedNmadd
                    );
                }
                longest = longest.max(len);
            }
            _ => {}
        }
    }
    let mut prefix = "assay ".to_owned();
    while names.iter().any(|name| name.starts_with(&prefix)) {
        prefix.push('\'');
    }
    let mut exposed = Exposed {
        bytes: Vec::new(),
        prefix,
        funcs: funcs.into_iter().collect(),
        tags,
        imports,
        types,
        fuses,
        longest,
    };
    exposed.bytes = rewritten(bytes, &sections, own, &exposed);
    Ok(exposed)
}

/// The functions that a constant expression refers to.
fn referred(expr: &ConstExpr<'_>, funcs: &mut BTreeSet<u32>) -> Result<(), BinaryReaderError> {
    for operator in expr.get_operators_reader() {
        if let Operator::RefFunc { function_index } = operator? {
            funcs.insert(function_index);
        }
    }
    Ok(())
}

/// Section by section, the exports with more of them.
fn rewritten(
    bytes: &[u8],
    sections: &[(u8, std::ops::Range<usize>)],
    own: u32,
    exposed: &Exposed,
) -> Vec<u8> {
    let mut more = Vec::new();
    for index in &exposed.funcs {
        exposed.func(*index).encode(&mut more);
        more.push(0);
        index.encode(&mut more);
    }
    for index in 0..exposed.tags {
        exposed.tag(index).encode(&mut more);
        more.push(4);
        index.encode(&mut more);
    }
    let count = own + exposed.funcs.len() as u32 + exposed.tags;
    let with = |own: &[u8]| {
        let mut data = Vec::new();
        count.encode(&mut data);
        data.extend_from_slice(own);
        data.extend_from_slice(&more);
        data
    };
    let export = u8::from(SectionId::Export);
    let behind =
        [SectionId::Start, SectionId::Element, SectionId::DataCount, SectionId::Code, SectionId::Data];
    let mut module = wasm_encoder::Module::new();
    let mut done = count == own;
    for (id, range) in sections {
        let data = &bytes[range.clone()];
        if *id == export && !done {
            let entries = wasmparser::BinaryReader::new(data, 0).read_var_u32().map(|_| leb_len(data));
            module.section(&RawSection { id: *id, data: &with(&data[entries.unwrap_or(0)..]) });
            done = true;
            continue;
        }
        if !done && behind.iter().any(|behind| u8::from(*behind) == *id) {
            module.section(&RawSection { id: export, data: &with(&[]) });
            done = true;
        }
        module.section(&RawSection { id: *id, data });
    }
    if !done {
        module.section(&RawSection { id: export, data: &with(&[]) });
    }
    module.finish()
}

/// Bytes of the number that `data` begins with.
fn leb_len(data: &[u8]) -> usize {
    data.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1
}

/// Where a store's functions and tags come from: instance (`u32::MAX` = host) and index.
#[derive(Default)]
pub(super) struct Origins {
    /// By Wasmtime's address of the function as an instance sees it: one function has several.
    funcs: HashMap<usize, (u32, u32)>,
    tags: Vec<(Tag, (u32, u32))>,
    host_funcs: u32,
}

impl Origins {
    /// A function of the host, the next one.
    pub(super) fn add_host(&mut self, raw: *mut c_void) {
        self.funcs.insert(raw.addr(), (u32::MAX, self.host_funcs));
        self.host_funcs += 1;
    }

    pub(super) fn add_func(&mut self, raw: *mut c_void, origin: (u32, u32)) {
        self.funcs.entry(raw.addr()).or_insert(origin);
    }

    pub(super) fn add_tag(&mut self, tag: Tag, origin: (u32, u32)) {
        self.tags.push((tag, origin));
    }

    /// # Errors
    /// Unsupported: it belongs to an instance whose start function has failed, which Wasmtime does not give out.
    pub(super) fn func(&self, raw: *mut c_void) -> Result<(u32, u32), Outcome> {
        let found = self.funcs.get(&raw.addr()).copied();
        found.ok_or_else(|| Outcome::Unsupported("a function of an instance that failed to start".into()))
    }

    /// # Errors
    /// As [`Origins::func`].
    pub(super) fn tag(&self, store: impl AsContext, tag: &Tag) -> Result<(u32, u32), Outcome> {
        let store = store.as_context();
        let found = self.tags.iter().find(|(known, _)| Tag::eq(known, tag, &store));
        let found = found.map(|(_, origin)| *origin);
        found.ok_or_else(|| Outcome::Unsupported("a tag of an instance that failed to start".into()))
    }
}
