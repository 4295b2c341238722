//! "Did you mean …": the nearest of the known names.

/// The known name most like `wanted`, if any is like it at all.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), likeness(&wanted, name), name))
        // A typo changes few letters of a long name; a forgotten prefix leaves the last part equal.
        .filter(|(edits, likeness, _)| *edits <= 2 || *likeness > 0.85)
        .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
        .map(|(.., name)| name)
}

/// 0..1 over the whole names, or over their last parts where those agree better (`/stage/vivid` for `/dream/vivid`).
fn likeness(wanted: &str, name: &str) -> f64 {
    let whole = strsim::jaro_winkler(wanted, name);
    let last = |path: &str| path.rsplit('/').next().map(str::to_owned).unwrap_or_default();
    if wanted.contains('/') && !last(wanted).is_empty() && last(wanted) == last(name) {
        return whole.max(0.9);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_finds_its_name() {
        let known = ["/dream/vivid", "/dream/bright", "/stage/master"];
        assert_eq!(nearest("/dream/vivd", known), Some("/dream/vivid"));
        assert_eq!(nearest("/stage/vivid", known), Some("/dream/vivid"));
        assert_eq!(nearest("dream/bright", known), Some("/dream/bright"));
    }

    #[test]
    fn a_word_like_nothing_finds_nothing() {
        assert_eq!(nearest("zebra", ["/dream/vivid", "/stage/master"]), None);
    }
}
