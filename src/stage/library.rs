//! The shader files: those that are shipped, and over them those of the user's folder, watched while running.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    declaration::{Declaration, Fault, Kind},
    watch::Watch,
    wgsl::{self, Shader},
};

macro_rules! shipped {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../shaders/", $folder, "/", $name, ".wgsl")))),*]
    };
}

const EFFECTS: &[(&str, &str)] = shipped!("effects":
    "bloom", "colour", "displace", "grain", "kaleidoscope", "mirror", "posterise", "sharpen", "trails", "vignette");

const TRANSITIONS: &[(&str, &str)] = shipped!("transitions":
    "displacement", "dissolve", "glitch", "ink_bleed", "kaleidoscope", "luma", "perlin", "ripple", "wipe", "zoom_blur");

/// The transition that is always there.
pub(super) const DISSOLVE: &str = "dissolve";

/// A shader file may not be larger than this.
const MOST_BYTES: u64 = 256 * 1024;

type Key = (u8, i32, String);

fn key(declaration: &Declaration) -> Key {
    match declaration.kind {
        Kind::Effect => (0, declaration.order, declaration.name.clone()),
        Kind::Transition => (1, 0, declaration.name.clone()),
    }
}

/// All effects and transitions. Belongs to the thread that makes frames; files are read and checked on another.
#[derive(Default)]
pub struct ShaderLibrary {
    shaders: Vec<Arc<Shader>>,
    watches: Vec<Watch>,
    faults: BTreeMap<String, String>,
    generation: u64,
}

impl ShaderLibrary {
    /// The shipped effects and transitions.
    pub fn builtin() -> Self {
        let mut library = Self::default();
        for (name, source) in EFFECTS.iter().chain(TRANSITIONS) {
            match wgsl::shader(name, source) {
                Ok(shader) => library.insert(shader),
                Err(fault) => library.fault(&format!("{name}.wgsl"), &fault),
            }
        }
        library
    }

    /// Lays the `.wgsl` files of a folder (and of `effects/` and `transitions/` in it) over what is there, and watches
    /// it from now on. A file with an error, or a folder that is not there, is reported by [`Self::messages`].
    pub fn with_folder(mut self, folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        match files(folder) {
            Ok(files) => {
                for file in files {
                    self.loaded(&file, read(&file));
                }
            }
            Err(error) => {
                self.faults.insert(
                    folder.display().to_string(),
                    format!("the shader folder {} cannot be read: {error}", folder.display()),
                );
                return self;
            }
        }
        match Watch::new(folder) {
            Ok(watch) => self.watches.push(watch),
            Err(error) => {
                self.faults.insert(
                    folder.display().to_string(),
                    format!(
                        "the shader folder {} cannot be watched, saved files are not reloaded: {error}",
                        folder.display()
                    ),
                );
            }
        }
        self
    }

    /// Effects in the order in which they run, then transitions by name.
    pub fn declarations(&self) -> impl Iterator<Item = &Declaration> {
        self.shaders.iter().map(|shader| &shader.declaration)
    }

    /// What is wrong just now, a sentence a file; a file that is mended disappears from here.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.faults.values().map(String::as_str)
    }

    /// Counts up whenever a file was reloaded: declarations may have changed then.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn shaders(&self) -> &[Arc<Shader>] {
        &self.shaders
    }

    pub(super) fn find(&self, kind: Kind, name: &str) -> Option<&Arc<Shader>> {
        self.shaders.iter().find(|shader| shader.declaration.kind == kind && shader.declaration.name == name)
    }

    /// Takes over what was saved since; never waits. Gives each shader that is new.
    pub(super) fn poll(&mut self, mut each: impl FnMut(Arc<Shader>)) {
        while let Some((file, result)) = self.watches.iter().find_map(Watch::next) {
            if let Some((kind, name)) = self.loaded(&file, result)
                && let Some(shader) = self.find(kind, &name)
            {
                each(shader.clone());
            }
        }
    }

    /// What the graphics driver refused although naga did not.
    pub(super) fn refuse(&mut self, name: &str, why: &str) {
        self.fault(&format!("{name}.wgsl"), &Fault::whole(why));
    }

    fn loaded(&mut self, file: &Path, result: Result<Shader, Fault>) -> Option<(Kind, String)> {
        let label = file.display().to_string();
        match result {
            Ok(shader) => {
                self.faults.remove(&label);
                self.generation += 1;
                let id = (shader.declaration.kind, shader.declaration.name.clone());
                self.insert(shader);
                Some(id)
            }
            Err(fault) => {
                self.fault(&label, &fault);
                None
            }
        }
    }

    fn insert(&mut self, shader: Shader) {
        let shader = Arc::new(shader);
        let new = &shader.declaration;
        self.shaders.retain(|old| old.declaration.kind != new.kind || old.declaration.name != new.name);
        let at = self.shaders.partition_point(|old| key(&old.declaration) < key(new));
        self.shaders.insert(at, shader);
    }

    fn fault(&mut self, label: &str, fault: &Fault) {
        let place = fault.line.map(|line| format!(":{line}")).unwrap_or_default();
        self.faults.insert(label.to_owned(), format!("{label}{place}: {}", fault.why));
    }
}

/// Reads and checks one file.
pub(super) fn read(file: &Path) -> Result<Shader, Fault> {
    let unreadable = |error: std::io::Error| Fault::whole(format!("the file cannot be read: {error}"));
    if std::fs::metadata(file).map_err(unreadable)?.len() > MOST_BYTES {
        return Err(Fault::whole(format!("the file is larger than {} KB", MOST_BYTES / 1024)));
    }
    let source = std::fs::read_to_string(file).map_err(unreadable)?;
    let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    wgsl::shader(name, &source)
}

