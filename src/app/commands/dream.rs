//! `wavedream dream`: one picture from a seed or a latent, and its tensors for comparison with other implementations.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::{Context, Result, bail};

use image::DynamicImage;

use super::{print, set, shape_for, start_picture, steps_of};
use crate::{
    Stamp,
    app::{
        UsageError,
        cli::{Decoder, DreamArgs, Scheduler, Size, Weighted},
        device::HowDials,
        dials::DreamDials,
        full_table,
    },
    control::{Desk, Folders, Presets, Table},
    diffusion::{
        self, Card, Conditioning, Picture, Raw, Start,
        device::How,
        sd::{DecoderChoice, EmbeddingUse, LoraUse, Sampler, Settings},
    },
    encoder::head::Steering,
    latent::{Latent, Shape, noise, npy},
    state::Mood,
};

mod signal;

/// Where neither latent nor `--size` says.
const DEFAULT_SIZE: Size = Size { width: 512, height: 512 };
/// Of `--image`: enough to become another picture, not so much that it is lost.
const STRENGTH: f32 = 0.6;

pub fn run(args: &DreamArgs) -> Result<()> {
    let card = diffusion::card(&args.model)?;
    refuse_text(args, &card)?;
    let table = table(args, &card)?;
    let steering = signal::steering(args, &card, &table)?;
    let image = args.image.as_deref().map(start_picture::open).transpose()?;
    let mut model = diffusion::load_with(&args.model, options(args, &table)?)?;
    let dials = DreamDials::new(&table, model.card())?;
    let steps = steps_of(model.card(), args.steps.map_or(dials.steps(), |n| n as usize))?;
    let latent = latent(args, image.as_ref(), model.card())?;
    let mut conditioning = conditioning(args, &dials, steering.as_ref());
    conditioning.start = image.map(|image| Start {
        picture: Arc::new(start_picture::fitted(&image, latent.shape, model.card())),
        strength: args.strength.unwrap_or(STRENGTH),
    });
    if let Some(file) = &args.raw {
        write_raw(file, &model.generate_raw(&latent, &conditioning, steps)?)?;
        model.notes().iter().for_each(|note| tracing::warn!("{note}"));
    }
    let picture_file = match (&args.output, &args.raw) {
        (Some(file), _) => file,
        (None, Some(_)) => return Ok(()),
        (None, None) => Path::new("dream.png"),
    };
    let mut picture = Picture::empty();
    let took = model.generate(&latent, &conditioning, steps, &mut picture)?;
    model.notes().iter().for_each(|note| tracing::warn!("{note}"));
    write_png(picture_file, &picture)?;
    print(&format!(
        "{}: {}x{} in {:.0} ms\n",
        picture_file.display(),
        picture.width,
        picture.height,
        took.denoise_ms + took.decode_ms
    ))
}

fn sampler(args: &DreamArgs) -> Option<Sampler> {
    args.scheduler.map(|s| match s {
        Scheduler::Ddim => Sampler::Ddim,
        Scheduler::Euler => Sampler::Euler,
        Scheduler::Lcm => Sampler::Lcm,
        Scheduler::Plms => Sampler::Plms,
    })
}

/// What a model that has a choice is loaded with.
fn options(args: &DreamArgs, table: &Table) -> Result<diffusion::Options> {
    let decoder = args.decoder.map_or(DecoderChoice::Own, Decoder::choice);
    let How { device, precision } = args.how.over(HowDials::new(table)?.how());
    let loras = args.lora.iter().map(|text| lora(text)).collect::<Result<_>>()?;
    let embeddings = args.embedding.iter().map(|text| embedding(text)).collect::<Result<_>>()?;
    let noise = args.noise.as_deref().map(npy::read_many).transpose()?.map(|(_, values)| values);
    let stable = Settings { sampler: sampler(args), decoder, loras, embeddings, noise, device, precision };
    Ok(diffusion::Options { stable, ..diffusion::Options::default() })
}

/// A LoRA by path, or by name as models are.
fn lora(text: &str) -> Result<LoraUse> {
    let used = LoraUse::typed(text);
    Ok(LoraUse { path: diffusion::find_file(&used.path.to_string_lossy())?, ..used })
}

fn embedding(text: &str) -> Result<EmbeddingUse> {
    let used = EmbeddingUse::typed(text);
    Ok(EmbeddingUse { path: diffusion::find_file(&used.path.to_string_lossy())?, ..used })
}

