//! Timesteps and other numbers as sinusoids, always in float32.

use candle_core::{Device, Result, Tensor};

/// (numbers, width): the cosines of a number's angles, then the sines; wavelengths from 2 pi to 10,000 times that.
pub fn sinusoids(numbers: &[f32], width: usize, device: &Device) -> Result<Tensor> {
    let half = width / 2;
    let frequency = |i: usize| (-(10_000_f32.ln()) * i as f32 / half as f32).exp();
    let mut values = Vec::with_capacity(numbers.len() * width);
    for number in numbers {
        values.extend((0..half).map(|i| (number * frequency(i)).cos()));
        values.extend((0..half).map(|i| (number * frequency(i)).sin()));
        values.resize(values.len() + width % 2, 0.0);
    }
    Tensor::from_vec(values, (numbers.len(), width), device)
}

/// (1, width): a guidance scale as LCM models were distilled with it (sines first, angles of 1000 (g - 1)).
pub fn guidance_features(guidance: f32, width: usize, device: &Device) -> Result<Tensor> {
    let half = width / 2;
    let angle = |i: usize| (guidance - 1.0) * 1000.0 * (-(10_000_f32.ln()) * i as f32 / (half.max(2) - 1) as f32).exp();
    let mut values: Vec<f32> = (0..half).map(|i| angle(i).sin()).collect();
    values.extend((0..half).map(|i| angle(i).cos()));
    values.resize(width, 0.0);
    Tensor::from_vec(values, (1, width), device)
}
