//! Names of models on the hub: `ORG/NAME`, `ORG/NAME@REVISION`, `ORG/NAME/FILE.safetensors`, or a short name.

use super::known;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// `ORG/NAME`, or `NAME` alone for the oldest models.
    pub repo: String,
    /// A branch, tag or commit; `main` if nothing is said.
    pub revision: String,
    /// One file of it.
    pub file: Option<String>,
}

impl Name {
    /// None for what cannot be a name.
    pub fn parse(typed: &str) -> Option<Self> {
        let typed = typed.trim();
        let typed = typed.strip_prefix("https://huggingface.co/").unwrap_or(typed).trim_end_matches('/');
        let (path, revision) = typed.split_once('@').unwrap_or((typed, "main"));
        let repo = known(path).map_or(path, |k| k.repo);
        let mut parts = repo.splitn(3, '/');
        let (org, name, file) = (parts.next()?, parts.next(), parts.next());
        let repo = name.map_or_else(|| org.to_owned(), |name| format!("{org}/{name}"));
        let word = |w: &str| {
            !w.is_empty()
                && w.len() <= 96
                && !w.starts_with(['.', '-'])
                && !w.contains("..")
                && !w.contains("--")
                && w.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        let fits = repo.split('/').all(word)
            && is_revision(revision)
            && file.is_none_or(|f| is_file(f) && f.ends_with(".safetensors"));
        fits.then(|| Self { repo, revision: revision.to_owned(), file: file.map(str::to_owned) })
    }

    /// The folder in the cache.
    pub fn folder(&self) -> String {
        format!("models--{}", self.repo.replace('/', "--"))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.repo)?;
        if let Some(file) = &self.file {
            write!(f, "/{file}")?;
        }
        if self.revision == "main" { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

/// Branches, tags and commits; nothing that leads out of a folder.
fn is_revision(text: &str) -> bool {
    is_file(text) && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
}

/// Whether a name of a file stays within the folder that it is put into.
pub fn is_file(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 1000
        && !path.contains(['\\', ':', '\0'])
        && !path.chars().any(char::is_control)
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hub_are_read() {
        let name = Name::parse("stabilityai/sd-turbo").unwrap();
        assert_eq!((&*name.repo, &*name.revision, name.file), ("stabilityai/sd-turbo", "main", None));
        assert_eq!(Name::parse("a/b@v1.0").unwrap().to_string(), "a/b@v1.0");
        assert_eq!(Name::parse("a/b/c/d.safetensors@x").unwrap().file.as_deref(), Some("c/d.safetensors"));
        assert_eq!(Name::parse("https://huggingface.co/a/b/").unwrap().folder(), "models--a--b");
        assert_eq!(Name::parse("sd-turbo").unwrap().repo, "stabilityai/sd-turbo");
        assert_eq!(Name::parse("gpt2").unwrap().repo, "gpt2");
    }

    #[test]
    fn what_leads_out_of_the_cache_is_no_name() {
        for typed in
            ["", "../x", "a/..", "a/b@../../x", "a/b/../c.safetensors", "/etc/passwd", "a/b/c.ckpt", "a b/c", "a--b/c"]
        {
            assert_eq!(Name::parse(typed), None, "{typed}");
        }
    }
}
