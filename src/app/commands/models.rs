//! `wavedream models`: which models there are, what one of them is, bringing one, making one file of one.

mod convert;
mod fetch;
mod list;
mod progress;
mod show;

use anyhow::Result;

use super::print;
use crate::app::cli::{ModelsArgs, ModelsCommand};

pub fn run(args: &ModelsArgs) -> Result<()> {
    match &args.command {
        ModelsCommand::List(args) => list::run(args),
        ModelsCommand::Show(args) => show::run(args),
        ModelsCommand::Fetch(args) => fetch::run(args),
        ModelsCommand::Convert(args) => convert::run(args),
    }
}
