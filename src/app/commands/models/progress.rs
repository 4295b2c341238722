//! A bar with rate and time left on a terminal; nothing where nobody looks (a pipe, a log).

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Of bytes.
pub fn bar(bytes: u64) -> ProgressBar {
    // indicatif draws on stderr, and hides itself where that is no terminal.
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr_with_hz(8));
    let template = "{bar:30} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left  {wide_msg}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("━╸ ")),
        Err(_) => bar,
    }
}
