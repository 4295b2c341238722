//! What is handed out each hop and comes back when nobody looks at it any more: memory is used again, not made anew.

use std::sync::Arc;

/// Kept for being used again: one in the slot, two being looked at, one in the making, some to spare.
const MOST: usize = 6;

/// See the module. Belongs to the thread that makes the values.
#[derive(Debug)]
pub struct Spares<T: ?Sized>(Vec<Arc<T>>);

impl<T: ?Sized> Default for Spares<T> {
    fn default() -> Self {
        Self(Vec::with_capacity(MOST))
    }
}

impl<T: ?Sized> Spares<T> {
    /// One that nobody else holds and that fits, or a new one.
    pub fn take(&mut self, fits: impl Fn(&T) -> bool, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        let free = self.0.iter_mut().position(|spare| Arc::get_mut(spare).is_some_and(|value| fits(value)));
        free.map_or_else(make, |at| self.0.swap_remove(at))
    }

    /// Keeps it for later; the oldest goes when there are too many.
    pub fn keep(&mut self, value: &Arc<T>) {
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(Arc::clone(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_used_again_and_what_somebody_holds_is_not() {
        let mut spares = Spares::<[f32]>::default();
        let make = || Arc::from(vec![0.0_f32; 4]);
        let first = spares.take(|_| true, make);
        spares.keep(&first);
        let at = Arc::as_ptr(&first);
        let second = spares.take(|values| values.len() == 4, make);
        assert_ne!(Arc::as_ptr(&second), at, "still held");
        drop(first);
        assert_eq!(Arc::as_ptr(&spares.take(|values| values.len() == 4, make)), at);
        assert_eq!(spares.take(|values| values.len() == 8, || Arc::from(vec![0.0_f32; 8])).len(), 8);
    }
}
