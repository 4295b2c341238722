//! Maps that are used again: what one picture has allocated, the next one finds.

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use super::grid::{Form, Grid};

/// A store of maps by their form. Cloning gives another handle to the same store.
#[derive(Clone, Default)]
pub struct Maps(Arc<Mutex<HashMap<Form, Vec<Grid>>>>);

/// A map of a store, which goes back to it when it is dropped. Its border is zero, the rest whatever it was.
pub struct Map {
    /// None only while it is dropped.
    grid: Option<Grid>,
    form: Form,
    home: Maps,
}

impl Maps {
    /// A map of this form: one that nobody uses, or a new one.
    pub fn take(&self, form: Form) -> Map {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&form).and_then(Vec::pop);
        Map { grid: Some(known.unwrap_or_else(|| Grid::of(form))), form, home: self.clone() }
    }

    /// Frees what nobody uses, when pictures of another size come.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let Some(mut grid) = self.grid.take() else { return };
        if grid.form() != self.form && self.form.border == 0 {
            // It was rearranged.
            grid.rearranged(self.form.height, self.form.width);
        }
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).entry(self.form).or_default().push(grid);
    }
}

impl Deref for Map {
    type Target = Grid;
    fn deref(&self) -> &Grid {
        #[expect(clippy::expect_used, reason = "the map is there until it is dropped")]
        self.grid.as_ref().expect("a map")
    }
}

impl DerefMut for Map {
    fn deref_mut(&mut self) -> &mut Grid {
        #[expect(clippy::expect_used, reason = "the map is there until it is dropped")]
        self.grid.as_mut().expect("a map")
    }
}
