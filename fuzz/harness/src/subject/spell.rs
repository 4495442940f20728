//! Subjects by their spelling: `interp`, `jit:copying`, `jit:copying,opt=none,gc-stress`, `jit:*`.

use std::fmt;

use super::{InterpSubject, JitOptions, JitSubject, Subject};

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
                    "there are `interp`, `jit:COLLECTOR[,OPTION…]` and `jit:*`; collectors: {}",
                    collectors()
                )
            }
            Kind::Collector(name) => {
                write!(f, "no collector {name:?}; there are {}, and * for all", collectors())
            }
            Kind::Option(option) => write!(
                f,
                "no option {option:?}; there are opt=none|speed, regalloc=single_pass|backtracking, gc-stress, verify, \
                 no-poison"
            ),
            Kind::Engine(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for SubjectError {}

/// The subjects that a spelling names; `jit:*` names every collector without and with optimisation (unless the
/// spelling has an `opt=`), with `gc-stress` only those that collect.
///
/// # Errors
/// What exists instead.
pub fn parse(spec: &str) -> Result<Vec<Box<dyn Subject>>, SubjectError> {
    let spec = spec.trim();
    if spec == "interp" {
        return Ok(vec![Box::new(InterpSubject::new())]);
    }
    let Some(rest) = spec.strip_prefix("jit:") else {
        return Err(SubjectError::new(spec, Kind::Family));
    };
    let mut parts = rest.split(',').map(str::trim);
    let collector = parts.next().unwrap_or_default();
    let mut options = JitOptions::default();
    let mut opt_given = false;
    for part in parts {
        opt_given |= part.starts_with("opt=");
        if !options.set(part) {
            return Err(SubjectError::new(spec, Kind::Option(part.to_owned())));
        }
    }
    let mut subjects: Vec<Box<dyn Subject>> = Vec::new();
    if collector == "*" {
        for entry in assay_gc::registry() {
            if options.gc_stress && !entry.constraints.collects {
                continue;
            }
            options.collector = entry.constraints.name.to_owned();
            let levels: &[&str] = if opt_given { &[] } else { &["opt=none", "opt=speed"] };
            if opt_given {
                subjects.push(jit(spec, &options)?);
            }
            for level in levels {
                options.set(level);
                subjects.push(jit(spec, &options)?);
            }
        }
        return Ok(subjects);
    }
    if assay_gc::find(collector).is_err() {
        return Err(SubjectError::new(spec, Kind::Collector(collector.to_owned())));
    }
    options.collector = collector.to_owned();
    Ok(vec![jit(spec, &options)?])
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

fn jit(spec: &str, options: &JitOptions) -> Result<Box<dyn Subject>, SubjectError> {
    match JitSubject::new(options.clone()) {
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
            names("jit:copying,gc-stress,regalloc=backtracking,opt=none"),
            ["jit:copying,opt=none,regalloc=backtracking,gc-stress"]
        );
        let all = names("jit:*");
        assert_eq!(all.len(), 2 * assay_gc::registry().len());
        assert!(all.contains(&"jit:null,opt=none".to_owned()) && all.contains(&"jit:copying".to_owned()));
        assert!(!names("jit:*,gc-stress").iter().any(|name| name.contains("null")));
        for name in defaults() {
            assert_eq!(parse(&name).unwrap().len(), 1);
        }
    }

    #[test]
    fn errors_list_what_exists() {
        let text = |spec: &str| parse(spec).err().unwrap().to_string();
        assert!(text("v8").contains("interp"));
        assert!(text("jit:mark").contains("copying"));
        assert!(text("jit:copying,opt=size").contains("none|speed"));
    }
}