/// A model that is steered by genres does not pretend to have read a text.
fn refuse_text(args: &DreamArgs, card: &Card) -> Result<()> {
    if card.reads_text {
        return Ok(());
    }
    let given = [
        ("--prompt", args.prompt.is_some()),
        ("--negative", args.negative.is_some()),
        ("--guidance", args.guidance.is_some()),
        ("--scheduler", args.scheduler.is_some()),
        ("--decoder", args.decoder.is_some()),
        ("--device", args.how.device.is_some()),
        ("--lora", !args.lora.is_empty()),
        ("--embedding", !args.embedding.is_empty()),
        ("--noise", args.noise.is_some()),
    ];
    let given: Vec<_> = given.iter().filter(|(_, given)| *given).map(|(flag, _)| *flag).collect();
    if given.is_empty() {
        return Ok(());
    }
    bail!(
        "the model {} reads no text and has one way of painting: leave {} out and steer it with --genre ({}), or with \
         --set (see `wavedream params`)",
        card.name,
        given.join(", "),
        card.genres.join(", ")
    )
}

fn latent(args: &DreamArgs, image: Option<&DynamicImage>, card: &Card) -> Result<Latent> {
    let (shape, values) = match &args.latent {
        Some(file) => npy::read(file)?,
        None => {
            let shape = match (args.size, image) {
                (None, Some(image)) => start_picture::shape(image, card),
                (size, _) => shape_for(card, size.unwrap_or(DEFAULT_SIZE))?,
            };
            (shape, noise(args.seed.unwrap_or(0), shape.len()))
        }
    };
    let (width, height) = (shape.width * card.factor, shape.height * card.factor);
    if let Some(size) = args.size
        && (size.width, size.height) != (width, height)
    {
        let sentence = format!(
            "--size {}x{} does not fit the latent, which makes {width}x{height}: leave --size out",
            size.width, size.height
        );
        return Err(UsageError(sentence).into());
    }
    Ok(Latent { stamp: Stamp { hop: 0, signal_secs: 0.0, arrived: Instant::now() }, shape, values: Arc::from(values) })
}

/// White noise as [`noise::normal`] documents it; noise of numpy's generators comes in by `--latent`.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    (0..count as u64).map(|at| noise::normal(seed, at) as f32).collect()
}

/// Steers through the same table as a show, so that `--preset` and `--set` mean the same here.
fn table(args: &DreamArgs, card: &Card) -> Result<Table> {
    let table = full_table(card);
    if let Some(wanted) = &args.preset {
        let (presets, _) = Presets::load(&table, Folders::standard(None));
        Desk::new(table.clone(), presets)?.recall(wanted, Some(0.0))?;
    }
    for weighted in &args.genre {
        let Weighted { name, weight } = weighted;
        if !card.genres.contains(name) {
            let known = card.genres.join(", ");
            return Err(UsageError(format!("--genre: the model {} has no {name}; it has {known}", card.name)).into());
        }
        set(&table, &format!("/dream/genre/{name}={weight}"))?;
    }
    if args.source.is_some() || args.cond.is_some() {
        set(&table, "/encoder/amount=1")?;
    }
    for setting in &args.set {
        set(&table, setting)?;
    }
    Ok(table)
}

/// What the table says, and over it what has an option of its own.
fn conditioning(args: &DreamArgs, dials: &DreamDials, steering: Option<&(Steering, f32)>) -> Conditioning {
    let steering = steering.map(|(steering, amount)| (steering, *amount));
    let mut conditioning = dials.steered(&Mood::default(), steering);
    if let Some(text) = &mut conditioning.text {
        let typed = |typed: &Option<String>, text: &mut String| typed.iter().for_each(|typed| text.clone_from(typed));
        typed(&args.prompt, &mut text.prompt);
        typed(&args.negative, &mut text.negative);
        text.guidance = args.guidance.or(text.guidance);
    }
    let way = &mut conditioning.way;
    way.sampler = sampler(args).or(way.sampler);
    way.decoder = args.decoder.map(Decoder::choice).or(way.decoder);
    // Where no genre is asked for, one painter is better than all at once.
    if conditioning.genres.iter().all(|weight| *weight == 0.0)
        && let Some(first) = conditioning.genres.first_mut()
    {
        *first = 1.0;
    }
    conditioning
}

fn write_png(file: &Path, picture: &Picture) -> Result<()> {
    let (width, height) = (picture.width as u32, picture.height as u32);
    image::save_buffer_with_format(file, &picture.rgba, width, height, image::ColorType::Rgba8, image::ImageFormat::Png)
        .with_context(|| format!("{} cannot be written", file.display()))
}

/// `latent` (1, channels, h, w) and `image` (1, 3, H, W), float32.
fn write_raw(file: &Path, raw: &Raw) -> Result<()> {
    use safetensors::{Dtype, tensor::TensorView};
    let Shape { channels, height, width } = raw.latent_shape;
    let pixels = raw.image.len() / 3;
    let factor = pixels.checked_div(height * width).unwrap_or(0).isqrt();
    let tensors = [
        ("latent", vec![1, channels, height, width], bytes(&raw.latent)),
        ("image", vec![1, 3, height * factor, width * factor], bytes(&raw.image)),
    ];
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize_to_file(views, None, file).with_context(|| format!("{} cannot be written", file.display()))
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
