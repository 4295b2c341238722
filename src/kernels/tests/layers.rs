//! Layers over random shapes.

use super::{naive::Map, *};

const TOLERANCE: f64 = 2e-6;

fn random_grid(r: &mut Random, channels: usize, height: usize, width: usize) -> (Grid, Map) {
    let values = r.values(channels * height * width);
    let mut grid = Grid::new(channels, height, width);
    grid.fill_from(&values);
    (grid, Map { channels, height, width, values })
}

#[test]
fn a_3x3_convolution_with_all_that_follows_it_equals_the_naive_one() {
    each_set(|set, pool, r| {
        for _ in 0..24 {
            let (i, o) = (r.whole(1, 70), r.whole(1, 100));
            let (h, w) = (r.whole(1, 12), r.whole(1, 37));
            let (grid, map) = random_grid(r, i, h, w);
            let weight = r.values(o * i * 9);
            let (mul, add) = (r.values(o), r.values(o));
            let (mut out, before) = random_grid(r, o, h, w);
            let conv = Conv::new(set, ConvShape::conv3x3(i, o), |o, t, c| weight[(o * i + c) * 9 + t]);
            let affine = Affine::new(&mul, &add);
            let finish = Finish::plain(&affine).before(Activation::Silu).accumulate().after(Activation::Relu);
            conv.run(pool, &grid, finish, Target::Grid(&mut out));
            let expected: Vec<f32> = naive::conv(&map, &weight, o, 3, 1)
                .iter()
                .enumerate()
                .map(|(n, sum)| {
                    let c = n / (h * w);
                    let y = naive::silu(sum * f64::from(mul[c]) + f64::from(add[c])) + f64::from(before.values[n]);
                    y.max(0.0) as f32
                })
                .collect();
            let e = error(&planar(&out, o), &expected);
            assert!(e < TOLERANCE, "{} {i}->{o} {h}x{w}: {e}", set.name());
        }
    });
}

#[test]
fn winograds_way_equals_the_naive_convolution_and_paints_too() {
    each_set(|set, pool, r| {
        for round in 0..12 {
            let (i, o) = (16 * r.whole(1, 4), if round % 2 == 0 { 48 } else { 16 * r.whole(1, 7) });
            let (h, w) = (r.whole(1, 14), r.whole(1, 37));
            let (grid, map) = random_grid(r, i, h, w);
            let weight = r.values(o * i * 9);
            let (mul, add) = (r.values(o), r.values(o));
            let (mut out, before) = random_grid(r, o, h, w);
            let tiles = [Tiles::Two, Tiles::Four][round / 2 % 2];
            let weigh = |o: usize, t: usize, c: usize| weight[(o * i + c) * 9 + t];
            let conv = Winograd::new(set, tiles, Element::Float32, [i, o], round % 2 == 0, weigh);
            a_doubled_map_is_convolved_as_if_it_existed(set, pool, &conv, &map, &weight, o);
            let affine = Affine::new(&mul, &add);
            let finish = Finish::plain(&affine).before(Activation::Relu).accumulate().after(Activation::Silu);
            conv.run(pool, &grid, finish, Target::Grid(&mut out));
            let sums = naive::conv(&map, &weight, o, 3, 1);
            let y = |n: usize| sums[n] * f64::from(mul[n / (h * w)]) + f64::from(add[n / (h * w)]);
            let expected: Vec<f32> =
                (0..sums.len()).map(|n| naive::silu(y(n).max(0.0) + f64::from(before.values[n])) as f32).collect();
            let e = error(&planar(&out, o), &expected);
            assert!(e < 5.0 * TOLERANCE, "{} {i}->{o} {h}x{w}: {e}", set.name());
            if round % 2 == 0 {
                let mut bytes = vec![7; 4 * 16 * h * w];
                let affine = Affine::new(&[20.0; 48], &[128.0; 48]);
                conv.run(pool, &grid, Finish::plain(&affine), Target::Bytes(&mut bytes));
                for (n, pixel) in bytes.as_chunks::<4>().0.iter().enumerate() {
                    let (y, x) = (n / (4 * w), n % (4 * w));
                    assert_eq!(pixel[3], 255);
                    for (c, byte) in pixel[..3].iter().enumerate() {
                        let value = sums[((c * 16 + y % 4 * 4 + x % 4) * h + y / 4) * w + x / 4] * 20.0 + 128.0;
                        assert!((f64::from(*byte) - value.clamp(0.0, 255.0)).abs() < 0.501, "{}", set.name());
                    }
                }
            }
        }
    });
}

