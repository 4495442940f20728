//! Calls with static types, over tuples.

use std::marker::PhantomData;

use assay_gc::ValType;

use crate::store::StoreInner;
use crate::value::{AnyRef, ExternRef, Hierarchy};
use crate::{Error, Func, Usage, Val};

/// A Rust type that stands for one wasm type.
pub trait WasmValue: Sized {
    /// Whether it stands for `ty`; references stand for each type of their hierarchy and are checked at the call.
    fn is(store: &StoreInner, ty: &ValType) -> bool;
    /// To a value.
    fn into_val(self) -> Val;
    /// From a value of the right kind.
    fn from_val(val: Val) -> Option<Self>;
}

macro_rules! number {
    ($rust:ty, $kind:ident, $value:ident => $to:expr, $from:expr) => {
        impl WasmValue for $rust {
            fn is(_: &StoreInner, ty: &ValType) -> bool {
                *ty == ValType::$kind
            }
            fn into_val(self) -> Val {
                let $value = self;
                Val::$kind($to)
            }
            fn from_val(val: Val) -> Option<Self> {
                if let Val::$kind($value) = val { Some($from) } else { None }
            }
        }
    };
}

number!(i32, I32, value => value, value);
number!(u32, I32, value => value as i32, value as u32);
number!(i64, I64, value => value, value);
number!(u64, I64, value => value as i64, value as u64);
number!(f32, F32, value => value.to_bits(), f32::from_bits(value));
number!(f64, F64, value => value.to_bits(), f64::from_bits(value));
number!(u128, V128, value => value, value);

macro_rules! reference {
    ($rust:ty, $kind:ident, $hierarchy:ident, $value:ident => $to:expr, $from:expr) => {
        impl WasmValue for $rust {
            fn is(store: &StoreInner, ty: &ValType) -> bool {
                matches!(ty, ValType::Ref(of) if Hierarchy::of(store, of.heap) == Hierarchy::$hierarchy)
            }
            fn into_val(self) -> Val {
                let $value = self;
                Val::$kind($to)
            }
            fn from_val(val: Val) -> Option<Self> {
                if let Val::$kind($value) = val { Some($from) } else { None }
            }
        }
    };
}

reference!(AnyRef, AnyRef, Any, value => value.0, AnyRef(value));
reference!(ExternRef, ExternRef, Extern, value => value.0, ExternRef(value));
reference!(Option<Func>, FuncRef, Func, value => value, value);

/// A list of [`WasmValue`]s: `()`, one value, or a tuple of up to eight.
pub trait WasmList: Sized {
    /// Whether it stands for `types`.
    fn are(store: &StoreInner, types: &[ValType]) -> bool;
    /// To values.
    fn into_vals(self) -> Vec<Val>;
    /// From values of the right kinds.
    fn from_vals(vals: Vec<Val>) -> Option<Self>;
}

impl<T: WasmValue> WasmList for T {
    fn are(store: &StoreInner, types: &[ValType]) -> bool {
        matches!(types, [ty] if T::is(store, ty))
    }
    fn into_vals(self) -> Vec<Val> {
        vec![self.into_val()]
    }
    fn from_vals(vals: Vec<Val>) -> Option<Self> {
        let [val] = <[Val; 1]>::try_from(vals).ok()?;
        T::from_val(val)
    }
}

macro_rules! list {
    ($($name:ident)*) => {
        impl<$($name: WasmValue),*> WasmList for ($($name,)*) {
            fn are(store: &StoreInner, types: &[ValType]) -> bool {
                let _ = store;
                let mut types = types.iter();
                $(types.next().is_some_and(|ty| $name::is(store, ty)) &&)* types.next().is_none()
            }
            #[expect(non_snake_case, reason = "the type parameters' names serve as variables")]
            fn into_vals(self) -> Vec<Val> {
                let ($($name,)*) = self;
                vec![$($name.into_val()),*]
            }
            fn from_vals(vals: Vec<Val>) -> Option<Self> {
                let mut vals = vals.into_iter();
                let list = ($($name::from_val(vals.next()?)?,)*);
                vals.next().is_none().then_some(list)
            }
        }
    };
}

list!(A B);
list!(A B C);
list!(A B C D);
list!(A B C D E);
list!(A B C D E F);
list!(A B C D E F G);
list!(A B C D E F G H);

impl WasmList for () {
    fn are(_: &StoreInner, types: &[ValType]) -> bool {
        types.is_empty()
    }
    fn into_vals(self) -> Vec<Val> {
        Vec::new()
    }
    fn from_vals(vals: Vec<Val>) -> Option<Self> {
        vals.is_empty().then_some(())
    }
}

/// A function whose type was checked once.
#[derive(Debug)]
pub struct TypedFunc<P, R> {
    func: Func,
    types: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R> Copy for TypedFunc<P, R> {}

impl<P: WasmList, R: WasmList> TypedFunc<P, R> {
    pub(crate) fn new(func: Func, store: &StoreInner) -> Result<Self, Error> {
        let ty = func.ty(store)?;
        if P::are(store, &ty.params) && R::are(store, &ty.results) {
            Ok(TypedFunc { func, types: PhantomData })
        } else {
            Err(Error::usage(Usage::Type { index: 0 }))
        }
    }
    /// The function.
    pub fn func(&self) -> Func {
        self.func
    }
    /// Calls it.
    ///
    /// # Errors
    /// As [`Func::call`].
    pub fn call(&self, store: &mut StoreInner, params: P) -> Result<R, Error> {
        let results = self.func.call(store, &params.into_vals())?;
        R::from_vals(results).ok_or_else(|| Error::internal("result of another type"))
    }
}
