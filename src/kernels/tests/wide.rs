//! What large models need besides: halves, gates, parts, strides of any kind, norms over groups.

use super::{naive::Map, *};
use crate::half::f32_from_f16;

const TOLERANCE: f64 = 2e-6;

/// What the numbers are as an element.
fn rounded(values: &[f32], element: Element) -> Vec<f32> {
    let round = |v: f32| match element {
        Element::Float32 => v,
        Element::Bfloat16 => f32::from_bits(u32::from(element.half_of(v)) << 16),
        Element::Float16 => f32_from_f16(element.half_of(v)),
    };
    values.iter().map(|v| round(*v)).collect()
}

/// How far sums of products may be from those of the same numbers: sums of float16 have eleven digits for a while.
fn limit(element: Element) -> f64 {
    if element == Element::Float16 { 2e-3 } else { 10.0 * TOLERANCE }
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
    let values = rounded(&values, like.element);
    (halves, values)
}

#[test]
fn products_of_halves_are_those_of_the_rounded_numbers() {
    each_set(|set, pool, r| {
        for round in 0..20 {
            let halves = &elements(set)[1..];
            let element = halves[round / 2 % halves.len()];
            let (i, o) = (r.whole(1, 170), r.whole(1, 70));
            let (h, w) = (2 * r.whole(1, 5), 2 * r.whole(1, 12));
            let (grid, values) = filled(set, pool, r, form(i, h, w, 1, element));
            let (size, stride) = if round % 2 == 0 { (3, 1) } else { (3, 2) };
            let weight = rounded(&r.values(o * i * 9), element);
            let shape = if stride == 1 { ConvShape::conv3x3(i, o) } else { ConvShape::halving3x3(i, o, true) };
            let conv = Conv::new(set, shape.of(element), |o, t, c| weight[(o * i + c) * 9 + t]);
            let mut out = Grid::new(o, h / stride, w / stride);
            conv.run(pool, &grid, Finish::plain(&Affine::bias(&vec![0.0; o])), Target::Grid(&mut out));
            let map = Map { channels: i, height: h, width: w, values };
            let expected: Vec<f32> = naive::conv(&map, &weight, o, size, stride).iter().map(|v| *v as f32).collect();
            let e = error(&planar(&out, o), &expected);
            assert!(e < limit(element), "{} {element:?} {i}->{o} {h}x{w} by {stride}: {e}", set.name());
        }
    });
}