/// The same layer on the map up-sampled to twice its size.
fn a_doubled_map_is_convolved_as_if_it_existed(
    set: Instructions,
    pool: &Pool,
    conv: &Winograd,
    map: &Map,
    weight: &[f32],
    outputs: usize,
) {
    let (h, w) = (map.height, map.width);
    let mut grid = Grid::new(map.channels, h, w);
    grid.fill_from(&map.values);
    let mut out = Grid::new(outputs, 2 * h, 2 * w);
    let affine = Affine::bias(&vec![0.0; outputs]);
    conv.run_doubled(pool, &grid, Finish::plain(&affine), Target::Grid(&mut out));
    let twice = naive::doubled(map);
    let expected: Vec<f32> = naive::conv(&twice, weight, outputs, 3, 1).iter().map(|v| *v as f32).collect();
    let e = error(&planar(&out, outputs), &expected);
    assert!(e < 5.0 * TOLERANCE, "{} {h}x{w} doubled: {e}", set.name());
}

#[test]
fn a_2x2_convolution_with_stride_2_equals_the_naive_one() {
    each_set(|set, pool, r| {
        for _ in 0..12 {
            let (i, o) = (16 * r.whole(1, 4), 16 * r.whole(1, 7));
            let (h, w) = (2 * r.whole(1, 6), 2 * r.whole(1, 19));
            let (grid, map) = random_grid(r, i, h, w);
            let weight = r.values(o * i * 4);
            let mut out = Grid::new(o, h / 2, w / 2);
            let conv = Conv::new(set, ConvShape::down2(i, o), |o, t, c| weight[(o * i + c) * 4 + t]);
            conv.run(pool, &grid, Finish::plain(&Affine::bias(&vec![0.0; o])), Target::Grid(&mut out));
            let expected: Vec<f32> = naive::conv(&map, &weight, o, 2, 2).iter().map(|v| *v as f32).collect();
            let e = error(&planar(&out, o), &expected);
            assert!(e < TOLERANCE, "{} {i}->{o} {h}x{w}: {e}", set.name());
        }
    });
}

#[test]
fn a_linear_layer_with_pixel_shuffle_puts_each_quarter_in_its_place() {
    each_set(|set, pool, r| {
        for _ in 0..12 {
            let (i, o) = (r.whole(1, 50), 16 * r.whole(1, 3));
            let (h, w) = (r.whole(1, 6), r.whole(1, 19));
            let (grid, map) = random_grid(r, i, h, w);
            let weight = r.values(4 * o * i);
            let (mut out, before) = random_grid(r, o, 2 * h, 2 * w);
            let conv = Conv::new(set, ConvShape::linear(i, 4 * o), |o, _, c| weight[o * i + c]);
            let affine = Affine::bias(&vec![0.0; 4 * o]);
            conv.run(pool, &grid, Finish::plain(&affine).accumulate(), Target::Shuffled2(&mut out));
            let sums = naive::conv(&map, &weight, 4 * o, 1, 1);
            let mut expected = before.values.clone();
            for (n, e) in expected.iter_mut().enumerate() {
                let (c, y, x) = (n / (4 * h * w), n / (2 * w) % (2 * h), n % (2 * w));
                let quarter = y % 2 * 2 + x % 2;
                *e += sums[((quarter * o + c) * h + y / 2) * w + x / 2] as f32;
            }
            let e = error(&planar(&out, o), &expected);
            assert!(e < TOLERANCE, "{} {i}->{o} {h}x{w}: {e}", set.name());
        }
    });
}

#[test]
fn a_layer_that_paints_writes_rounded_bytes_and_an_opaque_alpha() {
    each_set(|set, pool, r| {
        for _ in 0..12 {
            let (i, h, w) = (16 * r.whole(1, 2), r.whole(1, 7), r.whole(1, 21));
            let (grid, map) = random_grid(r, i, h, w);
            let weight = r.values(48 * i * 9);
            let shape = ConvShape::conv3x3(i, 48).makes(Makes::Paint);
            let conv = Conv::new(set, shape, |o, t, c| weight[(o * i + c) * 9 + t]);
            let affine = Affine::new(&[20.0; 48], &[128.0; 48]);
            let mut bytes = vec![7; 4 * 16 * h * w];
            conv.run(pool, &grid, Finish::plain(&affine), Target::Bytes(&mut bytes));
            let sums = naive::conv(&map, &weight, 48, 3, 1);
            for (n, pixel) in bytes.as_chunks::<4>().0.iter().enumerate() {
                let (y, x) = (n / (4 * w), n % (4 * w));
                assert_eq!(pixel[3], 255);
                for (c, byte) in pixel[..3].iter().enumerate() {
                    let value = sums[((c * 16 + y % 4 * 4 + x % 4) * h + y / 4) * w + x / 4] * 20.0 + 128.0;
                    let off = f64::from(*byte) - value.clamp(0.0, 255.0);
                    assert!(off.abs() < 0.5001, "{}: {byte} for {value}", set.name());
                }
            }
        }
    });
}

