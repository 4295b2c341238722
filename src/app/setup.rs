//! What `play` and `render` start with: shaders, table, model, presets and source, as typed.

use std::path::PathBuf;

use anyhow::Result;

use super::{
    UsageError,
    cli::ShowArgs,
    device::{DEVICE, HowDials, PRECISION},
    features, state_board,
};
use crate::{
    control::{self, Desk, Folders, Origin, Param, Presets, Table, Value},
    diffusion::{
        self, Card, Model,
        device::{DeviceChoice, How, Precision},
    },
    stage::{Declaration, Kind, ParamKind, ShaderLibrary},
};

/// What plays when nothing is said.
const FIRST_PRESET: &str = "01-ink";
/// The source that moves effects.
pub const EFFECTS: &str = "/signal/effects";
const FIRST_SOURCE: &str = "synth://rat";

/// A show that has not begun.
pub struct Setup {
    pub desk: Desk,
    pub shaders: ShaderLibrary,
    pub model: Box<dyn Model>,
    pub source: String,
    /// What was wrong with presets and shaders: the show goes on without them.
    pub warnings: Vec<String>,
}

/// Reads everything that the arguments name.
///
/// # Errors
/// What was typed names something that is not there, or a value that cannot be meant.
pub fn set_up(args: &ShowArgs) -> Result<Setup> {
    let mut shaders = ShaderLibrary::builtin();
    for folder in shader_folders() {
        shaders = shaders.with_folder(folder);
    }
    let table = Table::new(control::builtin());
    table.declare(control::motion::sources(features::names()));
    table.declare(state_board::params());
    declare_shaders(&table, &shaders);

    let how = how(&table, args)?;
    let load = |name: &str| diffusion::load_with(name, diffusion::Options::on(how));
    let mut model = load(args.model.as_deref().unwrap_or("box"))?;
    declare_model(&table, model.card());
    let (presets, mut warnings) = Presets::load(&table, Folders::standard(args.presets.as_deref()));
    warnings.extend(shaders.messages().map(str::to_owned));
    let mut desk = Desk::new(table.clone(), presets)?;
    desk.recall(args.preset.as_deref().unwrap_or(FIRST_PRESET), Some(0.0))?;
    if let Some(name) = &args.model {
        table.set("/dream/model", Value::text(name), Origin::CommandLine)?;
    }
    let wanted = table.handle("/dream/model")?.text();
    if args.model.is_none() && *wanted != *model.card().name {
        match load(&wanted) {
            Ok(other) => {
                model = other;
                declare_model(&table, model.card());
            }
            Err(error) => {
                warnings.push(format!("{error}; the model {} plays instead", model.card().name));
                table.set("/dream/model", Value::text(&model.card().name), Origin::Program)?;
            }
        }
    }
    usual_steps(&table, model.card())?;
    steps_of_preset(&desk, model.card())?;
    listen(&table, model.card())?;
    warnings.extend(set_typed(&table, &args.set)?);
    // An option is said more plainly than a setting.
    self::how(&table, args)?;
    if let Some(source) = &args.effects_source {
        table.set(EFFECTS, Value::text(source), Origin::CommandLine)?;
    }
    if let Some(file) = &args.cues {
        warnings.extend(desk.open_cues(file)?);
    }
    let of_preset = desk.current().and_then(|preset| preset.source.clone());
    let source = args.source().map(str::to_owned).or(of_preset).unwrap_or_else(|| FIRST_SOURCE.to_owned());
    Ok(Setup { desk, shaders, model, source, warnings })
}

/// Brings into the table how models are loaded, which counts before anything else does: what `--set` and then what the
/// options say.
fn how(table: &Table, args: &ShowArgs) -> Result<How> {
    let is_how = |setting: &&String| {
        let path = setting.split('=').next().unwrap_or_default().trim();
        [DEVICE, PRECISION].contains(&path)
    };
    set_typed(table, &args.set.iter().filter(is_how).cloned().collect::<Vec<_>>())?;
    let dials = HowDials::new(table)?;
    let how = args.how.over(dials.how());
    // One that is hidden from the table is for the model that it was typed for.
    if args.how.device.is_some_and(|device| device != DeviceChoice::Plain) {
        table.set(DEVICE, Value::text(how.device.to_string()), Origin::CommandLine)?;
    }
    if let Some((name, _)) =
        args.how.precision.and_then(|p| Precision::NAMES.into_iter().find(|(_, known)| *known == p))
    {
        table.set(PRECISION, Value::text(name), Origin::CommandLine)?;
    }
    Ok(how)
}

