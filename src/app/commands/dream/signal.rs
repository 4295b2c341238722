//! What a signal says of a single picture: `--source` through an encoder, or `--cond`, tokens or words from a file.
//!
//! The encoder is that of `--encoder`, else that of `/encoder/file`, else the one within the model (DreamDiffusion).

use std::{path::Path, sync::Arc};

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};

use super::super::window::Moment;
use crate::{
    app::{UsageError, cli::DreamArgs},
    control::Table,
    diffusion::{self, Card, Meant, sd},
    encoder::{
        head::{Steering, Targets},
        steerer::Steerer,
    },
    latent::npy,
};

/// What is said, and how much it counts; none where nothing was asked.
pub fn steering(args: &DreamArgs, card: &Card, table: &Table) -> Result<Option<(Steering, f32)>> {
    let said = match (&args.source, &args.cond) {
        (None, None) if card.needs_signal => {
            return Err(UsageError(format!(
                "the model {} has no text model and paints what a signal says: give it one with --source, or its tokens \
                 with --cond",
                card.name
            ))
            .into());
        }
        (None, None) if args.encoder.is_some() => {
            let what = "--encoder: reads a signal, which --source names";
            return Err(UsageError(what.to_owned()).into());
        }
        (None, None) => return Ok(None),
        (Some(source), _) => {
            let Some(steerer) = steerer(args, table)? else { return Err(no_encoder(card).into()) };
            let moment = Moment { source, at: args.at, raw_input: args.raw_input };
            steerer.steer(&moment.window(steerer.shape())?)?
        }
        (None, Some(file)) => of_file(file, args, card, table)?,
    };
    if card.reads_text && !said.targets.are_words() {
        bail!(
            "the encoder's head steers the model in the box, and {} takes words for Stable Diffusion: --encoder names one \
             with channel_mapper and dim_mapper",
            card.name
        );
    }
    if !card.reads_text && said.targets.are_words() {
        bail!("the encoder makes words for Stable Diffusion, which the model {} does not take", card.name);
    }
    if said.targets.are_words() {
        fits(card, said.context.len() / said.targets.context_width.max(1), said.targets.context_width)?;
    }
    Ok(Some((said, table.handle("/encoder/amount")?.f32())))
}

fn no_encoder(card: &Card) -> UsageError {
    UsageError(format!("--source: the model {} has no encoder of its own; --encoder names one with a head", card.name))
}

fn fits(card: &Card, words: usize, width: usize) -> Result<()> {
    if card.words == [words, width] {
        return Ok(());
    }
    let [w, n] = card.words;
    bail!("the signal says {words} words of {width} numbers, and the model {} takes {w} of {n}", card.name)
}

/// The encoder with its head that was named, or the model's own.
fn steerer(args: &DreamArgs, table: &Table) -> Result<Option<Steerer>> {
    let of_table = table.handle("/encoder/file")?.text();
    match (&args.encoder, of_table.trim()) {
        (Some(named), _) => Ok(Some(Steerer::open(named)?)),
        (None, "") => match diffusion::find(&args.model)? {
            Meant::Path(path) if sd::holds_encoder(&path) => Ok(Some(Steerer::open_file(&path)?)),
            _ => Ok(None),
        },
        (None, named) => Ok(Some(Steerer::open(named)?)),
    }
}

/// Words as they are, or an encoder's tokens, which its head makes words of.
fn of_file(file: &Path, args: &DreamArgs, card: &Card, table: &Table) -> Result<Steering> {
    let (rows, width, values) = npy::read_table(file)?;
    let tensor = Tensor::from_vec(values, (rows, width), &Device::Cpu)?;
    if card.words == [rows, width] {
        return Ok(Steering::of_words(&tensor, &Arc::new(Targets::words(width)))?);
    }
    let takes = match steerer(args, table)? {
        Some(steerer) if (steerer.shape().tokens(), steerer.shape().width) == (rows, width) => {
            return Ok(steerer.steer_by(&tensor)?);
        }
        Some(steerer) => {
            let shape = steerer.shape();
            format!(", and the head of its encoder tokens of {}x{}", shape.tokens(), shape.width)
        }
        None => String::new(),
    };
    let [words, word_width] = card.words;
    bail!(
        "{} is {rows}x{width}, but the model {} takes words of {words}x{word_width}{takes}",
        file.display(),
        card.name
    )
}
