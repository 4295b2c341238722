//! `wavedream models …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Clone, Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    pub command: ModelsCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum ModelsCommand {
    /// The models that can be used now, and those that can be fetched by short names
    List(ListArgs),
    /// Everything known of one model
    Show(ShowModelArgs),
    /// Bring a model from Hugging Face's hub
    Fetch(FetchArgs),
    /// Make one .safetensors file of a diffusers folder or a .ckpt; nothing in it is executed
    Convert(ConvertArgs),
}

#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ShowModelArgs {
    /// A name from `wavedream models list`, a diffusers folder, or a file
    pub model: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Args)]
pub struct FetchArgs {
    /// A short name from `wavedream models list`, ORG/NAME, ORG/NAME@REVISION or ORG/NAME/FILE.safetensors
    pub name: String,
    /// Take the float16 weights where the model has both
    #[arg(long)]
    pub half: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ConvertArgs {
    /// Diffusers folders, or .ckpt, .pt, .bin and .safetensors files
    #[arg(required = true, value_name = "IN")]
    pub input: Vec<PathBuf>,
    /// The file to write; for several inputs a folder (beside the input if left out)
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// Write float16: half as large
    #[arg(long)]
    pub half: bool,
}
