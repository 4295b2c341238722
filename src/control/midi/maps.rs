//! The maps that there are: the shipped ones, and the user's folders that add to and override them, file by file.
//!
//! A file with a fault never takes a map away: the one read before stays, and the fault is told. Learning writes the
//! whole map into the user's folder, so that it overrides the shipped one from then on.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::Map;
use crate::control::{Folders, PageError, page::text_of, presets::toml_files};

macro_rules! shipped {
    ($($file:literal),* $(,)?) => {
        /// File name and text of each map in the program.
        pub const SHIPPED_MAPS: &[(&str, &str)] =
            &[$(($file, include_str!(concat!("../../../presets/controllers/", $file)))),*];
    };
}

shipped!(
    "any.toml",
    "apc-mini-mk2.toml",
    "apc-mini.toml",
    "launch-control-xl.toml",
    "midi-fighter-twister.toml",
    "nanokontrol2.toml",
    "x-touch-mini.toml",
);

/// All maps, by id.
#[derive(Debug, Default)]
pub struct Maps {
    maps: BTreeMap<String, Arc<Map>>,
    read: Vec<PathBuf>,
    save: Option<PathBuf>,
}

impl Maps {
    /// Reads all maps: `controllers` beside each of the presets' folders. What was wrong comes back as sentences.
    pub fn load(presets: &Folders) -> (Self, Vec<String>) {
        let beside = |folder: &PathBuf| folder.join("controllers");
        let mut maps = Self {
            maps: BTreeMap::new(),
            read: presets.read.iter().map(beside).collect(),
            save: presets.save.as_ref().map(beside),
        };
        if let Some(save) = maps.save.clone().filter(|save| !maps.read.contains(save)) {
            maps.read.push(save);
        }
        let problems = maps.reload();
        (maps, problems)
    }

    /// Reads all files again. A map whose file now has a fault stays as it was.
    pub fn reload(&mut self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut found: BTreeMap<String, Arc<Map>> = BTreeMap::new();
        for (file, text) in SHIPPED_MAPS {
            match Map::parse(text, file) {
                Ok(map) => {
                    found.insert(map.id.clone(), Arc::new(map));
                }
                Err(error) => problems.push(error.to_string()),
            }
        }
        for file in self.read.iter().flat_map(|folder| toml_files(folder)) {
            match read(&file) {
                Ok(map) => {
                    found.insert(map.id.clone(), Arc::new(map));
                }
                Err(error) => {
                    problems.push(error.to_string());
                    let before = self.maps.values().find(|map| Path::new(&map.file) == file);
                    if let Some(before) = before {
                        found.insert(before.id.clone(), Arc::clone(before));
                    }
                }
            }
        }
        self.maps = found;
        problems
    }

    /// The folders that exist, to be watched.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.read.iter().filter(|folder| folder.is_dir()).cloned().collect()
    }

    /// The map that fits a port best. One that fits every port gives way to any that names it, a shipped one to the
    /// user's.
    pub fn for_port(&self, port: &str) -> Option<&Arc<Map>> {
        let fitting = self.maps.values().filter_map(|map| Some(((map.fit(port)?, map.is_users()), map)));
        fitting.max_by_key(|(fit, _)| *fit).map(|(_, map)| map)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Map>> {
        self.maps.values()
    }

    /// Writes a map into the user's folder and uses it from now on.
    pub fn save(&mut self, mut map: Map) -> Result<Arc<Map>, PageError> {
        let file = format!("{}.toml", map.id);
        let Some(folder) = &self.save else {
            let why = "cannot be saved, for there is no home folder: start with --presets DIR".into();
            return Err(PageError::File { file, why });
        };
        let path = folder.join(file);
        map.file = path.display().to_string();
        let written = write_whole(&path, &map.to_toml());
        let map = Arc::new(map);
        // What was learned holds for this evening even where it cannot be written.
        self.maps.insert(map.id.clone(), Arc::clone(&map));
        written.map(|()| map)
    }

    /// The map of this id.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Map>> {
        self.maps.get(id)
    }
}

fn read(file: &Path) -> Result<Map, PageError> {
    Map::parse(&text_of(file)?, &file.display().to_string())
}

