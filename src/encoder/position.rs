//! Fixed positions: sines and cosines of the token's number (Vaswani et al. 2017, arXiv 1706.03762, as the masked
//! autoencoder of He et al. 2021, arXiv 2111.06377, orders them: all sines, then all cosines; the class slot is zero).

/// `(tokens + 1, width)` row by row, the class slot first.
pub fn sin_cos(tokens: usize, width: usize) -> Vec<f32> {
    let half = width / 2;
    let mut rows = vec![0.0; (tokens + 1) * width];
    for (token, row) in rows[width..].chunks_exact_mut(width).enumerate() {
        for k in 0..half {
            let angle = token as f64 / 10_000_f64.powf(k as f64 / half as f64);
            row[k] = angle.sin() as f32;
            row[half + k] = angle.cos() as f32;
        }
    }
    rows
}