#[test]
fn a_layer_too_deep_for_the_caches_is_summed_in_parts() {
    each_set(|set, pool, r| {
        for element in elements(set) {
            let (i, o, h, w) = (16 * 31 + 5, 40, 3, 17);
            let (grid, values) = filled(set, pool, r, form(i, h, w, 1, element));
            let weight = rounded(&r.values(o * i * 9), element);
            let conv = Conv::new(set, ConvShape::conv3x3(i, o).of(element), |o, t, c| weight[(o * i + c) * 9 + t]);
            let (mut out, before) = filled(set, pool, r, form(o, h, w, 1, Element::Float32));
            let (plus, added) = filled(set, pool, r, form(o, h, w, 1, Element::Float32));
            let affine = Affine::bias(&vec![0.5; o]);
            conv.run(pool, &grid, Finish::plain(&affine).plus(&plus), Target::Grid(&mut out));
            let map = Map { channels: i, height: h, width: w, values };
            let sums = naive::conv(&map, &weight, o, 3, 1);
            let expected: Vec<f32> = sums.iter().zip(&added).map(|(s, a)| *s as f32 + 0.5 + a).collect();
            let e = error(&planar(&out, o), &expected);
            assert!(e < limit(element) && planar(&out, o) != before, "{} {element:?}: {e}", set.name());
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
        for element in elements(set) {
            // Three heads of 20 channels: each begins a block.
            let parts = Parts::of(&[20, 20, 20]);
            let (n, o) = (r.whole(1, 40), 16 * r.whole(1, 3));
            let tokens = rounded(&r.values(n * 60), element);
            let weight = rounded(&r.values(2 * o * 60), element);
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
            assert!(e < limit(element), "{} {element:?} {n} tokens: {e}", set.name());

            // The same in two goes, the gate by itself.
            let mut wide = Grid::of(form(2 * o, 1, n, 0, Element::Float32));
            conv.run(pool, &grid, Finish::plain(&Affine::gate(&bias)), Target::Grid(&mut wide));
            let mut apart = Grid::of(form(o, 1, n, 0, Element::Float32));
            gate(set, pool, &wide, &mut apart);
            assert_eq!(planar(&apart, o), planar(&out, o));
            for half in [Element::Bfloat16, Element::Float16] {
                let mut halves = [(); 2].map(|()| Grid::of(form(o, 1, n, 0, half)));
                gate(set, pool, &wide, &mut halves[0]);
                halves[1].fill_halves(pool, &apart, set);
                assert!(halves[0].words() == halves[1].words(), "{} {half:?}", set.name());
            }
        }
    });
}

#[test]
fn attention_of_many_keys_is_summed_chunk_after_chunk() {
    each_set(|set, pool, r| {
        for element in elements(set) {
            // The last is a head too wide for scores of float16 from end to end.
            for (count, scale, width) in
                [(1, 1.0, 32), (519, 1.0, 32), (512, 1.0, 48), (1100, 12.0, 32), (77, 1.0, 208)]
            {
                let (heads, n) = (2, r.whole(1, 33));
                let channels = heads * width;
                let mut tensor = |n: usize, scale: f32| {
                    let (mut floats, values) = filled(set, pool, r, form(channels, 1, n, 0, Element::Float32));
                    let values = rounded(&values.iter().map(|v| v * scale).collect::<Vec<_>>(), element);
                    floats.fill_from(&values);
                    if element == Element::Float32 {
                        return (floats, values);
                    }
                    let mut halves = Grid::of(form(channels, 1, n, 0, element));
                    halves.fill_halves(pool, &floats, set);
                    (halves, values)
                };
                let ((q, q_values), (k, k_values), (v, v_values)) =
                    (tensor(n, scale), tensor(count, 1.0), tensor(count, 1.0));
                let mut keys = Keys::default();
                keys.pack(set, pool, (&k, 0), (&v, 0), heads, width);
                let mut out = Grid::of(form(channels, 1, n, 0, Element::Float32));
                attend(set, pool, &q, &keys, width, &mut out);
                let expected = naive::attention(&q_values, &k_values, &v_values, heads, width);
                let e = error(&planar(&out, channels), &expected);
                // The weights are rounded too.
                let limit = match element {
                    Element::Float32 => 5.0 * TOLERANCE,
                    _ => 6e-3,
                };
                assert!(e < limit, "{} {element:?} {n} queries, {count} keys, {width} wide: {e}", set.name());
            }
        }
    });
}

#[test]
fn scores_beyond_float16_weigh_like_the_largest_or_nothing() {
    each_set(|set, pool, _| {
        if !set.has(Element::Float16) {
            return;
        }
        let tokens = |n: usize, value: &dyn Fn(usize, usize) -> f32| {
            let values: Vec<f32> =
                (0..n).flat_map(|token| (0..64).map(move |c| (token, c))).map(|(t, c)| value(t, c)).collect();
            let mut floats = Grid::of(form(64, 1, n, 0, Element::Float32));
            floats.fill_tokens(&values, &Parts::one(64));
            let mut halves = Grid::of(form(64, 1, n, 0, Element::Float16));
            halves.fill_halves(pool, &floats, set);
            halves
        };
        let queries = tokens(3, &|_, _| 6e4);
        // One in three is beyond the upper end, one beyond the lower, and one is infinity less infinity on the way.
        let keys = tokens(50, &|t, c| [6e4, -6e4, if c < 32 { 6e4 } else { -6e4 }][t % 3]);
        let values = tokens(50, &|t, _| [1.0, 100.0, 100.0][t % 3]);
        let mut packed = Keys::default();
        packed.pack(set, pool, (&keys, 0), (&values, 0), 1, 64);
        let mut out = Grid::of(form(64, 1, 3, 0, Element::Float32));
        attend(set, pool, &queries, &packed, 64, &mut out);
        let found = planar(&out, 64);
        assert!(found.iter().all(|v| (0.99..=100.0).contains(v)), "{}: {:?}", set.name(), &found[..4]);
        // Where all is beyond the lower end, all weigh alike or nothing.
        packed.pack(set, pool, (&tokens(50, &|_, _| -6e4), 0), (&values, 0), 1, 64);
        attend(set, pool, &queries, &packed, 64, &mut out);
        assert!(planar(&out, 64).iter().all(|v| (0.0..=100.0).contains(v)), "{}", set.name());
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
            for half in [Element::Bfloat16, Element::Float16] {
                let mut rounded = [(); 2].map(|()| Grid::of(form(parts.lanes(), h, w, 1, half)));
                norm.run(pool, &[&first, &second], true, &mut rounded[0]);
                rounded[1].fill_halves(pool, &out, set);
                assert_eq!(rounded[0].words(), rounded[1].words(), "{} {half:?}", set.name());
            }

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

#[test]
fn winograds_way_in_float16_costs_a_digit() {
    each_set(|set, pool, r| {
        if !set.has(Element::Float16) {
            return;
        }
        for (i, o, scale) in [(16, 32, 1.0), (176, 160, 1.0), (48, 48, 300.0), (32, 48, 1e-3)] {
            let (h, w) = (r.whole(1, 9), r.whole(1, 17));
            let (mut grid, mut values) = filled(set, pool, r, form(i, h, w, 1, Element::Float32));
            values.iter_mut().for_each(|v| *v *= scale);
            grid.fill_from(&values);
            let weight: Vec<f32> = r.values(o * i * 9).iter().map(|v| v * 0.05).collect();
            let map = Map { channels: i, height: h, width: w, values };
            let expected: Vec<f32> = naive::conv(&map, &weight, o, 3, 1).iter().map(|v| *v as f32).collect();
            for (tiles, limit) in [(Tiles::Four, 8e-3), (Tiles::Two, 5e-3)] {
                let weigh = |o: usize, t: usize, c: usize| weight[(o * i + c) * 9 + t];
                let conv = Winograd::new(set, tiles, Element::Float16, [i, o], false, weigh);
                let mut out = Grid::new(o, h, w);
                conv.run(pool, &grid, Finish::plain(&Affine::bias(&vec![0.0; o])), Target::Grid(&mut out));
                let e = error(&planar(&out, o), &expected);
                assert!(e < limit, "{} {i}->{o} {h}x{w} of {scale}, {tiles:?}: {e}", set.name());
            }
        }
    });
}

#[test]
fn what_leaves_the_range_of_float16_comes_back_to_its_end() {
    each_set(|set, pool, _| {
        if !set.has(Element::Float16) {
            return;
        }
        let mut floats = Grid::of(form(128, 1, 5, 0, Element::Float32));
        floats.fill_tokens(&[-1e30; 5 * 128], &Parts::one(128));
        let mut grid = Grid::of(form(128, 1, 5, 0, Element::Float16));
        grid.fill_halves(pool, &floats, set);
        // Sums of both signs beyond the range, and a difference of infinities where sums are float16.
        let signs = [1.0_f32, -1.0, 1.0];
        let conv = Conv::new(set, ConvShape::linear(128, 48).of(Element::Float16), |o, _, i| {
            if o / 16 == 2 && i >= 64 { -6e4 } else { 6e4 * signs[o / 16] }
        });
        let mut out = Grid::of(form(48, 1, 5, 0, Element::Float32));
        conv.run(pool, &grid, Finish::plain(&Affine::bias(&[0.0; 48])), Target::Grid(&mut out));
        let found = planar(&out, 48);
        assert!(found.iter().all(|v| v.is_finite()), "{}: {found:?}", set.name());
        assert!(found[0] <= -65_504.0 && found[16 * 5] >= 65_504.0, "{}: {} {}", set.name(), found[0], found[80]);
    });
}

#[test]
fn maps_of_halves_are_read_and_added_as_their_numbers() {
    each_set(|set, pool, r| {
        let (i, o) = (48, 32);
        for element in elements(set) {
            let (h, w) = (r.whole(1, 9), r.whole(1, 17));
            let (grid, values) = filled(set, pool, r, form(i, h, w, 1, element));
            let (plus, added) = filled(set, pool, r, form(o, h, w, 1, element));
            let mut floats = [(&grid, &values), (&plus, &added)]
                .map(|(like, _)| Grid::of(Form { element: Element::Float32, ..like.form() }));
            floats[0].fill_from(&values);
            floats[1].fill_from(&added);
            let weight = r.values(o * i * 9);
            let weight = |o: usize, t: usize, c: usize| weight[(o * i + c) * 9 + t];
            let affine = Affine::bias(&vec![0.5; o]);
            let mut ways = vec![Conv3::of(set, ConvShape::conv3x3(i, o).of(element), None, weight)];
            if element != Element::Bfloat16 {
                ways.push(Conv3::of(set, ConvShape::conv3x3(i, o).of(element), Some(Tiles::Four), weight));
            }
            for conv in ways {
                let paint = |from: &Grid, plus: &Grid| {
                    let mut out = Grid::new(o, h, w);
                    conv.run(pool, from, Finish::plain(&affine).plus(plus), Target::Grid(&mut out));
                    planar(&out, o)
                };
                let expected =
                    paint(if conv.element_of(&floats[0]) == element { &grid } else { &floats[0] }, &floats[1]);
                assert_eq!(paint(&grid, &plus), expected, "{} {element:?}", set.name());
                // What is added may be what the target holds, and is rounded again.
                let mut own = plus.clone();
                conv.run(pool, &grid, Finish::plain(&affine).accumulate(), Target::Grid(&mut own));
                let mut rounded = Grid::of(own.form());
                let mut sums = Grid::new(o, h, w);
                sums.fill_from(&expected);
                if element == Element::Float32 {
                    assert_eq!(planar(&own, o), expected);
                } else {
                    rounded.fill_halves(pool, &sums, set);
                    assert!(own.words() == rounded.words(), "{} {element:?}", set.name());
                }
            }
        }
    });
}
