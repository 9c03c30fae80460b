//! Values that the compiler does not know, and calls whose results it may not drop.

use core::fmt::{self, Debug, Display, Write};
use core::hint::black_box;
use core::ptr;

/// A value of which the compiler knows the type, and nothing else.
///
/// It would be whatever lies in RAM, were this image run.
pub(crate) fn any<T>() -> T {
    let address = black_box(0x2000_0000);
    // SAFETY:
    // - This image is linked, never run. No address holds a valid value of each type.
    unsafe { ptr::with_exposed_provenance::<T>(address).read_volatile() }
}

/// Keeps a value, and with it what made it.
pub(crate) fn keep<T>(value: T) {
    drop(black_box(value));
}

/// Keeps all that comes out of an iterator.
pub(crate) fn drain<T>(values: impl Iterator<Item = T>) {
    values.for_each(keep);
}

/// A function that can be called with any values.
pub(crate) trait Callable<Arguments> {
    /// Calls it, and keeps what it returns.
    fn call_with_any(self);
}

macro_rules! callable {
    ($($argument:ident)*) => {
        impl<F: FnOnce($($argument),*) -> R, R, $($argument),*> Callable<($($argument,)*)> for F {
            #[inline(always)]
            fn call_with_any(self) {
                keep(self($(any::<$argument>()),*));
            }
        }
    };
}

callable!();
callable!(A);
callable!(A B);
callable!(A B C);
callable!(A B C D);
callable!(A B C D E);
callable!(A B C D E G);

/// Calls the function with values of its arguments' types of which the compiler knows nothing.
#[inline(always)]
pub(crate) fn call<Arguments>(function: impl Callable<Arguments>) {
    function.call_with_any();
}

/// Calls each function of a list.
macro_rules! call_each {
    ($($function:expr),* $(,)?) => {
        $(crate::any::call($function);)*
    };
}
pub(crate) use call_each;

/// Takes what is written, wherever it goes.
struct Sink;

impl Write for Sink {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        keep(text);
        any()
    }
}

/// Writes a value of the type as text, for its user and for a developer.
pub(crate) fn show<T: Display + Debug>() {
    keep(write!(Sink, "{}", any::<&T>()));
    keep(write!(Sink, "{:?}", any::<&T>()));
    keep(write!(Sink, "{:#?}", any::<&T>()));
}
