//! `wavedream encoder embed`: the tokens of one moment of a signal, as a file for numpy.

use anyhow::Result;
use candle_core::Device;

use super::super::window::Moment;
use crate::{
    app::cli::EmbedArgs,
    encoder::{self, Net},
    latent::npy,
};

pub fn run(args: &EmbedArgs) -> Result<()> {
    let device = Device::Cpu;
    let store = encoder::load(&args.encoder, &device)?;
    let net = Net::new(&store.shape()?, &store, &device)?;
    drop(store);
    let moment = Moment { source: &args.source, at: args.at, raw_input: args.raw_input };
    let tokens = net.tokens(&moment.window(&net.shape)?, &device)?;
    let sizes = tokens.dims().to_vec();
    Ok(npy::write_array(&args.output, &sizes, &tokens.flatten_all()?.to_vec1::<f32>()?)?)
}
