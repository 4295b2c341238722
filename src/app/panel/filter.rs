//! Which parameters are listed: by group, by what was typed into the search field.

use super::data::ParamRow;

/// A group of the list: the first part of the paths in it, or one that goes across.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Group {
    #[default]
    All,
    /// Away from their defaults.
    Moved,
    /// Moved by a controller, an LFO and the like.
    Mapped,
    Under(String),
}

impl Group {
    pub fn word(&self) -> &str {
        match self {
            Self::All => "all",
            Self::Moved => "changed",
            Self::Mapped => "mapped",
            Self::Under(part) => part,
        }
    }

    fn has(&self, row: &ParamRow) -> bool {
        match self {
            Self::All => true,
            Self::Moved => !row.is_at_default(),
            Self::Mapped => !row.mapped.is_empty(),
            Self::Under(part) => first_part(row.path()) == part,
        }
    }
}

/// All groups that there are: first those that go across, then those of the table in its own order.
pub fn groups(rows: &[ParamRow]) -> Vec<Group> {
    let mut parts: Vec<&str> = Vec::new();
    for row in rows {
        let part = first_part(row.path());
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    let across = [Group::All, Group::Moved, Group::Mapped];
    across.into_iter().chain(parts.into_iter().map(|part| Group::Under(part.to_owned()))).collect()
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// What the paths below have in common, `dream / genre`.
    Head(String),
    /// Place in the rows.
    Row(usize),
}

/// The lines to be shown: every word that was typed must be in the path or the sentence. A search goes through all
/// groups, for who searches does not know the group.
pub fn lines(rows: &[ParamRow], group: &Group, typed: &str) -> Vec<Line> {
    let words: Vec<String> = typed.split_whitespace().map(str::to_lowercase).collect();
    let mut found: Vec<(String, usize)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| if words.is_empty() { group.has(row) } else { matches(row, &words) })
        .map(|(at, row)| (head(row), at))
        .collect();
    // Groups stay together, in the order in which they first come: a shader declared later may add to an earlier one.
    let mut heads: Vec<String> = Vec::new();
    for (head, _) in &found {
        if !heads.contains(head) {
            heads.push(head.clone());
        }
    }
    found.sort_by_key(|(head, at)| (heads.iter().position(|known| known == head), *at));
    let mut lines = Vec::new();
    let mut last = None;
    for (head, at) in found {
        if last.as_ref() != Some(&head) {
            lines.push(Line::Head(head.clone()));
            last = Some(head);
        }
        lines.push(Line::Row(at));
    }
    lines
}

fn matches(row: &ParamRow, words: &[String]) -> bool {
    let text = format!("{} {}", row.path(), row.param.about).to_lowercase().replace('_', " ");
    let path = row.path().to_lowercase();
    words.iter().all(|word| text.contains(word) || path.contains(word))
}

fn first_part(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

fn head(row: &ParamRow) -> String {
    row.param.group().replace('/', " / ").replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Origin, Param, Table, Value, builtin};

    fn rows(table: &Table) -> Vec<ParamRow> {
        table.all().into_iter().map(ParamRow::new).collect()
    }

    fn table() -> Table {
        let table = Table::new(builtin());
        table.declare(["trails", "mirror"].map(|name| Param::float(format!("/effect/{name}/amount"), 0.0, 1.0, 0.0)));
        table.declare([Param::float("/effect/trails/decay", 0.0, 1.0, 0.5).about("How long a trail lasts.")]);
        table
    }

    fn shown(rows: &[ParamRow], group: &Group, typed: &str) -> Vec<String> {
        lines(rows, group, typed)
            .into_iter()
            .map(|line| match line {
                Line::Head(text) => format!("# {text}"),
                Line::Row(at) => rows[at].path().to_owned(),
            })
            .collect()
    }

    #[test]
    fn every_parameter_is_listed_once_under_its_group() {
        let rows = rows(&table());
        let lines = lines(&rows, &Group::All, "");
        assert_eq!(lines.iter().filter(|line| matches!(line, Line::Row(_))).count(), rows.len());
        let effects = shown(&rows, &Group::Under("effect".into()), "");
        assert_eq!(
            effects,
            [
                "# effect / trails",
                "/effect/trails/amount",
                "/effect/trails/decay",
                "# effect / mirror",
                "/effect/mirror/amount"
            ]
        );
    }

    #[test]
    fn a_search_finds_words_of_path_and_sentence_in_every_group() {
        let rows = rows(&table());
        let here = Group::Under("signal".into());
        assert_eq!(shown(&rows, &here, "TRAIL lasts"), ["# effect / trails", "/effect/trails/decay"]);
        assert_eq!(shown(&rows, &here, "transition_secs"), ["# stage", "/stage/transition_secs"]);
        assert_eq!(shown(&rows, &here, "transition secs"), ["# stage", "/stage/transition_secs"]);
        assert!(shown(&rows, &here, "zebra").is_empty());
        assert!(shown(&rows, &here, "  ").contains(&"/signal/gain".to_owned()));
    }

    #[test]
    fn changed_and_mapped_parameters_have_lists_of_their_own() {
        let table = table();
        table.set("/dream/vivid", Value::Float(0.5), Origin::Key).unwrap();
        let mut rows = rows(&table);
        assert_eq!(shown(&rows, &Group::Moved, ""), ["# dream", "/dream/vivid"]);
        assert!(shown(&rows, &Group::Mapped, "").is_empty());
        rows[0].mapped = "CC 7".into();
        assert_eq!(shown(&rows, &Group::Mapped, "").len(), 2);
    }

    #[test]
    fn the_groups_are_those_of_the_table_in_its_order() {
        let groups = groups(&rows(&table()));
        let words: Vec<_> = groups.iter().map(Group::word).collect();
        assert_eq!(words[..5], ["all", "changed", "mapped", "signal", "synth"]);
        assert_eq!(words.iter().filter(|word| **word == "effect").count(), 1);
    }
}
