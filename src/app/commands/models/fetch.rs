//! `wavedream models fetch`

use anyhow::Result;
use indicatif::ProgressBar;

use super::{print, progress};
use crate::{
    app::cli::FetchArgs,
    diffusion::hub::{Event, Place, fetch, size_text},
};

pub fn run(args: &FetchArgs) -> Result<()> {
    let place = Place::from_environment();
    // What has arrived stays and is gone on from; there is nothing to clean up. Without a handler Ctrl-C would end the
    // program as well, but say nothing.
    drop(ctrlc::set_handler(|| {
        eprintln!("\nwavedream: stopped; the same command goes on from here");
        std::process::exit(1);
    }));
    let bar = std::cell::OnceCell::<ProgressBar>::new();
    let fetched = fetch(&place, &args.name, args.half, &mut |event| match event {
        Event::Plan { bytes, there, .. } => {
            bar.get_or_init(|| progress::bar(bytes, there));
        }
        Event::File(name) => {
            tracing::info!("{name}");
            if let Some(bar) = bar.get() {
                bar.set_message(name.to_owned());
            }
        }
        Event::Bytes(n) => {
            if let Some(bar) = bar.get() {
                if n >= 0 { bar.inc(n.unsigned_abs()) } else { bar.dec(n.unsigned_abs()) }
            }
        }
        Event::Waiting { why, pause } => {
            let say = || tracing::warn!("{why}; trying again in {:.0} s", pause.as_secs_f64().max(1.0));
            // The bar is taken away while a line is written.
            bar.get().map_or_else(say, |bar| bar.suspend(say));
        }
    });
    if let Some(bar) = bar.get() {
        bar.finish_and_clear();
    }
    let fetched = fetched?;
    let size = match (fetched.files, fetched.new_bytes) {
        (0, _) => "was fetched before".to_owned(),
        (1, 0) => format!("one file, {}, there already", size_text(fetched.bytes)),
        (1, new) => format!("one file, {}, {} of it new", size_text(fetched.bytes), size_text(new)),
        (files, 0) => format!("{files} files, {}, all there already", size_text(fetched.bytes)),
        (files, new) => format!("{files} files, {}, {} of it new", size_text(fetched.bytes), size_text(new)),
    };
    print(&format!("{}: {size}\n{}\n", fetched.name, fetched.snapshot.display()))
}
