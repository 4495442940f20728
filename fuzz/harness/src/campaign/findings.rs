//! Findings on disk: one `.wast` file each, the first of its key whole, so that people and other engines can run it.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::Case;

use super::protocol::FindingRecord;

/// Cases of one key that are kept: what looks alike need not be one fault.
const KEPT: usize = 4;

/// Writes `case` with `finding` explained in its head to `dir`, under a name made of kind and key; behind the first of a key, a few
/// more under numbered names. Returns the path of the first and whether it is new.
///
/// # Errors
/// The file system's.
pub fn save(dir: &Path, case: &Case, finding: &FindingRecord) -> io::Result<(PathBuf, bool)> {
    let path = dir.join(file_name(finding));
    if path.exists() {
        let numbered = |n: usize| path.with_extension(format!("{n}.wast"));
        if let Some(further) = (2..=KEPT).map(numbered).find(|path| !path.exists()) {
            write_whole(&further, &with_explanation(case, finding))?;
        }
        return Ok((path, false));
    }
    write_whole(&path, &with_explanation(case, finding))?;
    Ok((path, true))
}

/// A finding about several cases one after the other, which none of them shows alone: a finding of its own.
pub fn of_company(members: usize, finding: FindingRecord) -> FindingRecord {
    FindingRecord {
        key: format!("in company: {}", finding.key),
        text: format!("{members} cases together, none of them alone: {}", finding.text),
        ..finding
    }
}

/// A finding that a case showed in a process which had run others before, and not in a new one: a finding of its own. Chance may be behind it too.
pub fn after_others(finding: FindingRecord) -> FindingRecord {
    FindingRecord {
        key: format!("after others: {}", finding.key),
        text: format!(
            "after other cases of the same process, not by this one alone in a new one: {}",
            finding.text
        ),
        ..finding
    }
}

/// The case's text with the finding in comment lines behind the header.
pub fn with_explanation(case: &Case, finding: &FindingRecord) -> String {
    let mut case = case.clone();
    case.schedule.title = Some(one_line(&format!("{}: {}", finding.kind, finding.text)));
    let mut text = String::new();
    for line in finding.text.lines() {
        text.push_str(";; ");
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(&format!(";; subjects: {}\n", finding.subjects.join(" | ")));
    let body = case.to_wast();
    // The header must come first.
    let header_end =
        body.split_inclusive('\n').take_while(|line| line.starts_with(";;!")).map(str::len).sum::<usize>();
    format!("{}{}{}", &body[..header_end], text, &body[header_end..])
}

/// Writes beside the target and renames, so that a killed process leaves no half file.
///
/// # Errors
/// The file system's.
pub fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A name of its own: two workers may have the same finding at the same time.
    let mut file = tempfile::Builder::new()
        .prefix(".part-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

fn one_line(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    first.chars().take(200).collect()
}

/// The file's name: the finding's kind and a digest of its key.
pub fn file_name(finding: &FindingRecord) -> String {
    let mut digest: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in finding.key.bytes() {
        digest = (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    let kind: String = finding
        .kind
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    format!("{kind}-{digest:016x}.wast")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn finding(key: &str) -> FindingRecord {
        FindingRecord {
            kind: "ValueMismatch".into(),
            key: key.into(),
            subjects: vec!["interp".into(), "jit:null".into()],
            step: Some(1),
            text: "step 1: 4 vs 5\nsecond line".into(),
        }
    }

    #[test]
    fn many_writers_of_one_finding_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..50 {
                        save(dir.path(), &Case::default(), &finding(&round.to_string())).unwrap();
                    }
                });
            }
        });
        let names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        let firsts = names.iter().filter(|name| name.to_string_lossy().matches('.').count() == 1).count();
        assert!(firsts == 50 && names.len() <= 50 * KEPT, "{firsts} {}", names.len());
    }

    #[test]
    fn a_key_is_written_once_and_reads_back_as_a_case() {
        let dir = tempfile::tempdir().unwrap();
        let (path, new) = save(dir.path(), &Case::default(), &finding("a")).unwrap();
        assert!(new);
        let (again, new) = save(dir.path(), &Case::default(), &finding("a")).unwrap();
        assert_eq!((again, new), (path.clone(), false));
        let (other, new) = save(dir.path(), &Case::default(), &finding("b")).unwrap();
        assert!(new && other != path);
        let text = fs::read_to_string(&path).unwrap();
        let case = Case::parse(&text, "x.wast").unwrap();
        assert_eq!(case.schedule.title.as_deref(), Some("ValueMismatch: step 1: 4 vs 5"));
        assert!(text.contains(";; second line"));
    }
}
