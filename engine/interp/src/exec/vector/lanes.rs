//! A vector seen as lanes (spec: Runtime Structure / Values, `lanes`), and the ways in which a function of lanes becomes one of vectors
//! (spec: Execution / Numerics, Vector Operations). A vector is a `u128`, its first lane in the lowest bits; the type of a
//! closure's parameter says what the lanes are.

/// What fills a lane.
pub(crate) trait Lane: Copy {
    /// Bytes of a lane.
    const SIZE: usize;

    /// Lane `i` of a vector in little-endian order.
    fn read(bytes: &[u8; 16], i: usize) -> Self;

    /// Sets lane `i`.
    fn write(self, bytes: &mut [u8; 16], i: usize);
}

macro_rules! lanes {
    ($($ty:ty)*) => {
        $(impl Lane for $ty {
            const SIZE: usize = size_of::<$ty>();

            #[inline(always)]
            fn read(bytes: &[u8; 16], i: usize) -> $ty {
                let mut lane = [0; size_of::<$ty>()];
                lane.copy_from_slice(&bytes[i * size_of::<$ty>()..][..size_of::<$ty>()]);
                <$ty>::from_le_bytes(lane)
            }

            #[inline(always)]
            fn write(self, bytes: &mut [u8; 16], i: usize) {
                bytes[i * size_of::<$ty>()..][..size_of::<$ty>()].copy_from_slice(&self.to_le_bytes());
            }
        })*
    };
}
lanes!(i8 u8 i16 u16 i32 u32 i64 u64 f32 f64);

/// A vector whose lane `i` is `f(i)`.
#[inline(always)]
pub(crate) fn build<R: Lane>(f: impl Fn(usize) -> R) -> u128 {
    let mut bytes = [0; 16];
    for i in 0..16 / R::SIZE {
        f(i).write(&mut bytes, i);
    }
    u128::from_le_bytes(bytes)
}

/// Lane `i`.
#[inline(always)]
pub(crate) fn extract<T: Lane>(a: u128, i: usize) -> T {
    T::read(&a.to_le_bytes(), i)
}

/// The vector with lane `i` replaced.
#[inline(always)]
pub(crate) fn replace<T: Lane>(a: u128, i: usize, value: T) -> u128 {
    let mut bytes = a.to_le_bytes();
    value.write(&mut bytes, i);
    u128::from_le_bytes(bytes)
}

/// All lanes equal.
#[inline(always)]
pub(crate) fn splat<T: Lane>(value: T) -> u128 {
    build(|_| value)
}

/// Lane by lane, to lanes of the same size.
#[inline(always)]
pub(crate) fn map<T: Lane, R: Lane>(a: u128, f: impl Fn(T) -> R) -> u128 {
    let a = a.to_le_bytes();
    build(|i| f(T::read(&a, i)))
}

/// Lane by lane of two vectors.
#[inline(always)]
pub(crate) fn zip<T: Lane, R: Lane>(a: u128, b: u128, f: impl Fn(T, T) -> R) -> u128 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    build(|i| f(T::read(&a, i), T::read(&b, i)))
}

/// Lane by lane of three vectors.
#[inline(always)]
pub(crate) fn zip3<T: Lane>(a: u128, b: u128, c: u128, f: impl Fn(T, T, T) -> T) -> u128 {
    let (a, b, c) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
    build(|i| f(T::read(&a, i), T::read(&b, i), T::read(&c, i)))
}

/// Lanes of ones where the relation holds, of zeros elsewhere.
#[inline(always)]
pub(crate) fn relation<T: Lane>(a: u128, b: u128, holds: impl Fn(T, T) -> bool) -> u128 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    let mut bytes = [0; 16];
    for i in 0..16 / T::SIZE {
        let mask = if holds(T::read(&a, i), T::read(&b, i)) { 0xff } else { 0 };
        bytes[i * T::SIZE..][..T::SIZE].fill(mask);
    }
    u128::from_le_bytes(bytes)
}

/// Whether a predicate holds for every lane, as i32.
#[inline(always)]
pub(crate) fn all<T: Lane>(a: u128, holds: impl Fn(T) -> bool) -> u128 {
    let a = a.to_le_bytes();
    u128::from((0..16 / T::SIZE).all(|i| holds(T::read(&a, i))))
}

/// One bit for each lane, the first one lowest, as i32.
#[inline(always)]
pub(crate) fn mask<T: Lane>(a: u128, bit: impl Fn(T) -> bool) -> u128 {
    let a = a.to_le_bytes();
    (0..16 / T::SIZE).fold(0, |mask, i| mask | u128::from(bit(T::read(&a, i))) << i)
}

/// Which lanes an instruction takes of an operand with twice as many lanes as the result has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Low,
    High,
}

impl Half {
    #[inline(always)]
    fn first<R: Lane>(self) -> usize {
        match self {
            Half::Low => 0,
            Half::High => 16 / R::SIZE,
        }
    }
}

/// The lanes of one half, to lanes of twice the size.
#[inline(always)]
pub(crate) fn widen<T: Lane, R: Lane>(a: u128, half: Half, f: impl Fn(T) -> R) -> u128 {
    let a = a.to_le_bytes();
    build(|i| f(T::read(&a, half.first::<R>() + i)))
}

/// The lanes of one half of two vectors, to lanes of twice the size.
#[inline(always)]
pub(crate) fn widen_zip<T: Lane, R: Lane>(a: u128, b: u128, half: Half, f: impl Fn(T, T) -> R) -> u128 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    build(|i| f(T::read(&a, half.first::<R>() + i), T::read(&b, half.first::<R>() + i)))
}

/// Pairs of neighbouring lanes, to lanes of twice the size.
#[inline(always)]
pub(crate) fn pairwise<T: Lane, R: Lane>(a: u128, f: impl Fn(T, T) -> R) -> u128 {
    let a = a.to_le_bytes();
    build(|i| f(T::read(&a, 2 * i), T::read(&a, 2 * i + 1)))
}

/// Pairs of neighbouring lanes of two vectors, to lanes of twice the size: `f((a0, b0), (a1, b1))`.
#[inline(always)]
pub(crate) fn pairwise_zip<T: Lane, R: Lane>(a: u128, b: u128, f: impl Fn((T, T), (T, T)) -> R) -> u128 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    let pair = |i| (T::read(&a, i), T::read(&b, i));
    build(|i| f(pair(2 * i), pair(2 * i + 1)))
}

/// All lanes of two vectors, the first one's before, to lanes of half the size.
#[inline(always)]
pub(crate) fn narrow<T: Lane, R: Lane>(a: u128, b: u128, f: impl Fn(T) -> R) -> u128 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    let n = 16 / T::SIZE;
    build(|i| f(if i < n { T::read(&a, i) } else { T::read(&b, i - n) }))
}

/// The lanes of one vector, to lanes of half the size in the lower half; the upper half is zero.
#[inline(always)]
pub(crate) fn narrow_zero<T: Lane, R: Lane>(a: u128, f: impl Fn(T) -> R) -> u128 {
    let a = a.to_le_bytes();
    let mut bytes = [0; 16];
    for i in 0..16 / T::SIZE {
        f(T::read(&a, i)).write(&mut bytes, i);
    }
    u128::from_le_bytes(bytes)
}
