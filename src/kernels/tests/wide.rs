//! What large models need besides: bfloat16, gates, parts, strides of any kind, norms over groups.

use super::{naive::Map, *};

/// Of products whose factors have eight bits.
const HALF: f64 = 6e-3;
const TOLERANCE: f64 = 2e-6;

fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|v| f32::from_bits(u32::from(lanes::half_of(*v)) << 16)).collect()
}

fn form(channels: usize, height: usize, width: usize, border: usize, element: Element) -> Form {
    Form { channels, height, width, border, element }
}

/// A map of either element, and its values as the map has them.
fn filled(set: Instructions, pool: &Pool, r: &mut Random, like: Form) -> (Grid, Vec<f32>) {
    let values = r.values(like.channels * like.height * like.width);
    let mut floats = Grid::of(Form { element: Element::Float32, ..like });
    floats.fill_from(&values);
    if like.element == Element::Float32 {
        return (floats, values);
    }
    let mut halves = Grid::of(like);
    halves.fill_halves(pool, &floats, set);
    (halves, rounded(&values))
}

#[test]
fn products_of_bfloat16_are_those_of_the_rounded_numbers() {
    each_set(|set, pool, r| {
        for round in 0..10 {
            let (i, o) = (r.whole(1, 70), r.whole(1, 70));
            let (h, w) = (2 * r.whole(1, 5), 2 * r.whole(1, 12));
            let (grid, values) = filled(set, pool, r, form(i, h, w, 1, Element::Bfloat16));
            let (size, stride) = if round % 2 == 0 { (3, 1) } else { (3, 2) };
            let weight = rounded(&r.values(o * i * 9));
            let shape = if stride == 1 { ConvShape::conv3x3(i, o) } else { ConvShape::halving3x3(i, o, true) };
            let conv = Conv::new(set, shape.of(Element::Bfloat16), |o, t, c| weight[(o * i + c) * 9 + t]);
            let mut out = Grid::new(o, h / stride, w / stride);
            conv.run(pool, &grid, Finish::plain(&Affine::bias(&vec![0.0; o])), Target::Grid(&mut out));
            let map = Map { channels: i, height: h, width: w, values };
            let expected: Vec<f32> = naive::conv(&map, &weight, o, size, stride).iter().map(|v| *v as f32).collect();
            let e = error(&planar(&out, o), &expected);
            assert!(e < 10.0 * TOLERANCE, "{} {i}->{o} {h}x{w} by {stride}: {e}", set.name());
        }
    });
}

#[test]
fn a_layer_too_deep_for_the_caches_is_summed_in_parts() {
    each_set(|set, pool, r| {
        for element in [Element::Float32, Element::Bfloat16] {
            let (i, o, h, w) = (16 * 31 + 5, 40, 3, 17);
            let (grid, values) = filled(set, pool, r, form(i, h, w, 1, element));
            let weight = rounded(&r.values(o * i * 9));
            let conv = Conv::new(set, ConvShape::conv3x3(i, o).of(element), |o, t, c| weight[(o * i + c) * 9 + t]);
            let (mut out, before) = filled(set, pool, r, form(o, h, w, 1, Element::Float32));
            let (plus, added) = filled(set, pool, r, form(o, h, w, 1, Element::Float32));
            let affine = Affine::bias(&vec![0.5; o]);
            conv.run(pool, &grid, Finish::plain(&affine).plus(&plus), Target::Grid(&mut out));
            let map = Map { channels: i, height: h, width: w, values };
            let sums = naive::conv(&map, &weight, o, 3, 1);
            let expected: Vec<f32> = sums.iter().zip(&added).map(|(s, a)| *s as f32 + 0.5 + a).collect();
            let e = error(&planar(&out, o), &expected);
            assert!(e < 10.0 * TOLERANCE && planar(&out, o) != before, "{} {element:?}: {e}", set.name());
        }
    });
}

