//! `wavedream encoder`: one file a command.

use anyhow::Result;

use crate::{app::cli::EncoderCommand, kernels::keep_candle_on_its_thread};

mod align;
mod collect;
mod embed;
mod evaluate;
mod pretrain;
mod show;

pub fn run(command: &EncoderCommand) -> Result<()> {
    // A training works on several windows side by side; embedding is one of them, on all cores.
    if !matches!(command, EncoderCommand::Embed(_)) {
        keep_candle_on_its_thread();
    }
    match command {
        EncoderCommand::Pretrain(args) => pretrain::run(args),
        EncoderCommand::Embed(args) => embed::run(args),
        EncoderCommand::Collect(args) => collect::run(args),
        EncoderCommand::Align(args) => align::run(args),
        EncoderCommand::Evaluate(args) => evaluate::run(args),
    }
}
