//! Formulas on sixteen numbers at once, written as on one.
//!
//! What is computed for each cell of a map and is no product of matrices (phases, distances, angles) is written over
//! [`Number`] and run by [`Instructions::compute`], sixteen cells at a time. Everything on the way must be
//! `#[inline(always)]`, as in a [`Task`]. No branches: [`Number::either`] takes one of two. Arguments are finite.

use std::{
    f32::consts::{FRAC_PI_2, FRAC_PI_4, PI, TAU},
    ops::{Add, Mul, Neg, Sub},
};

use super::{
    Instructions,
    lanes::{Lanes, Task, exp},
};

/// A float32, or sixteen of them.
pub trait Number:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + Add<f32, Output = Self>
    + Sub<f32, Output = Self>
    + Mul<f32, Output = Self>
{
    fn larger(self, other: Self) -> Self;
    fn smaller(self, other: Self) -> Self;
    fn at_least(self, least: f32) -> Self;
    fn at_most(self, most: f32) -> Self;
    /// 1 / self, of what is not 0.
    fn recip(self) -> Self;
    fn sqrt(self) -> Self;
    /// To the nearest whole number, the even one of two.
    fn round(self) -> Self;
    /// e^self; self is kept within -87..88.
    fn exp(self) -> Self;

    #[inline(always)]
    fn within(self, least: f32, most: f32) -> Self {
        self.at_least(least).at_most(most)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.larger(-self)
    }
    /// 1 above 0, else 0.
    #[inline(always)]
    fn is_positive(self) -> Self {
        // A number smaller than this is not told from 0.
        (self * 1e30).within(0.0, 1.0)
    }
    /// `above` where this is above 0, `else_` elsewhere.
    #[inline(always)]
    fn either(self, above: Self, else_: Self) -> Self {
        else_ + (above - else_) * self.is_positive()
    }
    #[inline(always)]
    fn floor(self) -> Self {
        let nearest = self.round();
        nearest - (nearest - self).is_positive()
    }
    /// The remainder of a whole number, 0 or above.
    #[inline(always)]
    fn modulo(self, n: f32) -> Self {
        self - ((self + 0.5) * (1.0 / n)).floor() * n
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        let e = (self.within(-10.0, 10.0) * 2.0).exp();
        (e - 1.0) * (e + 1.0).recip()
    }
    /// Sine and cosine of a phase in turns: the polynomials of Cephes on an eighth of a turn.
    #[inline(always)]
    fn wave(self) -> (Self, Self) {
        let quarters = (self - self.round()) * 4.0;
        let n = quarters.round();
        let x = (quarters - n) * FRAC_PI_2;
        let z = x * x;
        let sin = x + x * z * ((z * -1.951_529_6e-4 + 8.332_161e-3) * z - 1.666_665_5e-1);
        let cos = (z * z) * ((z * 2.443_315_7e-5 - 1.388_731_6e-3) * z + 4.166_664_6e-2) - z * 0.5 + 1.0;
        // n is -2..=2: 1 for an odd quarter, and the sign of an even one.
        let (size, odd) = (n.abs(), n.abs() * (-n.abs() + 2.0));
        let even = (-odd + 1.0) * (-size + 1.0);
        (even * sin + odd * n * cos, even * cos - odd * n * sin)
    }
    /// Cosine of an angle.
    #[inline(always)]
    fn cos(self) -> Self {
        (self * (1.0 / TAU)).wave().1
    }
    /// The angle of a place, `self` its height: Cephes' arctangent.
    #[inline(always)]
    fn angle(self, across: Self) -> Self {
        let (up, wide) = (self.abs(), across.abs());
        let ratio = up.smaller(wide) * up.larger(wide).at_least(1e-30).recip();
        // Above the tangent of an eighth of a turn the rest is measured from there.
        let beyond = (ratio - 0.414_213_56).is_positive();
        let x = beyond.either((ratio - 1.0) * (ratio + 1.0).recip(), ratio);
        let z = x * x;
        let arc = x + x * z * (((z * 8.053_744_5e-2 - 1.387_768_6e-1) * z + 1.997_771_1e-1) * z - 3.333_295e-1);
        let arc = arc + beyond * FRAC_PI_4;
        let arc = (up - wide).either(-arc + FRAC_PI_2, arc);
        let arc = (-across).either(-arc + PI, arc);
        (-self).either(-arc, arc)
    }
    /// Of -1..=1: Cephes' arcsine, from both ends.
    #[inline(always)]
    fn acos(self) -> Self {
        let size = self.abs();
        let far = size - 0.5;
        let z = far.either((-size + 1.0) * 0.5, size * size);
        let x = far.either(z.sqrt(), size);
        let p = (((z * 4.216_32e-2 + 2.418_131e-2) * z + 4.547_002_5e-2) * z + 7.495_300_3e-2) * z + 1.666_675_2e-1;
        let asin = x + x * z * p;
        let acos = far.either(asin * 2.0, -asin + FRAC_PI_2);
        (-self).either(-acos + PI, acos)
    }
}

/// Where sixteen numbers come from and go to.
pub trait Sixteen: Copy {
    type Number: Number;
    fn read(self, values: &[f32; 16]) -> Self::Number;
    fn write(self, number: Self::Number, values: &mut [f32; 16]);
    /// The same number sixteen times.
    fn all(self, value: f32) -> Self::Number;
}

/// Something to compute. `run` must be `#[inline(always)]`.
pub trait Formulas {
    fn run<S: Sixteen>(self, sixteen: S);
}

impl Instructions {
    /// Runs formulas with the instructions switched on.
    pub fn compute(self, formulas: impl Formulas) {
        self.enter(Computed(formulas));
    }
}

