//! `wavedream models convert`

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use super::{print, progress};
use crate::{
    app::{UsageError, cli::ConvertArgs},
    diffusion::{Meant, find, hub::size_text, sd},
};

pub fn run(args: &ConvertArgs) -> Result<()> {
    let several = args.input.len() > 1;
    if let (true, Some(out)) = (several, &args.output)
        && !out.is_dir()
    {
        let sentence = format!("-o: for several inputs it is a folder, and {} is none", out.display());
        return Err(UsageError(sentence).into());
    }
    for input in &args.input {
        // Names of models are taken here as everywhere.
        let from = match find(&input.to_string_lossy()) {
            Ok(Meant::Path(path)) => path,
            Ok(Meant::Box) => bail!("the model in the box is one file already"),
            Err(_) => input.clone(),
        };
        if !args.half && from.extension().is_some_and(|e| e == "safetensors") {
            bail!("{} is a .safetensors file already; --half makes one in float16 of it", from.display());
        }
        one(&from, &target(&from, args.output.as_deref()), args.half)?;
    }
    Ok(())
}

fn one(from: &Path, out: &Path, half: bool) -> Result<()> {
    let bar = progress::bar(0, 0);
    let done = sd::convert(from, out, half, &mut |written, all| {
        bar.set_length(all);
        bar.set_position(written);
    });
    bar.finish_and_clear();
    let done = done?;
    let about = sd::about(out);
    let what = if about.sort == sd::Sort::Other { String::new() } else { format!(", {}", about.kind) };
    let mut said = format!("{}: {} tensors, {}{what}\n", done.path.display(), done.tensors, size_text(done.bytes));
    for left in &done.left_out {
        let _ = writeln!(said, "  left out: {left}");
    }
    if done.kept_wide > 0 {
        let _ =
            writeln!(said, "  {} tensors hold numbers too large for float16 and stayed as they were", done.kept_wide);
    }
    print(&said)
}

/// The output that was typed, a file in that folder, or a file beside the input.
fn target(from: &Path, typed: Option<&Path>) -> PathBuf {
    let stem = if from.is_dir() { from.file_name() } else { from.file_stem() };
    let mut name = stem.unwrap_or_else(|| "model".as_ref()).to_owned();
    if from.extension().is_some_and(|e| e == "safetensors") {
        name.push("-half");
    }
    name.push(".safetensors");
    match typed {
        Some(folder) if folder.is_dir() => folder.join(name),
        Some(file) => file.to_owned(),
        None => from.parent().unwrap_or(Path::new("")).join(name),
    }
}