#[test]
fn halving_convolutions_begin_before_the_map_or_in_it() {
    each_set(|set, pool, r| {
        for before in [true, false] {
            let (i, o, h, w) = (r.whole(1, 40), r.whole(1, 40), 2 * r.whole(1, 5), 2 * r.whole(1, 12));
            let (grid, values) = filled(set, pool, r, form(i, h, w, 1, Element::Float32));
            let weight = r.values(o * i * 9);
            let shape = ConvShape::halving3x3(i, o, before);
            let conv = Conv::new(set, shape, |o, t, c| weight[(o * i + c) * 9 + t]);
            let mut out = Grid::new(o, h / 2, w / 2);
            conv.run(pool, &grid, Finish::plain(&Affine::bias(&vec![0.0; o])), Target::Grid(&mut out));
            let map = Map { channels: i, height: h, width: w, values };
            let shift = isize::from(before);
            let mut expected = Vec::new();
            for (o, y, x) in (0..o).flat_map(|o| (0..h / 2).flat_map(move |y| (0..w / 2).map(move |x| (o, y, x)))) {
                let tap = |c: usize, t: usize| {
                    let (dy, dx) = ((t / 3) as isize - shift, (t % 3) as isize - shift);
                    map.at(c, 2 * y as isize + dy, 2 * x as isize + dx) * f64::from(weight[(o * i + c) * 9 + t])
                };
                expected.push((0..i).flat_map(|c| (0..9).map(move |t| tap(c, t))).sum::<f64>() as f32);
            }
            let e = error(&planar(&out, o), &expected);
            assert!(e < TOLERANCE, "{} {i}->{o} {h}x{w} {before}: {e}", set.name());
        }
    });
}

#[test]
fn a_gate_is_value_times_gelu_and_parts_begin_blocks() {
    each_set(|set, pool, r| {
        for element in [Element::Float32, Element::Bfloat16] {
            // Three heads of 20 channels: each begins a block.
            let parts = Parts::of(&[20, 20, 20]);
            let (n, o) = (r.whole(1, 40), 16 * r.whole(1, 3));
            let tokens = rounded(&r.values(n * 60));
            let weight = rounded(&r.values(2 * o * 60));
            let bias = r.values(2 * o);
            let mut floats = Grid::of(form(parts.lanes(), 1, n, 0, Element::Float32));
            floats.fill_tokens(&tokens, &parts);
            let mut back = vec![0.0; tokens.len()];
            floats.copy_tokens(&mut back, &parts);
            assert_eq!(back, tokens);
            let mut grid = Grid::of(form(parts.lanes(), 1, n, 0, element));
            if element == Element::Float32 {
                grid = floats
            } else {
                grid.fill_halves(pool, &floats, set)
            }
            let shape = ConvShape::linear(60, 2 * o).of_parts(&parts).makes(Makes::Gate).of(element);
            let conv = Conv::new(set, shape, |o, _, c| weight[o * 60 + c]);
            let mut out = Grid::of(form(o, 1, n, 0, Element::Float32));
            conv.run(pool, &grid, Finish::plain(&Affine::gate(&bias)), Target::Gated(&mut out));
            let mut found = vec![0.0; n * o];
            out.copy_tokens(&mut found, &Parts::one(o));
            let sum = |t: usize, o: usize| {
                let products = (0..60).map(|c| f64::from(tokens[t * 60 + c]) * f64::from(weight[o * 60 + c]));
                products.sum::<f64>() + f64::from(bias[o])
            };
            let expected: Vec<f32> =
                (0..n * o).map(|i| (sum(i / o, i % o) * naive::gelu(sum(i / o, o + i % o))) as f32).collect();
            let e = error(&found, &expected);
            assert!(e < 10.0 * TOLERANCE, "{} {element:?} {n} tokens: {e}", set.name());

            // The same in two goes, the gate by itself.
            let mut wide = Grid::of(form(2 * o, 1, n, 0, Element::Float32));
            conv.run(pool, &grid, Finish::plain(&Affine::gate(&bias)), Target::Grid(&mut wide));
            let mut apart = Grid::of(form(o, 1, n, 0, Element::Float32));
            gate(set, pool, &wide, &mut apart);
            assert_eq!(planar(&apart, o), planar(&out, o));
            let mut halves = [(); 2].map(|()| Grid::of(form(o, 1, n, 0, Element::Bfloat16)));
            gate(set, pool, &wide, &mut halves[0]);
            halves[1].fill_halves(pool, &apart, set);
            assert!(halves[0].words() == halves[1].words(), "{} rounded", set.name());
        }
    });
}

