//! A bar with rate and time left on a terminal; nothing where nobody looks (a pipe, a log).

use std::fmt::Write;

use indicatif::{DecimalBytes, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Of bytes, `there` of which were there before: they do not count for the rate.
pub fn bar(bytes: u64, there: u64) -> ProgressBar {
    // indicatif draws on stderr, and hides itself where that is no terminal.
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr_with_hz(8)).with_position(there);
    let template = "{bar:30} {decimal_bytes} of {decimal_total_bytes}  {rate}/s  {left} left  {wide_msg}";
    let Ok(style) = ProgressStyle::with_template(template) else { return bar };
    let per_sec =
        move |state: &ProgressState| state.pos().saturating_sub(there) as f64 / state.elapsed().as_secs_f64().max(1e-3);
    // What cannot be written into a line of text is not shown.
    let rate = move |state: &ProgressState, out: &mut dyn Write| {
        let _ = write!(out, "{}", DecimalBytes(per_sec(state) as u64));
    };
    let left = move |state: &ProgressState, out: &mut dyn Write| {
        let missing = state.len().unwrap_or(0).saturating_sub(state.pos()) as f64;
        let _ = write!(out, "{}", time_text(missing / per_sec(state)));
    };
    bar.with_style(style.with_key("rate", rate).with_key("left", left).progress_chars("━╸ "))
}

/// Seconds as people say them.
fn time_text(secs: f64) -> String {
    match secs {
        s if !s.is_finite() => "?".to_owned(),
        s if s < 60.0 => format!("{s:.0} s"),
        s if s < 3600.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h {:.0} min", (s / 3600.0).floor(), s % 3600.0 / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::time_text;

    #[test]
    fn times_are_said_in_the_unit_that_counts() {
        for (secs, said) in
            [(0.0, "0 s"), (59.4, "59 s"), (90.0, "2 min"), (7_500.0, "2 h 5 min"), (f64::INFINITY, "?")]
        {
            assert_eq!(time_text(secs), said);
        }
    }
}