/// Writes a file whole or not at all: a full disk or a pulled plug leaves the old one.
fn write_whole(path: &Path, text: &str) -> Result<(), PageError> {
    let failed = |error: std::io::Error| PageError::File {
        file: path.display().to_string(),
        why: format!("cannot be written ({error}); what was learned holds until the program ends"),
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    // Not .toml, so that it is not taken for a map meanwhile.
    let unfinished = path.with_extension("toml-unfinished");
    let written = fs::File::create(&unfinished).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&unfinished, path)).map_err(|error| {
        // The error is about the map; a leftover beside it is harmless.
        let _ = fs::remove_file(&unfinished);
        failed(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: &str = "version = 1\nports = [\"nanokontrol2\"]\n[[control]]\nsource = \"cc 1\"\n";

    fn folders(presets: &Path) -> Folders {
        Folders { read: vec![presets.to_owned()], save: Some(presets.to_owned()) }
    }

    #[test]
    fn every_shipped_map_is_read_and_lies_in_the_folder() {
        let (maps, problems) = Maps::load(&Folders::default());
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(maps.iter().count(), SHIPPED_MAPS.len());
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets/controllers");
        let names: Vec<_> = toml_files(&folder).iter().map(|f| f.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, SHIPPED_MAPS.iter().map(|(file, _)| *file).collect::<Vec<_>>());
    }

    #[test]
    fn each_controller_finds_its_map_by_the_name_of_its_port() {
        let (maps, _) = Maps::load(&Folders::default());
        for (port, id) in [
            ("nanoKONTROL2:nanoKONTROL2 nanoKONTROL2 _ CTR", "nanokontrol2"),
            ("APC MINI:APC MINI MIDI 1", "apc-mini"),
            ("APC mini mk2:APC mini mk2 Control", "apc-mini-mk2"),
            ("X-TOUCH MINI:X-TOUCH MINI MIDI 1", "x-touch-mini"),
            ("Launch Control XL:Launch Control XL MIDI 1", "launch-control-xl"),
            ("Midi Fighter Twister:Midi Fighter Twister MIDI 1", "midi-fighter-twister"),
            ("Some Keyboard", "any"),
        ] {
            assert_eq!(maps.for_port(port).unwrap().id, id, "{port}");
        }
    }

    #[test]
    fn a_file_of_the_user_overrides_and_a_broken_one_keeps_the_old() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("controllers")).unwrap();
        let file = folder.path().join("controllers/nanokontrol2.toml");
        fs::write(&file, MINE).unwrap();
        let (mut maps, problems) = Maps::load(&folders(folder.path()));
        assert_eq!((problems.len(), maps.by_id("nanokontrol2").unwrap().controls.len()), (0, 1));

        fs::write(&file, MINE.replace("source", "sorce")).unwrap();
        let problems = maps.reload();
        assert!(problems[0].contains("line 4") && problems[0].contains("did you mean source?"), "{problems:?}");
        assert_eq!(maps.by_id("nanokontrol2").unwrap().controls.len(), 1);

        fs::remove_file(&file).unwrap();
        maps.reload();
        assert!(maps.by_id("nanokontrol2").unwrap().controls.len() > 1, "the shipped one again");
    }

    #[test]
    fn a_saved_map_is_found_again_by_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let (mut maps, _) = Maps::load(&folders(folder.path()));
        let saved = maps.save(Map { name: "Mine".into(), ..Map::for_port("Some Pult") }).unwrap();
        assert!(saved.file.ends_with("controllers/some-pult.toml"));
        let (again, problems) = Maps::load(&folders(folder.path()));
        assert_eq!((problems.len(), again.for_port("some pult 2").unwrap().name.as_str()), (0, "Mine"));
    }

    #[test]
    fn what_cannot_be_saved_still_holds_and_that_is_said() {
        let (mut maps, _) = Maps::load(&Folders::default());
        let error = maps.save(Map::for_port("Some Pult")).unwrap_err().to_string();
        assert!(error.contains("some-pult.toml") && error.contains("--presets DIR"), "{error}");
    }
}
