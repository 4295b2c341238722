//! A film through a piped ffmpeg: raw frames go into its standard input, its last word on stderr becomes our error.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread::JoinHandle,
};

use super::{FilmError, Format, Pains, Sink};

/// Options of each encoder. A constant quality at which gradients of dark skies do not band; 4:2:0 because nothing
/// else plays everywhere.
const ENCODERS: &[(&str, &[&str])] = &[
    ("libx264", &["-preset", "fast", "-crf", "16"]),
    ("libopenh264", &["-b:v", "12M"]),
    ("mpeg4", &["-q:v", "2"]),
    ("libvpx-vp9", &["-crf", "24", "-b:v", "0", "-deadline", "good", "-cpu-used", "4", "-row-mt", "1"]),
    ("libvpx", &["-crf", "8", "-b:v", "12M"]),
    ("libsvtav1", &["-crf", "24", "-preset", "8"]),
    ("gif", &["-loop", "0"]),
];

/// By preference.
fn encoders(format: Format) -> &'static [&'static str] {
    match format {
        Format::Mp4 | Format::Mkv => &["libx264", "libopenh264", "mpeg4"],
        Format::Webm => &["libvpx-vp9", "libvpx", "libsvtav1"],
        Format::Gif => &["gif"],
        Format::Folder => &[],
    }
}

/// GIF counts in hundredths of a second, and players slow down what is shorter than two of them.
const GIF_MOST_FPS: f64 = 50.0;

pub(super) struct Ffmpeg {
    path: PathBuf,
    child: Child,
    input: Option<ChildStdin>,
    last: Option<JoinHandle<Option<String>>>,
}