struct Computed<F>(F);

impl<F: Formulas> Task for Computed<F> {
    type Out = ();
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        self.0.run(l);
    }
}

/// Sixteen numbers, with the instructions that compute with them.
#[derive(Clone, Copy)]
#[allow(private_bounds, reason = "it is nowhere named outside")]
pub struct Wide<L: Lanes>(L, L::V);

impl<L: Lanes> Sixteen for L {
    type Number = Wide<L>;
    #[inline(always)]
    fn read(self, values: &[f32; 16]) -> Wide<L> {
        // SAFETY: sixteen floats.
        Wide(self, unsafe { self.load(values.as_ptr()) })
    }
    #[inline(always)]
    fn write(self, number: Wide<L>, values: &mut [f32; 16]) {
        // SAFETY: sixteen floats.
        unsafe { self.store(values.as_mut_ptr(), number.1) }
    }
    #[inline(always)]
    fn all(self, value: f32) -> Wide<L> {
        Wide(self, self.splat(value))
    }
}

impl<L: Lanes> Add for Wide<L> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0, self.0.add(self.1, other.1))
    }
}

impl<L: Lanes> Sub for Wide<L> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(self.0, self.0.fma(other.1, self.0.splat(-1.0), self.1))
    }
}

impl<L: Lanes> Mul for Wide<L> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(self.0, self.0.mul(self.1, other.1))
    }
}

impl<L: Lanes> Neg for Wide<L> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self * -1.0
    }
}

impl<L: Lanes> Add<f32> for Wide<L> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: f32) -> Self {
        Self(self.0, self.0.add(self.1, self.0.splat(other)))
    }
}

impl<L: Lanes> Sub<f32> for Wide<L> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: f32) -> Self {
        self + -other
    }
}

impl<L: Lanes> Mul<f32> for Wide<L> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: f32) -> Self {
        Self(self.0, self.0.mul(self.1, self.0.splat(other)))
    }
}

impl<L: Lanes> Number for Wide<L> {
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        Self(self.0, self.0.max(self.1, other.1))
    }
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        Self(self.0, self.0.min(self.1, other.1))
    }
    #[inline(always)]
    fn at_least(self, least: f32) -> Self {
        Self(self.0, self.0.max(self.1, self.0.splat(least)))
    }
    #[inline(always)]
    fn at_most(self, most: f32) -> Self {
        Self(self.0, self.0.min(self.1, self.0.splat(most)))
    }
    #[inline(always)]
    fn recip(self) -> Self {
        Self(self.0, self.0.recip(self.1))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0, self.0.sqrt(self.1))
    }
    #[inline(always)]
    fn round(self) -> Self {
        Self(self.0, self.0.round(self.1))
    }
    #[inline(always)]
    fn exp(self) -> Self {
        Self(self.0, exp(self.0, self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function of two numbers and what it should be, in float64.
    struct Each<'a>(&'a [[f32; 2]], &'a mut Vec<[f32; 9]>);

    impl Formulas for Each<'_> {
        #[inline(always)]
        fn run<S: Sixteen>(self, s: S) {
            for pairs in self.0.as_chunks::<16>().0 {
                let (a, b) = (s.read(&pairs.map(|p| p[0])), s.read(&pairs.map(|p| p[1])));
                let (sin, cos) = a.wave();
                let found = [
                    sin,
                    cos,
                    a.tanh(),
                    a.angle(b),
                    (b * 0.1).within(-1.0, 1.0).acos(),
                    a.floor(),
                    a.round().modulo(3.0),
                    a.either(b, s.all(2.0)),
                    a.abs().sqrt(),
                ];
                let mut columns = [[0.0; 16]; 9];
                for (number, column) in found.into_iter().zip(&mut columns) {
                    s.write(number, column);
                }
                self.1.extend((0..16).map(|i| columns.map(|column| column[i])));
            }
        }
    }

    #[test]
    fn functions_of_sixteen_numbers_are_those_of_one() {
        let mut pairs: Vec<[f32; 2]> = vec![[0.0, 0.0], [0.0, -1.0], [-0.0, 1.0], [3.0, 0.0], [-2.0, 0.0], [7.5, -7.5]];
        let mut state = 9_u64;
        while pairs.len() < 16 * 200 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let unit = |shift: u64| ((state >> shift) & 0xffff) as f32 / 65_536.0 - 0.5;
            pairs.push([30.0 * unit(20), 24.0 * unit(40)]);
        }
        for set in Instructions::present() {
            let mut found = Vec::new();
            set.compute(Each(&pairs, &mut found));
            assert_eq!(found.len(), pairs.len());
            for ([a, b], found) in pairs.iter().zip(&found) {
                let (x, y) = (f64::from(*a), f64::from(*b));
                let turns = x * std::f64::consts::TAU;
                let angle =
                    if x == 0.0 && y == 0.0 { 0.0 } else { x.abs().atan2(y) * if x < 0.0 { -1.0 } else { 1.0 } };
                let expected = [
                    turns.sin(),
                    turns.cos(),
                    x.tanh(),
                    angle,
                    f64::from(*b * 0.1).clamp(-1.0, 1.0).acos(),
                    x.floor(),
                    x.round_ties_even().rem_euclid(3.0),
                    if x > 0.0 { y } else { 2.0 },
                    x.abs().sqrt(),
                ];
                for (i, (f, e)) in found.iter().zip(expected).enumerate() {
                    let near = (f64::from(*f) - e).abs();
                    assert!(near < 4e-6, "{} function {i} of {a} and {b}: {f}, not {e}", set.name());
                }
            }
        }
    }
}