#[test]
fn attention_of_many_keys_is_summed_chunk_after_chunk() {
    each_set(|set, pool, r| {
        for element in [Element::Float32, Element::Bfloat16] {
            for (count, scale) in [(1, 1.0), (519, 1.0), (1100, 12.0)] {
                let (heads, width, n) = (2, 32, r.whole(1, 33));
                let mut tensor = |n: usize, scale: f32| {
                    let (mut floats, values) = filled(set, pool, r, form(64, 1, n, 0, Element::Float32));
                    let values = rounded(&values.iter().map(|v| v * scale).collect::<Vec<_>>());
                    floats.fill_from(&values);
                    if element == Element::Float32 {
                        return (floats, values);
                    }
                    let mut halves = Grid::of(form(64, 1, n, 0, element));
                    halves.fill_halves(pool, &floats, set);
                    (halves, values)
                };
                let ((q, q_values), (k, k_values), (v, v_values)) =
                    (tensor(n, scale), tensor(count, 1.0), tensor(count, 1.0));
                let mut keys = Keys::default();
                keys.pack(pool, (&k, 0), (&v, 0), heads, width);
                let mut out = Grid::of(form(64, 1, n, 0, Element::Float32));
                attend(set, pool, &q, &keys, width, &mut out);
                let expected = naive::attention(&q_values, &k_values, &v_values, heads, width);
                let e = error(&planar(&out, 64), &expected);
                let limit = if element == Element::Float32 { 5.0 * TOLERANCE } else { HALF };
                assert!(e < limit, "{} {element:?} {n} queries, {count} keys: {e}", set.name());
            }
        }
    });
}

#[test]
fn a_group_norm_over_two_maps_is_that_of_one_with_the_channels_of_both() {
    each_set(|set, pool, r| {
        for (a, b, groups) in [(32, 48, 5), (24, 8, 4), (16, 16, 8)] {
            let (h, w, c) = (r.whole(1, 20), r.whole(1, 9), a + b);
            let (first, mut values) = filled(set, pool, r, form(a, h, w, 1, Element::Float32));
            let (second, others) = filled(set, pool, r, form(b, h, w, 0, Element::Float32));
            values.extend(others);
            let (weight, bias) = (r.values(c), r.values(c));
            let norm = GroupNorm::new(set, &[a, b], groups, 1e-5, weight.clone(), bias.clone());
            let parts = Parts::of(&[a, b]);
            let mut out = Grid::of(form(parts.lanes(), h, w, 1, Element::Float32));
            norm.run(pool, &[&first, &second], true, &mut out);
            let mut rounded_out = Grid::of(form(parts.lanes(), h, w, 1, Element::Bfloat16));
            norm.run(pool, &[&first, &second], true, &mut rounded_out);
            let mut same = Grid::of(form(parts.lanes(), h, w, 1, Element::Bfloat16));
            same.fill_halves(pool, &out, set);
            assert_eq!(same.words(), rounded_out.words(), "{}", set.name());

            let mut found = vec![0.0; c * h * w];
            out.copy_tokens(&mut found, &parts);
            let of_group = c / groups * h * w;
            for (i, value) in values.iter().enumerate() {
                let group = &values[i / of_group * of_group..][..of_group];
                let mean = group.iter().map(|v| f64::from(*v)).sum::<f64>() / of_group as f64;
                let variance = group.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / of_group as f64;
                let (channel, pixel) = (i / (h * w), i % (h * w));
                let y = (f64::from(*value) - mean) / (variance + 1e-5).sqrt() * f64::from(weight[channel]);
                let expected = naive::silu(y + f64::from(bias[channel]));
                let found = f64::from(found[pixel * c + channel]);
                assert!(
                    (found - expected).abs() < 2e-5 * expected.abs().max(1.0),
                    "{}: {found} {expected}",
                    set.name()
                );
            }
        }
    });
}

#[test]
fn maps_come_back_to_their_store_with_a_clean_border() {
    let maps = Maps::default();
    let like = form(16, 3, 5, 1, Element::Float32);
    let mut map = maps.take(like);
    map.set(3, 2, 4, 7.0);
    drop(map);
    let map = maps.take(like);
    assert_eq!(map.get(3, 2, 4), 7.0);
    let other = maps.take(like);
    assert_eq!(other.get(3, 2, 4), 0.0);
    let tokens = form(16, 3, 5, 0, Element::Float32);
    let mut map = maps.take(tokens);
    map.rearranged(1, 15);
    drop(map);
    assert_eq!((maps.take(tokens).height(), maps.take(tokens).width()), (3, 5));
}
