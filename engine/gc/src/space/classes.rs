//! Size classes of small objects: exact up to 128 bytes, then four a doubling, so that at most a fifth of a cell is
//! lost.

/// Largest small object, in bytes.
pub const MAX_SMALL: u32 = 1024;

/// Bytes of a cell, by class; ascending multiples of 8.
pub const CELL_SIZES: [u32; 28] = [
    8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 160, 192, 224, 256, 320, 384, 448,
    512, 640, 768, 896, 1024,
];

/// Number of classes.
pub const SIZE_CLASSES: usize = CELL_SIZES.len();

const EXACT: u32 = 16;

/// The class of an object of `size` bytes (a multiple of 8); `None` when it is large or no size at all.
pub const fn size_class(size: u32) -> Option<usize> {
    if size == 0 || size > MAX_SMALL {
        return None;
    }
    if size <= EXACT * 8 {
        return Some((size.div_ceil(8) - 1) as usize);
    }
    // 128 < size: the doubling above 2^shift in quarters.
    let shift = (size - 1).ilog2();
    let quarter = (size - 1 - (1 << shift)) >> (shift - 2);
    Some((EXACT + (shift - 7) * 4 + quarter) as usize)
}

/// Bytes that an object of `size` bytes takes: its cell, or just itself when it is large.
pub const fn cell_bytes(size: u32) -> u32 {
    match size_class(size) {
        Some(class) => CELL_SIZES[class],
        None => size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_the_smallest_cell_that_fits() {
        for size in (8..=MAX_SMALL).step_by(8) {
            let class = CELL_SIZES.iter().position(|&cell| cell >= size);
            assert_eq!(size_class(size), class, "{size}");
        }
        assert_eq!((size_class(0), size_class(MAX_SMALL + 8), size_class(u32::MAX)), (None, None, None));
    }
}