/// An ffmpeg that can be run.
pub(super) fn is_there() -> bool {
    command()
        .arg("-version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn command() -> Command {
    alone(Command::new("ffmpeg"))
}

/// An ffmpeg that takes the cores only when nobody else wants them.
fn command_in_the_back() -> Command {
    if !cfg!(unix) {
        return command();
    }
    let mut command = Command::new("nice");
    command.args(["-n", "15", "ffmpeg"]);
    alone(command)
}

fn alone(mut command: Command) -> Command {
    // The terminal's Ctrl-C goes to a process group: ffmpeg shall not hear it, but end its file when we end it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    #[cfg(windows)]
    std::os::windows::process::CommandExt::creation_flags(&mut command, 0x0000_0200);
    command
}

impl Ffmpeg {
    pub fn start(
        path: &Path,
        format: Format,
        (width, height): (u32, u32),
        fps: f64,
        pains: Pains,
        notes: &mut Vec<String>,
    ) -> Result<Self, FilmError> {
        let encoder = choose(path, format, notes)?;
        let (even_width, even_height) = (width & !1, height & !1);
        let mut filters = Vec::new();
        if format == Format::Gif {
            if fps > GIF_MOST_FPS {
                notes.push(format!("a .gif has at most {GIF_MOST_FPS} frames a second, not {fps}"));
                filters.push(format!("fps={GIF_MOST_FPS}"));
            }
            // A palette a frame: a film that goes through every colour cannot live on 256 of them.
            filters.push(
                "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=sierra2_4a".to_owned(),
            );
        } else {
            if (even_width, even_height) != (width, height) {
                notes.push(format!(
                    "a film of this kind has even sides: {width}x{height} is cut to {even_width}x{even_height}"
                ));
                filters.push(format!("crop={even_width}:{even_height}:0:0"));
            }
            // Said to the converter and written into the file: else players guess, and colours shift.
            let flags = if pains == Pains::Fine { ":flags=accurate_rnd+full_chroma_int" } else { "" };
            filters.push(format!("scale=out_color_matrix=bt709:out_range=tv{flags}"));
            filters.push("format=yuv420p".to_owned());
        }
        let mut command = if pains == Pains::Hasty { command_in_the_back() } else { command() };
        command
            .args(["-hide_banner", "-loglevel", "error", "-y"])
            .args(["-f", "rawvideo", "-pix_fmt", "rgba"])
            .args(["-s", &format!("{width}x{height}")])
            .args(["-framerate", &fps.to_string(), "-i", "pipe:0", "-an"])
            .args(["-vf", &filters.join(",")])
            .args(["-c:v", encoder]);
        if let Some((_, options)) = ENCODERS.iter().find(|(name, _)| *name == encoder) {
            command.args(*options);
        }
        if pains == Pains::Hasty {
            // Said last, it overrules. One thread: the show needs the others.
            let hasty: &[&str] = match encoder {
                "libx264" => &["-preset", "ultrafast", "-threads", "1"],
                "libvpx-vp9" | "libvpx" => &["-deadline", "realtime", "-cpu-used", "8", "-threads", "1"],
                "libsvtav1" => &["-preset", "12"],
                _ => &[],
            };
            command.args(hasty);
        }
        if format != Format::Gif {
            command.args(["-colorspace", "bt709", "-color_primaries", "bt709"]);
            command.args(["-color_trc", "bt709", "-color_range", "tv"]);
        }
        if format == Format::Mp4 {
            command.args(["-movflags", "+faststart"]);
        }
        // A path such as -x.mp4 or a:b.mp4 is a file and nothing else.
        let mut target = std::ffi::OsString::from("file:");
        target.push(path);
        let mut child = command
            .arg(target)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| FilmError::write(path, format!("ffmpeg cannot be started: {error}")))?;
        let input = child.stdin.take();
        let stderr = child.stderr.take();
        let last = std::thread::Builder::new()
            .name("film-errors".to_owned())
            .spawn(move || last_line(stderr?))
            .map_err(|error| FilmError::write(path, error))?;
        Ok(Self { path: path.to_owned(), child, input, last: Some(last) })
    }

    /// Closes the input, waits for ffmpeg's end, and gives its exit and last word.
    fn end(&mut self) -> Result<(), FilmError> {
        self.input = None;
        let status = self.child.wait();
        let last = self.last.take().and_then(|thread| thread.join().ok()).flatten();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                Err(FilmError::Ffmpeg { path: self.path.clone(), last: last.unwrap_or_else(|| status.to_string()) })
            }
            Err(error) => Err(FilmError::write(&self.path, error)),
        }
    }
}

impl Sink for Ffmpeg {
    fn frame(&mut self, rgba: &[u8]) -> Result<(), FilmError> {
        let written = match &mut self.input {
            Some(input) => input.write_all(rgba),
            None => return Err(FilmError::Ended),
        };
        match written {
            Ok(()) => Ok(()),
            // It has gone: why stands on its stderr.
            Err(error) => Err(self.end().err().unwrap_or_else(|| FilmError::write(&self.path, error))),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), FilmError> {
        self.end()
    }
}

fn choose(path: &Path, format: Format, notes: &mut Vec<String>) -> Result<&'static str, FilmError> {
    let no_ffmpeg = || FilmError::NoFfmpeg { path: path.to_owned() };
    let output =
        command().args(["-hide_banner", "-encoders"]).stdin(Stdio::null()).output().map_err(|_| no_ffmpeg())?;
    let list = String::from_utf8_lossy(&output.stdout);
    let has = |name: &str| list.lines().any(|line| line.split_whitespace().nth(1) == Some(name));
    let wanted = encoders(format);
    let found = wanted
        .iter()
        .copied()
        .find(|name| has(name))
        .ok_or_else(|| FilmError::NoEncoder { path: path.to_owned(), wanted: wanted.join(", ") })?;
    if let Some(best) = wanted.first().filter(|best| **best != found) {
        notes.push(format!("this ffmpeg has no {best}: the film is encoded with {found}"));
    }
    Ok(found)
}

fn last_line(stderr: impl std::io::Read) -> Option<String> {
    BufReader::new(stderr)
        .lines()
        .map_while(Result::ok)
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .last()
}
