//! Values and vectors (spec: Binary Format / Values): bytes, LEB128 integers, names. Every position is an offset in the
//! whole module, and no read goes past the end of the part at hand.

use crate::error::{Error, Result};

/// Reads a part of the module's bytes.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, position: 0, end: bytes.len() }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn remaining(&self) -> usize {
        self.end - self.position
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    pub(crate) fn error(&self, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::malformed(self.position, message)
    }

    /// A reader of the next `len` bytes, which this one skips.
    pub(crate) fn part(&mut self, len: usize) -> Result<Reader<'a>> {
        if len > self.remaining() {
            return Err(self.error("length out of bounds"));
        }
        let part = Reader { bytes: self.bytes, position: self.position, end: self.position + len };
        self.position += len;
        Ok(part)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        if len > self.remaining() {
            return Err(self.error("unexpected end"));
        }
        let bytes = &self.bytes[self.position..self.position + len];
        self.position += len;
        Ok(bytes)
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        if self.position >= self.end {
            return Err(self.error("unexpected end"));
        }
        let byte = self.bytes[self.position];
        self.position += 1;
        Ok(byte)
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        if self.is_empty() { None } else { Some(self.bytes[self.position]) }
    }

    /// Spec: unsigned integers, `uN` for N = `bits`.
    fn unsigned(&mut self, bits: u32) -> Result<u64> {
        let start = self.position;
        let mut value = 0u64;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            let left = bits - shift;
            if left < 7 && (byte & 0x7f) >> left != 0 {
                let message =
                    if byte & 0x80 != 0 { "integer representation too long" } else { "integer too large" };
                return Err(Error::malformed(start, message));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
            if shift >= bits {
                return Err(Error::malformed(start, "integer representation too long"));
            }
        }
    }

    /// Spec: signed integers, `sN` for N = `bits`.
    fn signed(&mut self, bits: u32) -> Result<i64> {
        let start = self.position;
        let mut value = 0i64;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            let left = bits - shift;
            if left < 7 {
                // The bits above the number's own must all repeat its sign bit.
                let extra = ((byte << 1) as i8) >> left;
                if byte & 0x80 != 0 {
                    return Err(Error::malformed(start, "integer representation too long"));
                }
                if extra != 0 && extra != -1 {
                    return Err(Error::malformed(start, "integer too large"));
                }
            }
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                if shift < 64 && byte & 0x40 != 0 {
                    value |= -1 << shift;
                }
                return Ok(value);
            }
            if shift >= bits {
                return Err(Error::malformed(start, "integer representation too long"));
            }
        }
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(self.unsigned(32)? as u32)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.unsigned(64)
    }

    pub(crate) fn s32(&mut self) -> Result<i32> {
        Ok(self.signed(32)? as i32)
    }

    pub(crate) fn s33(&mut self) -> Result<i64> {
        self.signed(33)
    }

    pub(crate) fn s64(&mut self) -> Result<i64> {
        self.signed(64)
    }

    /// Length of a vector, whose elements take at least one byte each.
    pub(crate) fn count(&mut self) -> Result<usize> {
        let start = self.position;
        let count = self.u32()? as usize;
        if count > self.remaining() {
            return Err(Error::malformed(
                start,
                "unexpected end of section or function: length out of bounds",
            ));
        }
        Ok(count)
    }

    /// Spec: names.
    pub(crate) fn name(&mut self) -> Result<&'a str> {
        let len = self.u32()? as usize;
        if len > self.remaining() {
            return Err(self.error("unexpected end: length out of bounds"));
        }
        let start = self.position;
        std::str::from_utf8(self.bytes(len)?).map_err(|_| Error::malformed(start, "malformed UTF-8 encoding"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_at_their_bounds() {
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).u32().unwrap(), u32::MAX);
        assert_eq!(Reader::new(&[0x80, 0x80, 0x80, 0x80, 0x78]).s32().unwrap(), i32::MIN);
        assert_eq!(Reader::new(&[0x7f]).s33().unwrap(), -1);
        let min = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f];
        assert_eq!(Reader::new(&min).s64().unwrap(), i64::MIN);
        let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Reader::new(&max).u64().unwrap(), u64::MAX);
    }

    #[test]
    fn integers_beyond_their_bounds() {
        for bytes in [&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..], &[0xff, 0xff, 0xff, 0xff, 0x1f], &[0x80]] {
            assert!(Reader::new(bytes).u32().is_err());
        }
        for bytes in [&[0x80, 0x80, 0x80, 0x80, 0x70][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
            assert_eq!(Reader::new(bytes).s32().unwrap_err().message(), "integer too large");
        }
    }

    #[test]
    fn names_must_be_utf8() {
        assert_eq!(Reader::new(b"\x02ab").name().unwrap(), "ab");
        assert_eq!(Reader::new(b"\x01\xff").name().unwrap_err().message(), "malformed UTF-8 encoding");
        assert!(Reader::new(b"\x7fab").name().is_err());
    }
}