#[test]
fn four_lanes_in_and_four_pixels_a_block_out_equal_the_naive_convolution() {
    each_set(|set, pool, r| {
        for _ in 0..12 {
            let (h, w) = (r.whole(1, 9), 4 * r.whole(1, 11));
            // As the decoder begins: four channels, pixel after pixel.
            let values = r.values(4 * h * w);
            let mut four = Grid::of_four(h, w);
            four.fill_from(&values);
            let map = Map { channels: 4, height: h, width: w, values };
            let weight = r.values(48 * 4 * 9);
            let shape = ConvShape { lanes: 4, ..ConvShape::conv3x3(4, 48) };
            let conv = Conv::new(set, shape, |o, t, c| weight[(o * 4 + c) * 9 + t]);
            let mut out = Grid::new(48, h, w);
            conv.run(pool, &four, Finish::plain(&Affine::bias(&[0.0; 48])), Target::Grid(&mut out));
            let expected: Vec<f32> = naive::conv(&map, &weight, 48, 3, 1).iter().map(|v| *v as f32).collect();
            let e = error(&planar(&out, 48), &expected);
            assert!(e < TOLERANCE, "{} in {h}x{w}: {e}", set.name());
            // As the denoiser ends: four pixels of four channels are one block, added to what is there.
            let (grid, map) = random_grid(r, 20, h, w);
            let weight = r.values(4 * 20 * 9);
            let before = planar(&four, 4);
            let taps = (-1..=1).flat_map(|dy| (-1..=4).map(move |dx| Tap { dy, dx })).collect::<Vec<_>>();
            let shape = ConvShape { taps: taps.clone(), stride: (1, 4), ..ConvShape::linear(20, 16) };
            let conv = Conv::new(set, shape, |lane, tap, c| {
                let (dy, dx) = (taps[tap].dy, taps[tap].dx - (lane / 4) as isize);
                let weight = |t: isize| weight[(lane % 4 * 20 + c) * 9 + t as usize];
                if (-1..=1).contains(&dx) { weight((dy + 1) * 3 + dx + 1) } else { 0.0 }
            });
            conv.run(pool, &grid, Finish::plain(&Affine::bias(&[0.0; 16])).accumulate(), Target::Grid(&mut four));
            let sums = naive::conv(&map, &weight, 4, 3, 1);
            let expected: Vec<f32> = sums.iter().zip(&before).map(|(s, b)| *s as f32 + b).collect();
            let e = error(&planar(&four, 4), &expected);
            assert!(e < TOLERANCE, "{} out {h}x{w}: {e}", set.name());
        }
    });
}

#[test]
fn the_border_of_a_map_stays_zero() {
    each_set(|set, pool, r| {
        let (grid, _) = random_grid(r, 32, 5, 9);
        let weight = r.values(64 * 32 * 9);
        let conv = Conv::new(set, ConvShape::conv3x3(32, 64), |o, t, c| weight[(o * 32 + c) * 9 + t]);
        let mut out = Grid::new(64, 5, 9);
        conv.run(pool, &grid, Finish::plain(&Affine::bias(&[1.0; 64])), Target::Grid(&mut out));
        let inside: f64 = planar(&out, 64).iter().map(|v| f64::from(v.abs())).sum();
        let all: f64 = out.floats().iter().map(|v| f64::from(v.abs())).sum();
        assert!(inside > 0.0 && (all - inside).abs() < 1e-3 * inside, "{} {all} {inside}", set.name());
    });
}

#[test]
fn attention_equals_the_naive_one_for_any_number_of_keys() {
    each_set(|set, pool, r| {
        let mut attention = Attention::new(set, 4, 48);
        for _ in 0..10 {
            let (h, w) = (r.whole(1, 6), r.whole(1, 19));
            let (kh, kw) = (r.whole(1, 5), r.whole(1, 21));
            let (q, k, v) = (r.values(192 * h * w), r.values(192 * kh * kw), r.values(192 * kh * kw));
            let mut queries = Grid::borderless(192, h, w);
            queries.fill_from(&q);
            let mut keys = Grid::borderless(16 + 384, kh, kw);
            keys.fill_channels(16, &k);
            keys.fill_channels(16 + 192, &v);
            let mut out = Grid::new(192, h, w);
            attention.run(pool, &queries, &keys, 16, &mut out);
            let e = error(&planar(&out, 192), &naive::attention(&q, &k, &v, 4, 48));
            assert!(e < TOLERANCE, "{} {h}x{w} on {kh}x{kw}: {e}", set.name());
        }
    });
}

