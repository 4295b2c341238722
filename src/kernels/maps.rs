//! Maps that are used again: what one picture has allocated, the next one finds.

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::grid::{Form, Grid};

/// A store of maps by their form. Cloning gives another handle to the same store.
#[derive(Clone, Default)]
pub struct Maps(Arc<Mutex<Store>>);

#[derive(Default)]
struct Store {
    free: HashMap<Form, Vec<Grid>>,
    /// Of all maps, free or not.
    bytes: usize,
}

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
        let known = self.store().free.get_mut(&form).and_then(Vec::pop);
        let grid = known.unwrap_or_else(|| {
            let new = Grid::of(form);
            self.store().bytes += size_of_val(new.words());
            new
        });
        Map { grid: Some(grid), form, home: self.clone() }
    }

    /// Memory of all its maps.
    pub fn bytes(&self) -> usize {
        self.store().bytes
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frees what nobody uses, when pictures of another size come.
    pub fn clear(&self) {
        let mut store = self.store();
        let freed: usize = store.free.drain().flat_map(|(_, grids)| grids).map(|grid| size_of_val(grid.words())).sum();
        store.bytes -= freed;
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let Some(mut grid) = self.grid.take() else { return };
        if grid.form() != self.form && self.form.border == 0 {
            // It was rearranged.
            grid.rearranged(self.form.height, self.form.width);
        }
        self.home.store().free.entry(self.form).or_default().push(grid);
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
