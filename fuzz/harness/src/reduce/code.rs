//! Smaller bodies: ranges of instructions go, or become a constant or a `drop`; blocks are unwrapped; locals at the end
//! go. Whether the rest still makes sense is the validator's to say, so nothing here knows of types or labels.

use wasmparser::{BinaryReader, FunctionBody, Operator};

use super::module::{body_bytes, rebuild};
use super::{Run, module_at, valid_modules, with_module};
use crate::Case;

/// What a range of instructions may become, shortest first.
const REPLACEMENTS: &[&[u8]] = &[
    &[0x1a],                         // drop
    &[0x41, 0x00],                   // i32.const 0
    &[0x42, 0x00],                   // i64.const 0
    &[0xd0, 0x71],                   // ref.null none
    &[0xd0, 0x72],                   // ref.null noextern
    &[0xd0, 0x73],                   // ref.null nofunc
    &[0x1a, 0x1a],                   // drop drop
    &[0x1a, 0x41, 0x00],             // drop, i32.const 0
    &[0x43, 0, 0, 0, 0],             // f32.const 0
    &[0x44, 0, 0, 0, 0, 0, 0, 0, 0], // f64.const 0
];

/// Longest range that is replaced, in instructions.
const LONGEST_REPLACED: usize = 32;

/// Shrinks each body.
pub(super) fn shrink(run: &mut Run<'_>) {
    for step in valid_modules(&run.best) {
        let count = module_at(&run.best, step).and_then(body_bytes).map_or(0, |bodies| bodies.len());
        // The largest bodies first: they cost most to judge.
        let mut order: Vec<usize> = (0..count).collect();
        let bodies = module_at(&run.best, step).and_then(body_bytes).unwrap_or_default();
        order.sort_by_key(|i| std::cmp::Reverse(bodies.get(*i).map_or(0, Vec::len)));
        for body in order {
            if run.ended {
                return;
            }
            let place = Place { step, body };
            remove(run, place);
            replace(run, place);
            unwrap_blocks(run, place);
            locals(run, place);
        }
    }
}

#[derive(Clone, Copy)]
struct Place {
    step: usize,
    body: usize,
}

impl Place {
    fn code(self, case: &Case) -> Option<Code> {
        Code::parse(body_bytes(module_at(case, self.step)?)?.get(self.body)?)
    }

    fn with(self, case: &Case, code: &Code) -> Option<Case> {
        let bytes = module_at(case, self.step)?;
        let mut bodies = body_bytes(bytes)?;
        *bodies.get_mut(self.body)? = code.bytes();
        with_module(case, self.step, rebuild(bytes, false, Some(&bodies))?)
    }

    fn len(self, case: &Case) -> usize {
        self.code(case).map_or(0, |code| code.removable())
    }
}

/// A body in pieces.
#[derive(Clone)]
struct Code {
    /// Declarations of locals: count and encoded type.
    locals: Vec<(u32, Vec<u8>)>,
    /// Encoded instructions; the last is the body's `end`.
    ops: Vec<Vec<u8>>,
    /// How each opens or closes a block.
    nesting: Vec<Nesting>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    None,
    Open,
    Close,
}

impl Code {
    fn parse(bytes: &[u8]) -> Option<Code> {
        let body = FunctionBody::new(BinaryReader::new(bytes, 0));
        let mut reader = body.get_locals_reader().ok()?;
        let mut locals = Vec::new();
        for _ in 0..reader.get_count() {
            let start = usize::try_from(reader.original_position()).ok()?;
            let (count, _) = reader.read().ok()?;
            let end = usize::try_from(reader.original_position()).ok()?;
            let declaration = bytes.get(start..end)?;
            // The type stands behind the count, an LEB128 number.
            let count_len = declaration.iter().position(|b| b & 0x80 == 0)? + 1;
            locals.push((count, declaration.get(count_len..)?.to_vec()));
        }
        let mut operators = body.get_operators_reader().ok()?;
        let (mut ops, mut nesting) = (Vec::new(), Vec::new());
        while !operators.eof() {
            let start = usize::try_from(operators.original_position()).ok()?;
            let operator = operators.read().ok()?;
            nesting.push(match operator {
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::TryTable { .. } => Nesting::Open,
                Operator::End => Nesting::Close,
                _ => Nesting::None,
            });
            let end = usize::try_from(operators.original_position()).ok()?;
            ops.push(bytes.get(start..end)?.to_vec());
        }
        Some(Code { locals, ops, nesting })
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        leb128(&mut out, u32::try_from(self.locals.len()).unwrap_or(u32::MAX));
        for (count, ty) in &self.locals {
            leb128(&mut out, *count);
            out.extend_from_slice(ty);
        }
        for op in &self.ops {
            out.extend_from_slice(op);
        }
        out
    }

