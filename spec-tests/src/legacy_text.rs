//! The folded form of the legacy exception instructions, `(try (do …) (catch $e …) …)`, rewritten to the flat form, since the
//! `wast` crate knows only the latter. From a script's text to text with the same lines.
//!
//! Invariant: strings, comments and everything outside of a folded `try` come out byte for byte. A folded `try` as operand of
//! another folded instruction is not rewritten to something that parses; the test suite has none.

/// What an open parenthesis stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// Itself.
    Paren,
    /// A folded `try` without a `delegate` so far.
    Try,
    /// A folded `try` that a `delegate` ends.
    Delegated,
    /// `(do`, `(catch`, `(catch_all`, `(delegate` of a folded `try`.
    Part,
}

/// Rewrites a script.
pub fn flatten(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut open = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => string(rest),
            ';' if rest.starts_with(";;") => rest.find('\n').unwrap_or(rest.len()),
            '(' if rest.starts_with("(;") => block_comment(rest),
            '(' => {
                let word = word(&rest[1..]);
                let inside = matches!(open.last(), Some(Open::Try | Open::Delegated));
                let (kind, emit) = match word {
                    "try" => (Open::Try, " try"),
                    "do" if inside => (Open::Part, " "),
                    "catch" | "catch_all" if inside => (Open::Part, word),
                    "delegate" if inside => {
                        if let Some(last) = open.last_mut() {
                            *last = Open::Delegated;
                        }
                        (Open::Part, word)
                    }
                    _ => (Open::Paren, "("),
                };
                open.push(kind);
                out.push_str(emit);
                rest = &rest[if kind == Open::Paren { 1 } else { 1 + word.len() }..];
                continue;
            }
            ')' => {
                out.push_str(match open.pop() {
                    Some(Open::Try) => " end ",
                    Some(Open::Delegated | Open::Part) => " ",
                    Some(Open::Paren) | None => ")",
                });
                rest = &rest[1..];
                continue;
            }
            _ => first.len_utf8(),
        };
        out.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    out
}

/// The word at the beginning.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(text.len());
    &text[..end]
}

/// Bytes of the string at the beginning.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// Bytes of the block comment at the beginning; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0usize;
    let mut i = 0;
    while i < text.len() {
        match text.get(i..i + 2) {
            Some("(;") => {
                depth += 1;
                i += 2;
            }
            Some(";)") => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::flatten;

    fn words(text: &str) -> Vec<String> {
        flatten(text).split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn folded_tries_become_flat() {
        let text = "(func (try $l (result i32) (do (nop)) (catch $e (drop)) (catch_all (i32.const 1))))";
        assert_eq!(
            words(text).join(" "),
            "(func try $l (result i32) (nop) catch $e (drop) catch_all (i32.const 1) end )"
        );
        assert_eq!(words("(func (try (do) (delegate 0)))").join(" "), "(func try delegate 0 )");
    }

    #[test]
    fn all_else_stays() {
        for text in [
            r#"(module quote "(func (try (do)))" "a\"(try")"#,
            "(; (try (; (do) ;) ;) (func) ;; (try\n(try_table (catch $e 0) (nop))",
            "(func (export \"do\") (block (catch)))",
            "(;",
            "\"",
        ] {
            assert_eq!(flatten(text), text);
        }
    }
}
