//! Where things stand in the panel, from its size alone. The measure of everything is the unit: about small type.

use nannou::prelude::egui::{Rect, Vec2, pos2, vec2};

/// Height of the panel in units: small type is 1/36 of it, 30 pixels on a display of 1080 lines.
const ROWS: f32 = 36.0;
/// A panel narrower than this in units is measured by its width.
const COLUMNS: f32 = 54.0;

/// The parts that every page has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Places {
    pub unit: f32,
    /// Pages on the left, what plays on the right.
    pub head: Rect,
    pub page: Rect,
    /// The panic keys, and the newest message.
    pub foot: Rect,
}

impl Places {
    pub fn of(size: Vec2) -> Self {
        let size = size.max(vec2(64.0, 48.0));
        let unit = (size.y / ROWS).min(size.x / COLUMNS);
        let window = Rect::from_min_size(pos2(0.0, 0.0), size).shrink(0.7 * unit);
        let gap = 0.7 * unit;
        let (head, rest) = split_top(window, 2.6 * unit, gap);
        let (page, foot) = split_bottom(rest, 2.8 * unit, gap);
        Self { unit, head, page, foot }
    }
}

/// The upper `height`, and what is left below a gap.
pub fn split_top(rect: Rect, height: f32, gap: f32) -> (Rect, Rect) {
    let height = height.min(rect.height());
    let below = (rect.top() + height + gap).min(rect.bottom());
    (rect.with_max_y(rect.top() + height), rect.with_min_y(below))
}

/// What is left above a gap, and the lower `height`.
pub fn split_bottom(rect: Rect, height: f32, gap: f32) -> (Rect, Rect) {
    let height = height.min(rect.height());
    let above = (rect.bottom() - height - gap).max(rect.top());
    (rect.with_max_y(above), rect.with_min_y(rect.bottom() - height))
}

/// The left `width`, and what is right of a gap.
pub fn split_left(rect: Rect, width: f32, gap: f32) -> (Rect, Rect) {
    let width = width.min(rect.width());
    let right = (rect.left() + width + gap).min(rect.right());
    (rect.with_max_x(rect.left() + width), rect.with_min_x(right))
}

/// `count` parts of equal width side by side.
pub fn columns(rect: Rect, count: usize, gap: f32) -> Vec<Rect> {
    let width = ((rect.width() - gap * (count.max(1) - 1) as f32) / count.max(1) as f32).max(0.0);
    let at = |i: usize| rect.left() + i as f32 * (width + gap);
    (0..count).map(|i| Rect::from_min_size(pos2(at(i), rect.top()), vec2(width, rect.height()))).collect()
}

/// Places of tiles in a grid, row by row, for an area so wide: as many columns as fit, at least one.
pub fn grid(width: f32, count: usize, least_width: f32, height: f32, gap: f32) -> Vec<Rect> {
    let across = (((width + gap) / (least_width + gap)) as usize).max(1);
    let tile = vec2((width - gap * (across - 1) as f32) / across as f32, height);
    let at = |i: usize| pos2((i % across) as f32 * (tile.x + gap), (i / across) as f32 * (height + gap));
    (0..count).map(|i| Rect::from_min_size(at(i), tile)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_a_panel_of_any_shape_without_touching() {
        for (width, height) in [(1280.0, 800.0), (1920.0, 1080.0), (800.0, 600.0), (1080.0, 1920.0), (100.0, 60.0)] {
            let places = Places::of(vec2(width, height));
            let window = Rect::from_min_size(pos2(0.0, 0.0), vec2(width, height));
            let parts = [places.head, places.page, places.foot];
            for (i, part) in parts.iter().enumerate() {
                assert!(window.contains_rect(*part), "{width}x{height}: {part:?}");
                assert!(parts[..i].iter().all(|other| !other.intersects(*part)), "{width}x{height}");
            }
            let area: f32 = parts.iter().map(Rect::area).sum();
            assert!(area > 0.8 * window.area(), "{width}x{height}: {area}");
        }
    }

    #[test]
    fn type_is_large_enough_for_two_metres() {
        // As for the overlay: 9.3 mm at 2 m (ISO 9241), of which small type may be half, at 0.18 mm a pixel.
        let unit = Places::of(vec2(1920.0, 1080.0)).unit;
        assert!(1.9 * unit * 0.18 > 9.3 && unit * 0.18 > 0.5 * 9.3, "{unit}");
    }

    #[test]
    fn tiles_stand_in_rows_in_their_order() {
        let tiles = grid(100.0, 5, 30.0, 20.0, 5.0);
        assert_eq!(tiles.len(), 5);
        assert_eq!((tiles[0].min, tiles[2].right()), (pos2(0.0, 0.0), 100.0));
        assert_eq!((tiles[3].left(), tiles[3].top()), (0.0, 25.0));
        assert!(tiles.iter().enumerate().all(|(i, a)| tiles[..i].iter().all(|b| !a.intersects(*b))));
        assert_eq!(grid(10.0, 2, 30.0, 20.0, 5.0)[1].min, pos2(0.0, 25.0));
    }

    #[test]
    fn splits_of_too_little_room_stay_inside() {
        let small = Rect::from_min_size(pos2(0.0, 0.0), vec2(10.0, 10.0));
        for part in [split_top(small, 50.0, 5.0), split_bottom(small, 50.0, 5.0), split_left(small, 50.0, 5.0)] {
            assert!(small.contains_rect(part.0) && small.contains_rect(part.1), "{part:?}");
        }
        assert!(columns(small, 4, 5.0).iter().all(|column| column.width() >= 0.0));
    }
}