    /// Instructions but for the last `end`.
    fn removable(&self) -> usize {
        self.ops.len().saturating_sub(1)
    }

    /// Whether a range holds whole blocks only.
    fn is_balanced(&self, start: usize, end: usize) -> bool {
        let mut depth = 0usize;
        for nesting in &self.nesting[start..end] {
            match nesting {
                Nesting::Open => depth += 1,
                Nesting::Close if depth == 0 => return false,
                Nesting::Close => depth -= 1,
                Nesting::None => {}
            }
        }
        depth == 0
    }

    fn splice(&mut self, start: usize, end: usize, replacement: &[u8]) {
        let new = (!replacement.is_empty()).then(|| replacement.to_vec());
        let nesting = new.as_ref().map(|_| Nesting::None);
        self.ops.splice(start..end, new);
        self.nesting.splice(start..end, nesting);
    }
}

fn leb128(out: &mut Vec<u8>, mut n: u32) {
    loop {
        let byte = (n & 0x7f) as u8;
        n >>= 7;
        if n == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

fn remove(run: &mut Run<'_>, place: Place) {
    run.drop_ranges(&|case| place.len(case), &mut |case, range| {
        let mut code = place.code(case)?;
        if !code.is_balanced(range.start, range.end.min(code.removable())) {
            return None;
        }
        code.splice(range.start, range.end.min(code.removable()), &[]);
        place.with(case, &code)
    });
    // Expressions rarely lie on powers of two: every short range.
    for size in (2..=6).rev() {
        let mut start = place.len(&run.best).saturating_sub(size);
        loop {
            try_splice(run, place, start, size, &[]);
            if start == 0 || run.ended {
                break;
            }
            start -= 1;
        }
    }
}

fn replace(run: &mut Run<'_>, place: Place) {
    let mut size = LONGEST_REPLACED;
    while size > 0 && !run.ended {
        let mut end = place.len(&run.best);
        while end >= size && !run.ended {
            let start = end - size;
            for replacement in REPLACEMENTS {
                if try_splice(run, place, start, size, replacement) {
                    break;
                }
            }
            end -= 1;
            end = end.min(place.len(&run.best));
        }
        size = if size > 8 { size / 2 } else { size - 1 };
    }
}

/// Puts `replacement` for `size` instructions from `start`, if that is shorter.
fn try_splice(run: &mut Run<'_>, place: Place, start: usize, size: usize, replacement: &[u8]) -> bool {
    let Some(mut code) = place.code(&run.best) else { return false };
    let end = start + size;
    if end > code.removable() || !code.is_balanced(start, end) {
        return false;
    }
    let old: usize = code.ops[start..end].iter().map(Vec::len).sum();
    if replacement.len() >= old {
        return false;
    }
    code.splice(start, end, replacement);
    match place.with(&run.best, &code) {
        Some(candidate) => run.attempt(candidate),
        None => false,
    }
}

/// Drops the head and the `end` of a block and keeps what is inside.
fn unwrap_blocks(run: &mut Run<'_>, place: Place) {
    let mut at = place.len(&run.best);
    while at > 0 && !run.ended {
        at -= 1;
        let Some(mut code) = place.code(&run.best) else { return };
        if code.nesting.get(at) != Some(&Nesting::Open) {
            continue;
        }
        let close = (at + 1..code.ops.len()).find(|end| code.is_balanced(at, end + 1));
        let Some(close) = close else { continue };
        code.splice(close, close + 1, &[]);
        code.splice(at, at + 1, &[]);
        if let Some(candidate) = place.with(&run.best, &code) {
            run.attempt(candidate);
        }
    }
}

/// Drops declarations of locals from the last as long as nothing uses them.
fn locals(run: &mut Run<'_>, place: Place) {
    while !run.ended {
        let Some(mut code) = place.code(&run.best) else { return };
        let Some(last) = code.locals.last_mut() else { return };
        if last.0 > 1 {
            last.0 -= 1;
        } else {
            code.locals.pop();
        }
        let taken = place.with(&run.best, &code).is_some_and(|candidate| run.attempt(candidate));
        if !taken {
            return;
        }
    }
}
