//! Where models of the user lie, and what is in there.

use std::path::{Path, PathBuf};

/// Folders within folders that are looked into: `models/loras/ink.safetensors`.
const DEEPEST: usize = 2;

/// `WAVEDREAM_MODELS` (several, as in `PATH`), and `wavedream/models` where the system keeps data of programs.
pub fn folders() -> Vec<PathBuf> {
    let named = std::env::var_os("WAVEDREAM_MODELS");
    let mut all: Vec<PathBuf> = named.iter().flat_map(|v| std::env::split_paths(v).collect::<Vec<_>>()).collect();
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/share")));
    all.extend(data.map(|data| data.join("wavedream/models")));
    all.retain(|folder| folder.is_dir());
    all
}

/// A model in one of the folders, by its path within it without `.safetensors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    pub name: String,
    pub path: PathBuf,
}

/// What lies in a folder of models, in the order of names.
pub fn within(folder: &Path) -> Vec<Own> {
    let mut found = Vec::new();
    visit(folder, "", 0, &mut found);
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn visit(folder: &Path, under: &str, depth: usize, found: &mut Vec<Own>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, file) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if file.starts_with('.') {
            continue;
        }
        let name = |stem: &str| format!("{under}{stem}");
        if path.is_dir() {
            if is_model(&path) {
                found.push(Own { name: name(&file), path });
            } else if depth < DEEPEST {
                visit(&path, &format!("{under}{file}/"), depth + 1, found);
            }
        } else if let Some((stem, "safetensors" | "ckpt" | "pt" | "pth")) = file.rsplit_once('.') {
            found.push(Own { name: name(stem), path });
        }
    }
}

/// A folder of diffusers: a pipeline, or a part by itself.
fn is_model(folder: &Path) -> bool {
    ["model_index.json", "unet/config.json", "config.json"].iter().any(|f| folder.join(f).is_file())
}

/// What of a fetched snapshot is the model: the folder, or its only file.
pub fn of_snapshot(snapshot: &Path) -> PathBuf {
    if is_model(snapshot) {
        return snapshot.to_owned();
    }
    let entries = std::fs::read_dir(snapshot).into_iter().flatten().flatten().map(|e| e.path());
    let files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "safetensors")).collect();
    if let [only] = &files[..] { only.clone() } else { snapshot.to_owned() }
}

/// Bytes on disk, of a file or of all in a folder.
pub fn size_on_disk(path: &Path) -> u64 {
    // Models are not deeper; a link may lead to a folder above itself.
    size_within(path, 4)
}

fn size_within(path: &Path, depth: usize) -> u64 {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() && depth == 0 => 0,
        Ok(metadata) if metadata.is_dir() => {
            std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| size_within(&e.path(), depth - 1)).sum()
        }
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    }
}