pub(super) fn is_shader(file: &Path) -> bool {
    let hidden = file.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.'));
    !hidden && file.extension().is_some_and(|extension| extension == "wgsl")
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let list = |folder: &Path, found: &mut Vec<PathBuf>| -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if is_shader(&path) && path.is_file() {
                found.push(path);
            }
        }
        Ok(())
    };
    list(folder, &mut found)?;
    for kind in ["effects", "transitions"] {
        let inner = folder.join(kind);
        if inner.is_dir() {
            list(&inner, &mut found)?;
        }
    }
    // In a fixed order, so that the same folder always gives the same library.
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn every_shipped_shader_is_valid_and_documented() {
        let library = ShaderLibrary::builtin();
        assert_eq!(library.messages().collect::<Vec<_>>(), Vec::<&str>::new());
        let count = |kind| library.declarations().filter(|declared| declared.kind == kind).count();
        assert!(count(Kind::Effect) >= 8 && count(Kind::Transition) >= 10);
        for declared in library.declarations() {
            assert!(!declared.doc.is_empty(), "{} has no sentence", declared.name);
            for param in &declared.params {
                assert!(param.doc.ends_with('.'), "{}/{} has no sentence", declared.name, param.name);
            }
        }
    }

    #[test]
    fn every_file_in_shaders_is_shipped() {
        for (folder, shipped) in [("effects", EFFECTS), ("transitions", TRANSITIONS)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders").join(folder);
            let names: Vec<_> = files(&folder)
                .unwrap()
                .iter()
                .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            assert_eq!(names, shipped.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_stages_own_shaders_are_valid() {
        for (name, source) in [
            ("picture", include_str!("../../shaders/picture.wgsl")),
            ("pyramid", include_str!("../../shaders/pyramid.wgsl")),
            ("output", include_str!("../../shaders/output.wgsl")),
        ] {
            let module = format!("{}{source}", wgsl::PRELUDE);
            let parsed = wgpu::naga::front::wgsl::parse_str(&module)
                .unwrap_or_else(|error| panic!("{name}: {}", error.emit_to_string(&module)));
            wgpu::naga::valid::Validator::new(
                wgpu::naga::valid::ValidationFlags::all(),
                wgpu::naga::valid::Capabilities::empty(),
            )
            .validate(&parsed)
            .unwrap_or_else(|error| panic!("{name}: {}", error.emit_to_string(&module)));
        }
    }

    #[test]
    fn effects_run_in_the_order_of_their_files() {
        let library = ShaderLibrary::builtin();
        let orders: Vec<_> = library
            .declarations()
            .filter(|declared| declared.kind == Kind::Effect)
            .map(|declared| declared.order)
            .collect();
        assert!(orders.is_sorted());
    }

    fn wait(library: &mut ShaderLibrary, mut until: impl FnMut(&ShaderLibrary) -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            library.poll(|_| ());
            if until(library) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    #[test]
    fn a_saved_file_is_reloaded_and_one_with_an_error_keeps_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tint.wgsl");
        let good = |red: f32| {
            format!(
                "//! Tint: red.\n//@ red: float = {red} [0, 1] \"How red.\"\nfn effect(uv: vec2f) -> vec4f {{ return stage(uv) * param.red; }}\n"
            )
        };
        std::fs::write(&file, good(0.25)).unwrap();
        let mut library = ShaderLibrary::builtin().with_folder(folder.path());
        let red = |library: &ShaderLibrary| library.find(Kind::Effect, "tint").unwrap().declaration.params[0].default;
        assert_eq!(red(&library), 0.25);

        std::fs::write(&file, good(0.75)).unwrap();
        assert!(wait(&mut library, |library| red(library) == 0.75));

        std::fs::write(&file, good(0.5).replace("param.red", "param.blue")).unwrap();
        assert!(wait(&mut library, |library| library.messages().count() == 1));
        let message = library.messages().next().unwrap().to_owned();
        assert!(message.contains("tint.wgsl:3") && message.contains("blue"), "{message}");
        assert_eq!(red(&library), 0.75);

        std::fs::write(&file, good(0.5)).unwrap();
        assert!(wait(&mut library, |library| library.messages().count() == 0 && red(library) == 0.5));
    }

    #[test]
    fn a_file_of_the_user_replaces_the_shipped_one_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("effects")).unwrap();
        let source = "//! Mine: my own.\nfn effect(uv: vec2f) -> vec4f { return stage(uv); }";
        std::fs::write(folder.path().join("effects/bloom.wgsl"), source).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "not a shader").unwrap();
        let library = ShaderLibrary::builtin().with_folder(folder.path());
        let count = ShaderLibrary::builtin().declarations().count();
        assert_eq!(library.declarations().count(), count);
        assert_eq!(library.find(Kind::Effect, "bloom").unwrap().declaration.title, "Mine");
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_message() {
        let library = ShaderLibrary::builtin().with_folder("/no/such/folder");
        assert!(library.messages().next().unwrap().contains("/no/such/folder"));
    }

    #[test]
    fn random_bytes_are_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        std::fs::write(folder.path().join("noise.wgsl"), &bytes).unwrap();
        std::fs::write(folder.path().join("empty.wgsl"), "").unwrap();
        std::fs::write(folder.path().join("cut.wgsl"), &EFFECTS[0].1[..EFFECTS[0].1.len() / 2]).unwrap();
        let library = ShaderLibrary::builtin().with_folder(folder.path());
        assert_eq!(library.messages().count(), 3);
    }
}