#[test]
fn layer_norm_leaves_mean_bias_and_the_spread_of_its_weight() {
    each_set(|set, pool, r| {
        let (grid, map) = random_grid(r, 48, 3, 7);
        let (weight, bias) = (r.values(48), r.values(48));
        let mut out = Grid::new(48, 3, 7);
        LayerNorm::new(set, &weight, &bias).run(pool, &grid, &mut out);
        let mut expected = vec![0.0; 48 * 21];
        for pixel in 0..21 {
            let values: Vec<f64> = (0..48).map(|c| f64::from(map.values[c * 21 + pixel])).collect();
            let mean = values.iter().sum::<f64>() / 48.0;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 48.0;
            for c in 0..48 {
                let y = (values[c] - mean) / (variance + 1e-5).sqrt() * f64::from(weight[c]) + f64::from(bias[c]);
                expected[c * 21 + pixel] = y as f32;
            }
        }
        let e = error(&planar(&out, 48), &expected);
        assert!(e < TOLERANCE, "{}: {e}", set.name());
    });
}

#[test]
fn a_band_sums_along_rows_and_columns_with_each_lanes_own_weights() {
    each_set(|set, pool, r| {
        for _ in 0..6 {
            let (h, w) = (r.whole(1, 21), r.whole(1, 21));
            let values = r.values(4 * h * w);
            let mut four = Grid::of_four(h, w);
            four.fill_from(&values);
            let matrix = |n: usize, r: &mut Random| -> Vec<f32> {
                let inside = |i: usize| (i / 16 % n).abs_diff(i / 16 / n) <= 3 + i % 16;
                (0..n * n * 16).map(|i| if inside(i) { r.value() } else { 0.0 }).collect()
            };
            let (mx, my) = (matrix(w, r), matrix(h, r));
            let along_x = Band::new(set, w, |i, j, lane| mx[(i * w + j) * 16 + lane]);
            let along_y = Band::new(set, h, |i, j, lane| my[(i * h + j) * 16 + lane]);
            let (mut half, mut out) = (Grid::borderless(16, h, w), Grid::new(16, h, w));
            along_x.along_rows_of_four(pool, &four, &mut half);
            along_y.along_columns(pool, &half, &mut out, 0);
            let mut expected = vec![0.0; 16 * h * w];
            for (n, e) in expected.iter_mut().enumerate() {
                let (lane, y, x) = (n / (h * w), n / w % h, n % w);
                for (i, j) in (0..h).flat_map(|i| (0..w).map(move |j| (i, j))) {
                    let weight = my[(y * h + i) * 16 + lane] * mx[(x * w + j) * 16 + lane];
                    *e += weight * values[(lane % 4 * h + i) * w + j];
                }
            }
            let e = error(&planar(&out, 16), &expected);
            assert!(e < 4.0 * TOLERANCE, "{} {h}x{w}: {e}", set.name());
        }
    });
}

#[test]
fn silu_and_its_exponential_are_exact_to_a_few_units_in_the_last_place() {
    struct All<'a>(&'a mut [f32]);
    impl lanes::Task for All<'_> {
        type Out = ();
        #[inline(always)]
        fn run<L: lanes::Lanes>(self, l: L) {
            for chunk in self.0.as_chunks_mut::<16>().0.iter_mut() {
                // SAFETY: a chunk has sixteen floats.
                unsafe { l.store(chunk.as_mut_ptr(), lanes::silu(l, l.load(chunk.as_ptr()))) };
            }
        }
    }
    for set in Instructions::present() {
        let x: Vec<f32> = (0..16 * 1000).map(|i| (i as f32 - 8000.0) * 0.01).collect();
        let mut y = x.clone();
        set.enter(All(&mut y));
        for (x, y) in x.iter().zip(&y) {
            let expected = naive::silu(f64::from(*x));
            let off = (f64::from(*y) - expected).abs();
            assert!(off <= 1e-6 * expected.abs() + 1e-30, "{}: silu({x}) = {y}, not {expected}", set.name());
        }
    }
}
