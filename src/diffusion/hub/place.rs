//! Where the hub and its cache are: what the environment says, as huggingface_hub reads it.

use std::{path::PathBuf, time::Duration};

const ENDPOINT: &str = "https://huggingface.co";

/// The hub as this program uses it.
#[derive(Clone)]
pub struct Place {
    /// Without a slash at the end.
    pub endpoint: String,
    /// The folder of `models--ORG--NAME`.
    pub cache: PathBuf,
    /// Never printed, and sent to the endpoint only.
    pub token: Option<String>,
    pub offline: bool,
    /// Wait before the first try again; doubles from there.
    pub pause: Duration,
}

impl Place {
    pub fn from_environment() -> Self {
        Self::read(|name| std::env::var(name).ok().filter(|v| !v.trim().is_empty()), std::env::home_dir())
    }

    /// As huggingface_hub/constants.py: HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub.
    pub fn read(variable: impl Fn(&str) -> Option<String>, home: Option<PathBuf>) -> Self {
        let path = |name: &str| variable(name).map(|v| from_home(&v, home.as_ref()));
        let home_of_hub = path("HF_HOME").unwrap_or_else(|| {
            let caches = path("XDG_CACHE_HOME").or_else(|| Some(home.as_ref()?.join(".cache")));
            caches.unwrap_or_default().join("huggingface")
        });
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let yes =
            |name: &str| variable(name).is_some_and(|v| matches!(&*v.to_uppercase(), "1" | "ON" | "YES" | "TRUE"));
        let saved = || std::fs::read_to_string(path("HF_TOKEN_PATH").unwrap_or_else(|| home_of_hub.join("token"))).ok();
        let token = variable("HF_TOKEN").or_else(saved).map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        Self {
            endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned()).trim_end_matches('/').to_owned(),
            cache: cache.unwrap_or_else(|| home_of_hub.join("hub")),
            token,
            offline: yes("HF_HUB_OFFLINE") || yes("TRANSFORMERS_OFFLINE"),
            pause: Duration::from_secs(1),
        }
    }

    /// The token, where it may be sent: over https, or within this machine.
    pub fn token_to_send(&self) -> Option<&str> {
        let host = self.endpoint.strip_prefix("http://");
        let within = |h: &str| ["localhost", "127.0.0.1", "[::1]"].iter().any(|l| h.starts_with(l));
        self.token.as_deref().filter(|_| host.is_none_or(within))
    }
}

fn from_home(path: &str, home: Option<&PathBuf>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &'static [(&'static str, &'static str)]) -> Place {
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Place::read(find, Some(PathBuf::from("/home/me")))
    }

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        assert_eq!(with(&[]).cache, PathBuf::from("/home/me/.cache/huggingface/hub"));
        assert_eq!(with(&[("XDG_CACHE_HOME", "/c")]).cache, PathBuf::from("/c/huggingface/hub"));
        assert_eq!(with(&[("HF_HOME", "~/hf"), ("XDG_CACHE_HOME", "/c")]).cache, PathBuf::from("/home/me/hf/hub"));
        assert_eq!(with(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/models")]).cache, PathBuf::from("/models"));
    }

    #[test]
    fn endpoint_and_offline_mode_are_read() {
        let plain = with(&[]);
        assert!(plain.endpoint == "https://huggingface.co" && !plain.offline);
        let other = with(&[("HF_ENDPOINT", "https://mirror.example/"), ("HF_HUB_OFFLINE", "true")]);
        assert!(other.endpoint == "https://mirror.example" && other.offline);
        assert!(!with(&[("HF_HUB_OFFLINE", "0")]).offline);
    }

    #[test]
    fn a_token_goes_over_https_or_stays_within_the_machine() {
        assert_eq!(with(&[("HF_TOKEN", "x")]).token_to_send(), Some("x"));
        assert_eq!(with(&[("HF_TOKEN", "x"), ("HF_ENDPOINT", "http://127.0.0.1:1")]).token_to_send(), Some("x"));
        assert_eq!(with(&[("HF_TOKEN", "x"), ("HF_ENDPOINT", "http://mirror.example")]).token_to_send(), None);
    }
}
