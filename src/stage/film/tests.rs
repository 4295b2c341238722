use super::*;

/// Bars that move: `frame` shifts them.
fn bars((width, height): (u32, u32), frame: u32) -> Vec<u8> {
    (0..height)
        .flat_map(|y| {
            (0..width).flat_map(move |x| {
                let v = ((x + 3 * frame) * 8) as u8;
                [v, 255 - v, (y * 4) as u8, 255]
            })
        })
        .collect()
}

fn film(path: &Path, size: (u32, u32), fps: f64, frames: u32) -> (Made, Vec<String>) {
    let mut film = Film::create(path, size, fps).unwrap();
    for frame in 0..frames {
        film.push(&bars(size, frame)).unwrap();
    }
    let notes = film.notes().to_vec();
    (film.finish().unwrap(), notes)
}

/// Codec, width, height, frames as ffprobe counts them; None, said loudly, where there is no ffmpeg.
fn probe(path: &Path) -> Option<String> {
    let output = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-select_streams", "v:0", "-of", "csv=p=0"])
        .args(["-show_entries", "stream=codec_name,width,height,color_space,nb_read_frames"])
        .arg(path)
        .output()
        .ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn no_ffmpeg() -> bool {
    let missing = !ffmpeg::is_there();
    if missing {
        eprintln!("\n*** SKIPPED, NOTHING WAS CHECKED: there is no ffmpeg here ***\n");
    }
    missing
}

#[test]
fn each_kind_of_film_plays_with_every_frame() {
    if no_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, codec) in [("a.mp4", "h264"), ("a.mkv", "h264"), ("a.webm", "vp9"), ("a.gif", "gif")] {
        let path = folder.path().join(name);
        let (made, notes) = film(&path, (64, 48), 30.0, 12);
        assert_eq!((made.frames, notes.len()), (12, 0), "{notes:?}");
        assert!(made.bytes > 500);
        let found = probe(&path).unwrap();
        assert!(found.starts_with(&format!("{codec},64,48")) && found.ends_with(",12"), "{name}: {found}");
        assert!(codec == "gif" || found.contains("bt709"), "{found}");
    }
}

#[test]
fn colours_survive_the_film() {
    if no_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    let mut film = Film::create(&path, (32, 32), 25.0).unwrap();
    for _ in 0..5 {
        film.push(&[200, 60, 30, 255].repeat(32 * 32)).unwrap();
    }
    film.finish().unwrap();
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&path)
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .output()
        .unwrap();
    let middle = &output.stdout[3 * (16 * 32 + 16)..][..3];
    for (found, wanted) in middle.iter().zip([200u8, 60, 30]) {
        assert!(found.abs_diff(wanted) <= 4, "{middle:?}");
    }
}

#[test]
fn an_odd_size_is_cut_to_even_and_said() {
    if no_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.mp4");
    let (_, notes) = film(&path, (65, 47), 24.0, 3);
    assert!(notes[0].contains("64x46"), "{notes:?}");
    assert!(probe(&path).unwrap().starts_with("h264,64,46"));
}

#[test]
fn a_film_that_is_dropped_still_plays() {
    if no_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dropped.mp4");
    let mut film = Film::create(&path, (64, 48), 30.0).unwrap();
    for frame in 0..7 {
        film.push(&bars((64, 48), frame)).unwrap();
    }
    drop(film);
    assert!(probe(&path).unwrap().ends_with(",7"));
}

#[test]
fn ffmpegs_failure_is_told_in_its_own_last_words() {
    if no_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A folder stands where the film should be written.
    let path = folder.path().join("taken.mp4");
    let mut film = Film::create(&path, (64, 48), 30.0).unwrap();
    film.push(&bars((64, 48), 0)).unwrap();
    drop(film);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir_all(path.join("x")).unwrap();
    let mut notes = Vec::new();
    let mut sink = ffmpeg::Ffmpeg::start(&path, Format::Mp4, (64, 48), 30.0, Pains::Fine, &mut notes).unwrap();
    let error = (0..200)
        .find_map(|frame| sink.frame(&bars((64, 48), frame)).err())
        .unwrap_or_else(|| Box::new(sink).finish().unwrap_err());
    assert!(error.to_string().contains("Is a directory"), "{error}");
}

#[test]
fn a_folder_holds_numbered_pictures_and_no_older_ones_behind_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames");
    film(&path, (20, 10), 30.0, 5);
    let (made, _) = film(&path, (20, 10), 30.0, 3);
    let mut names: Vec<_> =
        std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["000001.png", "000002.png", "000003.png"]);
    assert!(made.bytes > 100);
    let picture = image::open(path.join("000002.png")).unwrap().to_rgba8();
    assert_eq!(picture.as_raw(), &bars((20, 10), 1));
}

#[test]
fn a_gif_without_ffmpeg_keeps_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gif");
    let mut sink = Box::new(gif::Gif::create(&path, (20, 10), 30.0).unwrap());
    for frame in 0..30 {
        sink.frame(&bars((20, 10), frame)).unwrap();
    }
    sink.finish().unwrap();
    let file = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
    let frames = image::AnimationDecoder::into_frames(image::codecs::gif::GifDecoder::new(file).unwrap());
    let millis: Vec<u32> = frames.map(|frame| frame.unwrap().delay().numer_denom_ms().0).collect();
    assert_eq!((millis.len(), millis.iter().sum::<u32>()), (30, 1000));
}

#[test]
fn what_cannot_be_written_is_refused_with_a_sentence() {
    let refused = |path: &str, size, fps| Film::create(Path::new(path), size, fps).unwrap_err().to_string();
    let ending = refused("film.avi", (64, 64), 30.0);
    assert!(ending.contains(".avi") && ending.contains(".mp4, .mkv, .webm, .gif"), "{ending}");
    assert!(refused("/no/such/folder/film.mp4", (64, 64), 30.0).contains("/no/such/folder does not exist"));
    assert!(refused("film.mp4", (0, 64), 30.0).contains("0x64"));
    assert!(refused("film.mp4", (64, 64), f64::NAN).contains("NaN"));
    let folder = tempfile::tempdir().unwrap();
    let mut film = Film::create(&folder.path().join("frames"), (8, 8), 30.0).unwrap();
    assert!(film.push(&[0; 12]).unwrap_err().to_string().contains("256"));
}

#[test]
fn the_path_says_what_is_written() {
    for (path, format) in [
        ("a.MP4", Format::Mp4),
        ("a.b.webm", Format::Webm),
        ("frames", Format::Folder),
        ("frames.d/", Format::Folder),
        ("a.gif", Format::Gif),
    ] {
        assert_eq!(Format::of(Path::new(path)).unwrap(), format);
    }
}