/// Sets what `--set` says; a sentence for each value that had to be clamped.
pub fn set_typed(table: &Table, settings: &[String]) -> Result<Vec<String>> {
    let set = |setting: &String| -> Result<Option<String>> {
        let outcome =
            table.set_from_text(setting, Origin::CommandLine).map_err(|error| UsageError(error.to_string()))?;
        Ok(outcome.clamped.map(|clamped| clamped.to_string()))
    };
    settings.iter().filter_map(|setting| set(setting).transpose()).collect()
}

/// Models that read take many steps, which the presets of the model in the box do not know.
pub fn usual_steps(table: &Table, card: &Card) -> Result<()> {
    if card.reads_text {
        let steps = i64::try_from(card.usual_steps)?;
        table.set("/dream/steps", Value::Int(steps), Origin::CommandLine)?;
    }
    Ok(())
}

/// A model that only a signal steers is steered by it, unless it was said how much.
pub fn listen(table: &Table, card: &Card) -> Result<()> {
    let amount = table.handle("/encoder/amount")?;
    if card.needs_signal && amount.f32() == 0.0 {
        table.set("/encoder/amount", Value::Float(1.0), Origin::Program)?;
    }
    Ok(())
}

/// A preset that brings its own model says how many steps that one takes, before it is there and its range is known.
pub fn steps_of_preset(desk: &Desk, card: &Card) -> Result<()> {
    if let Some(steps) = desk.current().and_then(|preset| preset.steps_of_its_model()).filter(|_| card.reads_text) {
        desk.table().set("/dream/steps", steps.clone(), Origin::Preset)?;
    }
    Ok(())
}

/// A model that takes over takes the steps that the preset that brings it says, or those that it was made for.
pub fn steps_of_model(desk: &Desk, name: &str, card: &Card) -> Result<()> {
    let brings = desk.current().filter(|preset| preset.model() == Some(name));
    let steps = match brings.and_then(|preset| preset.steps_of_its_model()) {
        Some(steps) => steps.clone(),
        None => Value::Int(i64::try_from(card.usual_steps)?),
    };
    desk.table().set("/dream/steps", steps, Origin::Preset)?;
    listen(desk.table(), card)
}

/// The table as it is before anything was typed: for `wavedream params` and the checks of presets.
pub fn full_table(card: &Card) -> Table {
    let table = Table::new(control::builtin());
    table.declare(control::motion::sources(features::names()));
    table.declare(state_board::params());
    declare_shaders(&table, &ShaderLibrary::builtin());
    declare_model(&table, card);
    table
}

/// Dials for what a model can be told.
pub fn declare_model(table: &Table, card: &Card) {
    table.declare([control::steps(card.max_steps, card.usual_steps)]);
    table.declare(control::genres(&card.genres));
    table.declare(control::scene(&card.scene));
    // Presets of the model in the box are presets whatever model plays: they turn what it does not have.
    let of_box = diffusion::card("box").ok().filter(|_| card.reads_text);
    if let Some(of_box) = &of_box {
        table.declare(control::genres(&of_box.genres));
        table.declare(control::scene(&of_box.scene));
    }
    // A model without genres leaves what the states were given.
    let genres = of_box.as_ref().map_or(&card.genres, |of_box| &of_box.genres);
    if !genres.is_empty() {
        table.declare(control::steering(genres));
    }
}

/// Dials for what the shader files declare.
pub fn declare_shaders(table: &Table, shaders: &ShaderLibrary) {
    let names = |kind| {
        let of_kind = shaders.declarations().filter(move |declared: &&Declaration| declared.kind == kind);
        of_kind.map(|declared| declared.name.as_str())
    };
    table.declare([control::transitions(names(Kind::Transition))]);
    for declared in shaders.declarations() {
        let under = match declared.kind {
            Kind::Effect => "effect",
            Kind::Transition => "transition",
        };
        let path = |name: &str| format!("/{under}/{}/{name}", declared.name);
        if declared.kind == Kind::Effect {
            let about = format!("How much of it: {}", declared.doc);
            table.declare([Param::float(path("amount"), 0.0, 1.0, 0.0).about(about)]);
        }
        table.declare(declared.params.iter().map(|param| {
            let path = path(&param.name);
            let (min, max, default) = (f64::from(param.min), f64::from(param.max), f64::from(param.default));
            match param.kind {
                ParamKind::Float => Param::float(path, min, max, default),
                ParamKind::Int => Param::int(path, min as i64, max as i64, default as i64),
                ParamKind::Bool => Param::bool(path, default >= 0.5),
            }
            .about(&param.doc)
        }));
    }
}

/// The user's own shaders, where there are any.
fn shader_folders() -> Vec<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    config.map(|config| config.join("wavedream/shaders")).filter(|folder| folder.is_dir()).into_iter().collect()
}
