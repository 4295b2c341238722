//! Where the parts of the overlay stand, from the window's size alone.

use nannou::prelude::egui::{Rect, Vec2, pos2, vec2};

/// Places in egui's points. [`Layout::unit`] is the measure of everything: about the height of small type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Layout {
    pub unit: f32,
    pub head: Rect,
    pub scope: Rect,
    pub latent: Rect,
    pub numbers: Rect,
    pub messages: Rect,
}

/// Height of a window in units: small type is 1/36 of it, 30 pixels on a 1080-line display.
const ROWS: f32 = 36.0;
/// Below this width in units there is no room for two columns.
const TWO_COLUMNS: f32 = 42.0;

impl Layout {
    pub fn of(size: Vec2) -> Self {
        let size = size.max(vec2(64.0, 64.0));
        // A tall window is measured by its width, or nothing would fit beside anything.
        let unit = (size.y / ROWS).min(size.x / 30.0);
        let gap = 0.6 * unit;
        let window = Rect::from_min_size(pos2(0.0, 0.0), size).shrink(unit);

        let (head, rest) = split_top(window, 3.4 * unit, gap);
        let (rest, messages) = split_bottom(rest, 4.2 * unit, gap);
        if size.x / unit >= TWO_COLUMNS {
            let right_width = (0.36 * rest.width()).min(26.0 * unit);
            let left = rest.with_max_x(rest.right() - right_width - gap);
            let right = rest.with_min_x(rest.right() - right_width);
            let (latent, numbers) = split_top(right, 0.38 * right.height(), gap);
            Self { unit, head, scope: left, latent, numbers, messages }
        } else {
            let (scope, rest) = split_top(rest, 0.42 * rest.height(), gap);
            let (latent, numbers) = split_top(rest, 0.38 * rest.height(), gap);
            Self { unit, head, scope, latent, numbers, messages }
        }
    }
}

fn split_top(rect: Rect, height: f32, gap: f32) -> (Rect, Rect) {
    (rect.with_max_y(rect.top() + height), rect.with_min_y(rect.top() + height + gap))
}

fn split_bottom(rect: Rect, height: f32, gap: f32) -> (Rect, Rect) {
    (rect.with_max_y(rect.bottom() - height - gap), rect.with_min_y(rect.bottom() - height))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [(f32, f32); 7] = [
        (1280.0, 720.0),
        (1920.0, 1080.0),
        (1024.0, 768.0),
        (512.0, 512.0),
        (1080.0, 1920.0),
        (3840.0, 1080.0),
        (200.0, 120.0),
    ];

    fn parts(layout: &Layout) -> [Rect; 5] {
        [layout.head, layout.scope, layout.latent, layout.numbers, layout.messages]
    }

    #[test]
    fn the_parts_fill_the_window_without_touching_each_other() {
        for (width, height) in SIZES {
            let layout = Layout::of(vec2(width, height));
            let window = Rect::from_min_size(pos2(0.0, 0.0), vec2(width, height));
            for (i, part) in parts(&layout).into_iter().enumerate() {
                assert!(window.contains_rect(part), "{width}x{height}: part {i} {part:?}");
                assert!(part.width() > 3.0 * layout.unit && part.height() > 2.0 * layout.unit, "{width}x{height}: {i}");
                for other in &parts(&layout)[..i] {
                    assert!(!part.intersects(*other), "{width}x{height}: {part:?} on {other:?}");
                }
            }
            let area: f32 = parts(&layout).iter().map(Rect::area).sum();
            assert!(area > 0.75 * window.area(), "{width}x{height}: {area}");
        }
    }

    #[test]
    fn type_is_large_enough_for_two_metres() {
        // 16 arc minutes, what ISO 9241 asks for, are 9.3 mm at 2 m: 27 pixels of a 15.6 inch display of 1080 lines
        // (0.18 mm each) would be 4.9 mm; large type (1.9 units) must pass, small type may be half of it.
        let layout = Layout::of(vec2(1920.0, 1080.0));
        let mm = 0.18;
        assert!(1.9 * layout.unit * mm > 9.3, "{}", layout.unit);
        assert!(layout.unit * mm > 9.3 / 2.0);
    }

    #[test]
    fn a_tall_window_stacks_what_a_wide_one_puts_side_by_side() {
        let wide = Layout::of(vec2(1280.0, 720.0));
        assert!(wide.latent.left() > wide.scope.right());
        let tall = Layout::of(vec2(1080.0, 1920.0));
        assert!(tall.latent.top() > tall.scope.bottom());
    }
}
