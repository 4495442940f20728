//! Heap values at a stable address that generated code reads and writes.
//!
//! Invariant: while a [`Pinned`] lives, its value is reached through raw pointers only, so generated code and the
//! runtime may both write it (one thread at a time runs a store).

use std::ptr::NonNull;

/// An owned value that is accessed by raw pointer.
#[derive(Debug)]
pub(crate) struct Pinned<T: ?Sized>(NonNull<T>);

impl<T: ?Sized> Pinned<T> {
    /// Takes over a box.
    pub(crate) fn from_box(value: Box<T>) -> Pinned<T> {
        Pinned(NonNull::from(Box::leak(value)))
    }
    /// Its address, valid until the `Pinned` drops.
    pub(crate) fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Pinned<T> {
    /// Moves `value` to the heap.
    pub(crate) fn new(value: T) -> Pinned<T> {
        Pinned::from_box(Box::new(value))
    }
}

impl<T> Pinned<[T]> {
    /// Collects a slice.
    pub(crate) fn slice(values: Vec<T>) -> Pinned<[T]> {
        Pinned::from_box(values.into_boxed_slice())
    }
    /// Address of its first element.
    pub(crate) fn first(&self) -> *mut T {
        self.as_ptr().cast()
    }
}

impl<T: ?Sized> Drop for Pinned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Box::leak` in `from_box` and nobody else frees it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
