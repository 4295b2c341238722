//! GFLOP/s of each kind of layer of the model in the box, and of whole pictures: `cargo bench --bench kernels`.
//!
//! Throughput is printed in `Gelem/s`, where an element is one floating-point operation of
//! the direct convolution (Winograd's way does fewer and shows more). candle's own convolution runs
//! beside ours as the yardstick; benches/pytorch.py measures PyTorch on the same weights.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall stop")]

use candle_core::{Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::{hint::black_box, sync::Arc, time::Instant};
use wavedream::{
    Stamp,
    diffusion::{Conditioning, Picture, load},
    kernels::{
        Activation, Affine, Conv, Conv3, ConvShape, Element, Finish, Grid, Instructions, Pool, Target, Tiles, Winograd,
        physical_cores,
    },
    latent::{Latent, Shape},
};

/// Channels in and out, and the side of the map: the convolutions that make nine tenths of a picture.
const CONVOLUTIONS: [(usize, usize, usize); 5] =
    [(64, 64, 64), (128, 128, 32), (192, 192, 16), (32, 32, 128), (32, 48, 128)];

fn flops(inputs: usize, outputs: usize, side: usize) -> u64 {
    2 * 9 * (inputs * outputs * side * side) as u64
}

fn convolutions(c: &mut Criterion) {
    let pool = Pool::new(physical_cores());
    for set in Instructions::present() {
        let mut group = c.benchmark_group(format!("conv3x3 {}", set.name()));
        group.sample_size(20);
        for (inputs, outputs, side) in CONVOLUTIONS {
            let mut input = Grid::new(inputs, side, side);
            input.fill_from(&vec![0.5; inputs * side * side]);
            let mut output = Grid::new(outputs, side, side);
            let weight = |o, t, c| (o + 2 * t + 3 * c) as f32 * 1e-4;
            let direct = Conv3::Direct(Conv::new(set, ConvShape::conv3x3(inputs, outputs), weight));
            let winograd =
                Conv3::Winograd(Winograd::new(set, Tiles::Four, Element::Float32, [inputs, outputs], false, weight));
            let affine = Affine::bias(&vec![0.1; outputs]);
            group.throughput(Throughput::Elements(flops(inputs, outputs, side)));
            for (way, conv) in [("direct", direct), ("Winograd", winograd)] {
                group.bench_function(format!("{inputs}->{outputs} at {side}x{side}, {way}"), |b| {
                    b.iter(|| {
                        let finish = Finish::plain(&affine).before(Activation::Silu);
                        conv.run(&pool, black_box(&input), finish, Target::Grid(&mut output));
                    });
                });
            }
        }
    }
}

fn candle(c: &mut Criterion) {
    let mut group = c.benchmark_group("conv3x3 candle");
    group.sample_size(10);
    for (inputs, outputs, side) in CONVOLUTIONS {
        let tensor = |shape: (usize, usize, usize, usize)| Tensor::ones(shape, candle_core::DType::F32, &Device::Cpu);
        let (Ok(x), Ok(w)) = (tensor((1, inputs, side, side)), tensor((outputs, inputs, 3, 3))) else {
            return;
        };
        group.throughput(Throughput::Elements(flops(inputs, outputs, side)));
        group.bench_function(format!("{inputs}->{outputs} at {side}x{side}"), |b| {
            b.iter(|| black_box(&x).conv2d(&w, 1, 1, 1, 1));
        });
    }
}

fn pictures(c: &mut Criterion) {
    let Ok(mut model) = load("box") else { return };
    let mut group = c.benchmark_group("picture");
    group.sample_size(20);
    let stamp = Stamp { hop: 0, signal_secs: 0.0, arrived: Instant::now() };
    for (height, width, steps) in [(64, 64, 1), (36, 64, 1), (32, 32, 1), (64, 64, 4)] {
        let shape = Shape { channels: 4, height, width };
        let values: Arc<[f32]> = (0..shape.len()).map(|i| ((i * 7919 % 1009) as f32 / 1009.0 - 0.5) * 3.4).collect();
        let latent = Latent { stamp, shape, values };
        let mut picture = Picture { stamp, ..Picture::empty() };
        group.throughput(Throughput::Elements(model.flops(shape, steps)));
        group.bench_function(format!("{}x{} in {steps}", 8 * width, 8 * height), |b| {
            b.iter(|| model.generate(black_box(&latent), &Conditioning::default(), steps, &mut picture));
        });
    }
}

criterion_group!(benches, convolutions, candle, pictures);
criterion_main!(benches);
