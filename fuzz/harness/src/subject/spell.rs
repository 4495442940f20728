//! Subjects by their spelling: `interp`, `jit:copying`, `jit:copying,opt=none,gc-stress`, `jit:*`.

use std::fmt;

use assay_gc::Constraints;

use super::{InterpSubject, JitOptions, JitSubject, Shelf, Subject, stress};

/// A spelling that names no subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectError {
    spelling: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Family,
    Collector(String),
    Option(String),
    Engine(String),
}

impl SubjectError {
    fn new(spelling: &str, kind: Kind) -> Self {
        SubjectError { spelling: spelling.to_owned(), kind }
    }

    /// The spelling.
    pub fn spelling(&self) -> &str {
        &self.spelling
    }
}

impl fmt::Display for SubjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no subject {:?}: ", self.spelling)?;
        match &self.kind {
            Kind::Family => {
                write!(
                    f,
                    "there are `interp`, `jit:COLLECTOR[,OPTION…]`, `jit:*`, and with the feature peer-wasmtime \
                     `wasmtime:drc|copying|null|*[,OPTION…]`; collectors of the JIT: {}",
                    collectors()
                )
            }
            Kind::Collector(name) => {
                write!(f, "no collector {name:?}; there are {}, and * for all", collectors())
            }
            Kind::Option(option) => write!(
                f,
                "no option {option:?}; there are opt=none|speed|*, regalloc=single_pass|backtracking|*, \
                 cpu=native|avx2|sse41, fibers, {}",
                stress::MODES
            ),
            Kind::Engine(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for SubjectError {}

/// The subjects that a spelling names. A `*` stands for all there are: `jit:*` for every collector (under stress those that
/// collect), `opt=*` for both levels, which `jit:*` means too unless it has an `opt=`, `regalloc=*` for both allocators.
///
/// # Errors
/// What exists instead.
pub fn parse(spec: &str) -> Result<Vec<Box<dyn Subject>>, SubjectError> {
    parse_on(&Shelf::default(), spec)
}

/// As [`parse`], the subjects sharing compiled code with all others on `shelf`.
///
/// # Errors
/// What exists instead.
pub fn parse_on(shelf: &Shelf, spec: &str) -> Result<Vec<Box<dyn Subject>>, SubjectError> {
    let spec = spec.trim();
    if spec == "interp" {
        return Ok(vec![Box::new(InterpSubject::new())]);
    }
    if let Some(rest) = spec.strip_prefix("wasmtime:") {
        return wasmtime(shelf, rest).map_err(|why| SubjectError::new(spec, Kind::Engine(why)));
    }
    let Some(rest) = spec.strip_prefix("jit:") else {
        return Err(SubjectError::new(spec, Kind::Family));
    };
    let mut parts = rest.split(',').map(str::trim);
    let collector = parts.next().unwrap_or_default();
    let (mut levels, mut allocators) = (collector == "*", false);
    let mut options = JitOptions::default();
    for part in parts {
        match part {
            "opt=*" => levels = true,
            "regalloc=*" => allocators = true,
            _ if options.set(part) => levels &= !part.starts_with("opt="),
            _ => return Err(SubjectError::new(spec, Kind::Option(part.to_owned()))),
        }
    }
    let collectors: Vec<&str> = match collector {
        "*" => assay_gc::registry()
            .iter()
            .filter(|entry| entry.constraints.collects || !stress::collects(&options.stress))
            .map(|entry| entry.constraints.name)
            .collect(),
        name if assay_gc::find(name).is_ok() => vec![name],
        name => return Err(SubjectError::new(spec, Kind::Collector(name.to_owned()))),
    };
    let mut subjects: Vec<Box<dyn Subject>> = Vec::new();
    for collector in collectors {
        options.collector = collector.to_owned();
        for level in if levels { &["opt=none", "opt=speed"][..] } else { &[""] } {
            options.set(level);
            for allocator in
                if allocators { &["regalloc=single_pass", "regalloc=backtracking"][..] } else { &[""] }
            {
                options.set(allocator);
                subjects.push(jit(shelf, spec, &options)?);
            }
        }
    }
    Ok(subjects)
}

#[cfg(feature = "peer-wasmtime")]
fn wasmtime(shelf: &Shelf, rest: &str) -> Result<Vec<Box<dyn Subject>>, String> {
    super::wasmtime::parse(shelf, rest)
}

#[cfg(not(feature = "peer-wasmtime"))]
fn wasmtime(_shelf: &Shelf, _rest: &str) -> Result<Vec<Box<dyn Subject>>, String> {
    Err("this build has no Wasmtime; build with `--features peer-wasmtime`".into())
}

/// The subjects of a fuzzing run: the reference, then each collector without and with optimisation.
pub fn defaults() -> Vec<String> {
    let mut names = vec!["interp".to_owned()];
    for entry in assay_gc::registry() {
        // `opt=speed` is the default and not spelled.
        for level in [",opt=none", ""] {
            names.push(format!("jit:{}{level}", entry.constraints.name));
        }
    }
    names
}

/// The collector of a subject's name; none for subjects without one of ours.
pub fn collector_of(subject: &str) -> Option<&'static Constraints> {
    let collector = subject.strip_prefix("jit:")?.split(',').next()?;
    assay_gc::find(collector).ok().map(|entry| entry.constraints)
}

fn jit(shelf: &Shelf, spec: &str, options: &JitOptions) -> Result<Box<dyn Subject>, SubjectError> {
    match JitSubject::new(options.clone(), shelf) {
        Ok(subject) => Ok(Box::new(subject)),
        Err(error) => Err(SubjectError::new(spec, Kind::Engine(error.to_string()))),
    }
}

fn collectors() -> String {
    let names: Vec<&str> = assay_gc::registry().iter().map(|entry| entry.constraints.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(spec: &str) -> Vec<String> {
        parse(spec).unwrap().iter().map(|s| s.name().to_owned()).collect()
    }

    #[test]
    fn spellings_name_subjects() {
        assert_eq!(names("interp"), ["interp"]);
        assert_eq!(names("jit:copying"), ["jit:copying"]);
        assert_eq!(names("jit:copying,opt=speed"), ["jit:copying"]);
        assert_eq!(
            names("jit:copying,gc-stress,cpu=sse41,regalloc=backtracking,opt=none"),
            ["jit:copying,opt=none,regalloc=backtracking,cpu=sse41,gc-stress"]
        );
        for (spec, name) in [
            ("every-safepoint,every-alloc", "every-alloc,every-safepoint"),
            ("every-alloc,verify,settle", "gc-stress"),
            ("every-alloc,verify", "every-alloc,verify"),
            ("gc-stress,every-safepoint", "gc-stress,every-safepoint"),
            ("move-always,verify,barrier-slow", "barrier-slow,move-always,verify"),
            ("move-always,gc-stress", "gc-stress,move-always"),
            ("every-safepoint,move-always,barrier-slow,gc-stress", "gc-stress=all"),
            ("gc-stress=all", "gc-stress=all"),
            ("gc-stress,no-poison", "every-alloc,settle,verify,no-poison"),
            ("every-safepoint,verify,poison", "every-safepoint,verify"),
        ] {
            assert_eq!(names(&format!("jit:copying,{spec}")), [format!("jit:copying,{name}")]);
        }
        let all = names("jit:*");
        assert_eq!(all.len(), 2 * assay_gc::registry().len());
        assert!(all.contains(&"jit:null,opt=none".to_owned()) && all.contains(&"jit:copying".to_owned()));
        assert_eq!(names("jit:*,opt=none").len(), assay_gc::registry().len());
        assert_eq!(names("jit:*,regalloc=*").len(), 4 * assay_gc::registry().len());
        assert_eq!(names("jit:copying,regalloc=*"), ["jit:copying,regalloc=single_pass", "jit:copying"]);
        assert_eq!(names("jit:copying,opt=*"), ["jit:copying,opt=none", "jit:copying"]);
        for mode in ["gc-stress", "gc-stress=all", "every-alloc", "every-safepoint"] {
            for name in names(&format!("jit:*,{mode}")) {
                assert!(collector_of(&name).unwrap().collects, "{name}");
            }
        }
        for mode in ["barrier-slow", "move-always"] {
            assert_eq!(names(&format!("jit:*,{mode}")).len(), all.len());
        }
        assert!(collector_of("interp").is_none() && collector_of("jit:copying,opt=none").is_some());
        for name in defaults() {
            assert_eq!(parse(&name).unwrap().len(), 1);
        }
    }

    #[test]
    fn errors_list_what_exists() {
        let text = |spec: &str| parse(spec).err().unwrap().to_string();
        assert!(text("v8").contains("interp"));
        #[cfg(not(feature = "peer-wasmtime"))]
        assert!(text("wasmtime:drc").contains("--features peer-wasmtime"));
        assert!(text("jit:mark").contains("copying"));
        assert!(text("jit:copying,opt=size").contains("none|speed"));
    }
}
