//! Which parameters came, went or changed their declaration, as clients of OSCQuery are told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::control::{Param, Table};

/// More single paths than this are told by their common path alone.
const MOST_SINGLE: usize = 64;

/// The parameters as a client knows them.
#[derive(Debug)]
pub struct Layout {
    number: u64,
    params: BTreeMap<String, Arc<Param>>,
}

/// What a client has to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    /// The container to be read again.
    pub path: String,
}

impl Layout {
    pub fn of(table: &Table) -> Self {
        // The number first: what is declared meanwhile is looked at again.
        let number = table.layout();
        let params = table.all().iter().map(|handle| (handle.path(), handle.param())).collect();
        Self { number, params }
    }

    pub fn holds(&self, path: &str) -> bool {
        self.params.contains_key(path)
    }

    /// What has changed since the last call; cheap where nothing has.
    pub fn follow(&mut self, table: &Table) -> Option<Change> {
        if table.layout() == self.number {
            return None;
        }
        let before = std::mem::replace(self, Self::of(table));
        let missing = |from: &Self, than: &Self| from.params.keys().filter(|path| !than.holds(path)).cloned().collect();
        let mut added: Vec<String> = missing(self, &before);
        let mut removed: Vec<String> = missing(&before, self);
        let declared = |(path, param): (&String, &Arc<Param>)| {
            before.params.get(path).is_some_and(|old| old != param).then(|| path.clone())
        };
        let mut changed: BTreeSet<String> = self.params.iter().filter_map(declared).collect();
        let known = |path: &str| before.has_under(path) && self.has_under(path);
        changed.extend(added.iter().chain(&removed).map(|path| nearest_known(path, known)));
        let path = changed.into_iter().reduce(|common, path| common_container(&common, &path))?;
        if added.len() + removed.len() > MOST_SINGLE {
            (added, removed) = Default::default();
        }
        Some(Change { added, removed, path })
    }

    fn has_under(&self, container: &str) -> bool {
        self.params.keys().any(|path| path.strip_prefix(container).is_some_and(|r| r.is_empty() || r.starts_with('/')))
    }
}

/// The container around a path that both sides know.
fn nearest_known(path: &str, known: impl Fn(&str) -> bool) -> String {
    let mut container = path;
    while let Some((above, _)) = container.rsplit_once('/') {
        container = above;
        if !container.is_empty() && known(container) {
            return container.to_owned();
        }
    }
    "/".to_owned()
}

fn common_container(one: &str, other: &str) -> String {
    let common: Vec<_> = one.split('/').zip(other.split('/')).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    let path = common.join("/");
    if path.is_empty() { "/".to_owned() } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new(
            ["/stage/master", "/effect/trails/amount", "/effect/blur/amount"]
                .map(|path| Param::float(path, 0.0, 1.0, 0.0)),
        )
    }

    fn change(path: &str, added: &[&str], removed: &[&str]) -> Option<Change> {
        let strings = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        Some(Change { path: path.into(), added: strings(added), removed: strings(removed) })
    }

    #[test]
    fn what_comes_is_told_with_the_container_that_was_known() {
        let table = table();
        let mut layout = Layout::of(&table);
        assert_eq!(layout.follow(&table), None);
        table.declare([Param::bool("/effect/trails/on", false)]);
        assert_eq!(layout.follow(&table), change("/effect/trails", &["/effect/trails/on"], &[]));
        table.declare([Param::bool("/effect/ripple/on", false)]);
        assert_eq!(layout.follow(&table), change("/effect", &["/effect/ripple/on"], &[]));
        table.declare([Param::bool("/new/one", false)]);
        assert_eq!(layout.follow(&table), change("/", &["/new/one"], &[]));
        assert_eq!(layout.follow(&table), None);
    }

    #[test]
    fn what_goes_is_told_with_the_container_that_is_left() {
        let table = table();
        let mut layout = Layout::of(&table);
        table.retire("/effect/trails");
        assert_eq!(layout.follow(&table), change("/effect", &[], &["/effect/trails/amount"]));
        table.retire("/effect");
        assert_eq!(layout.follow(&table), change("/", &[], &["/effect/blur/amount"]));
    }

    #[test]
    fn another_range_is_a_change_of_that_path_and_the_same_again_is_none() {
        let table = table();
        let mut layout = Layout::of(&table);
        table.declare([Param::float("/stage/master", 0.0, 1.0, 0.0)]);
        assert_eq!(layout.follow(&table), None);
        table.declare([Param::float("/stage/master", 0.0, 2.0, 0.0)]);
        assert_eq!(layout.follow(&table), change("/stage/master", &[], &[]));
        table.declare(["/effect/trails/amount", "/effect/blur/amount"].map(|path| Param::float(path, 0.0, 2.0, 0.0)));
        assert_eq!(layout.follow(&table), change("/effect", &[], &[]));
    }
}
