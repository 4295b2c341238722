//! What a film of a recorded show starts with: the show's values, and what was typed over them.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Played, RenderArgs};
use crate::app::{
    cli::ShowArgs,
    device::{DEVICE, PRECISION},
    recording::{Replay, Show},
    setup::{self, EFFECTS, Setup, usual_steps},
};
use crate::control::{Origin, Value};

/// Opens a recorded show. What `--set` and `--model` say stays as it is, whatever the show does.
pub fn set_up(args: &RenderArgs, file: &Path) -> Result<(Setup, Played)> {
    let show = Show::open(file)?;
    let own_model = args.show.model.is_some();
    let model = args.show.model.clone().unwrap_or_else(|| show.head.model.clone());
    // First as the show was: its model, then its values, then what was typed.
    let mut plain = ShowArgs::default();
    plain.model = Some(model.clone());
    plain.how = args.show.how.clone();
    let mut setup = setup::set_up(&plain).with_context(|| format!("{}: needs the model {model}", file.display()))?;
    setup.source = file.display().to_string();
    setup.warnings.extend(show.torn.clone());
    if show.lost.controls + show.lost.blocks > 0 {
        let lost = show.lost;
        setup.warnings.push(format!(
            "{}: was recorded by a busy machine; {} changes and {} blocks of signal are not in it",
            file.display(),
            lost.controls,
            lost.blocks
        ));
    }
    let table = setup.desk.table().clone();
    let typed = args.show.set.iter().filter_map(|setting| setting.split_once('='));
    let mut pinned: Vec<String> = typed.map(|(path, _)| path.trim().to_owned()).collect();
    // The machine that makes the film is not the one of the show.
    pinned.extend([DEVICE, PRECISION].map(str::to_owned));
    let other_model = own_model && *model != *show.head.model;
    if other_model && setup.model.card().reads_text && !pinned.iter().any(|path| path == "/dream/steps") {
        // As many as this model needs, and not as the show's took.
        usual_steps(&table, setup.model.card())?;
        pinned.push("/dream/steps".to_owned());
    }
    if other_model && setup.model.card().needs_signal {
        setup::listen(&table, setup.model.card())?;
        pinned.push("/encoder/amount".to_owned());
    }
    // The show's own is not recorded: only what can be had again moves the effects of its film.
    let recorded = show.head.start.iter().find(|(path, _)| path == EFFECTS).and_then(|(_, value)| value.as_str());
    let recorded = recorded.unwrap_or_default().to_owned();
    let is_live = recorded.contains("://") && !recorded.starts_with("synth://") && !recorded.starts_with("file://");
    if args.show.effects_source.is_some() || is_live {
        pinned.push(EFFECTS.to_owned());
    }
    if is_live && args.show.effects_source.is_none() {
        setup.warnings.push(format!(
            "{}: its effects were moved by {recorded}, which is not in it; --effects-source puts another in its place",
            file.display()
        ));
    }
    let mut replay = Replay::new(show, pinned);
    replay.begin(&table);
    if let Some(source) = &args.show.effects_source {
        table.set(EFFECTS, Value::text(source), Origin::CommandLine)?;
    }
    setup.warnings.extend(setup::set_typed(&table, &args.show.set)?);
    let played = Played::Show { replay: Box::new(replay), line: None, hop_zero_secs: 0.0, own_model };
    Ok((setup, played))
}
