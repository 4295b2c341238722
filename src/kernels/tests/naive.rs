//! What the kernels must compute, in the plainest way, on `(channels, height, width)` in float64.

pub struct Map {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub values: Vec<f32>,
}

impl Map {
    pub fn at(&self, c: usize, y: isize, x: isize) -> f64 {
        let inside = y >= 0 && x >= 0 && (y as usize) < self.height && (x as usize) < self.width;
        if inside { f64::from(self.values[(c * self.height + y as usize) * self.width + x as usize]) } else { 0.0 }
    }
}

/// Each pixel as 2 x 2.
pub fn doubled(map: &Map) -> Map {
    let (height, width) = (2 * map.height, 2 * map.width);
    let value = |n: usize| {
        let (c, y, x) = (n / (height * width), n / width % height, n % width);
        map.values[(c * map.height + y / 2) * map.width + x / 2]
    };
    Map { channels: map.channels, height, width, values: (0..map.channels * height * width).map(value).collect() }
}

/// Square filter of `size`, weights `(out, in, size, size)`; a 3x3 has a border of zeros, a 2x2 none.
pub fn conv(input: &Map, weight: &[f32], outputs: usize, size: usize, stride: usize) -> Vec<f64> {
    let pad = isize::from(size == 3);
    let (height, width) = (input.height / stride, input.width / stride);
    let mut out = Vec::new();
    for o in 0..outputs {
        for y in 0..height {
            for x in 0..width {
                let mut sum = 0.0;
                for c in 0..input.channels {
                    for t in 0..size * size {
                        let (ky, kx) = ((t / size) as isize, (t % size) as isize);
                        let value = input.at(c, (y * stride) as isize + ky - pad, (x * stride) as isize + kx - pad);
                        sum += value * f64::from(weight[(o * input.channels + c) * size * size + t]);
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

pub fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// x times the share of a normal distribution below x, by the series of the error function.
pub fn gelu(x: f64) -> f64 {
    let z = x / 2_f64.sqrt();
    if z.abs() > 4.5 {
        return x.max(0.0);
    }
    let (mut term, mut sum) = (z, z);
    for n in 1..120 {
        term *= -z * z / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    0.5 * x * (1.0 + sum * 2.0 / std::f64::consts::PI.sqrt())
}

/// `(heads * width, queries)` and twice `(heads * width, keys)` to `(heads * width, queries)`.
pub fn attention(q: &[f32], k: &[f32], v: &[f32], heads: usize, width: usize) -> Vec<f32> {
    let (queries, keys) = (q.len() / (heads * width), k.len() / (heads * width));
    let mut out = vec![0.0; q.len()];
    for head in 0..heads {
        for i in 0..queries {
            let channel =
                |values: &[f32], n: usize, c: usize, at: usize| f64::from(values[(head * width + c) * n + at]);
            let scores: Vec<f64> = (0..keys)
                .map(|j| (0..width).map(|c| channel(q, queries, c, i) * channel(k, keys, c, j)).sum::<f64>())
                .map(|s| s / (width as f64).sqrt())
                .collect();
            let largest = scores.iter().fold(f64::MIN, |m, s| m.max(*s));
            let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for c in 0..width {
                let value: f64 = (0..keys).map(|j| weights[j] / sum * channel(v, keys, c, j)).sum();
                out[(head * width + c) * queries + i] = value as f32;
            }
        }
    }
    out
}
