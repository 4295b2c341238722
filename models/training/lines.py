"""The lines that pictures are composed of: rings, arcs, blossoms, ridges, curtains, a shore.

pictures.py draws them at pixels; `guides` shows the same to the denoiser at cells, as the sine and cosine of a phase or
as a limited distance from the line. They are steep or periodic functions of the blurs of the noise, which convolutions
take very long to learn; how the lines look (colour, texture, light) is all left to the denoiser.

Each function takes a view: `field(channel, sigma, sigma_y)` a blur of the noise, `whole(channel, kind)` a moment of it, `y` and
`x` from the middle (y -1 top .. 1 bottom), `iy` and `ix` the same in cells, `cell` a cell's share of y, and of what was
asked `size`, `horizon` and `swing`.
"""
import math

import torch

SIGMAS = (1.0, 2.0, 4.0, 8.0)            # cells of the latent: the round blurs
TALL = ((1.0, 4.0), (2.0, 4.0), (4.0, 8.0))   # blurs that are taller than wide: (across, down)
PERIODS = (16.0, 8.0)                    # cells; of the two lattices of blossoms and cell bodies
BEND = 0.16                              # of a lattice by the fields, in periods
PETALS = (5, 6)
ARMS = (5, 6)                            # of the cell bodies
THICK = (1.30, 0.80)
PETAL_SIZE = 0.5                         # of the largest petal, in periods
RIDGES = 6
CRESTS = ((0.05, 1.0), (0.95, 0.95), (1.95, 0.8), (3.1, 0.6))     # place in swells from the shore, strength
EDGE = 2.5                               # cells: how far from a line its distance is told
GUIDES = 9 + 8 * 2 + 11 + (RIDGES + 5) + (len(CRESTS) + 3) + 3
TURN = 2 * math.pi


def rings(v):
    """Phases of ink rings, distance from the light, phases of arcs and flow lines."""
    ink = 1.15 * (1.25 * v.field(0, 8.0) + 0.75 * v.field(1, 4.0) + 0.16 * v.field(2, 2.0) + 0.25)
    r = (v.x * v.x + (v.y + 0.1) ** 2).sqrt()
    arc = 3.3 * r / v.size + 0.55 * v.field(0, 8.0) + 0.30 * v.field(1, 4.0)
    return ink, r, arc, 1.25 * v.field(2, 4.0) + 0.8 * v.field(3, 8.0) + 1.1 * v.x / v.size


def panes(arc, flow):
    """Of the pane of glass between two arcs and two flow lines: its ring, its shade (-1, 0 or 1), and whether it is an accent."""
    ring, strip = arc.floor(), flow.floor()
    return ring, torch.remainder(strip + 2 * ring, 3.0) - 1, (torch.remainder(strip + 3 * ring, 5.0) == 0).float()


class Blossom:
    """Lattice k of the plane, bent by the fields: `uy`, `ux` the place in periods, `vy`, `vx` the vector from the nearest
    centre in cells and `r` its length, `wave` that of the petals, and two smooth fields `a` and `e`."""

    def __init__(self, v, k):
        sigma, lean = (8.0, 4.0)[k], (3, 2)[k]
        self.k, self.period = k, PERIODS[k] * v.size
        self.uy = v.iy / self.period - BEND * v.field(0, sigma)
        self.ux = v.ix / self.period - BEND * v.field(1, sigma)
        self.vy, self.vx = (self.uy - self.uy.round()) * self.period, (self.ux - self.ux.round()) * self.period
        self.a, self.e = v.field(lean, sigma), v.field(5 - lean, sigma)
        self.wave = torch.cos(PETALS[k] * (torch.atan2(self.vy, self.vx + 1e-6) + 0.9 * self.a))
        self.r = (self.vy * self.vy + self.vx * self.vx).sqrt()

    def petals(self):
        """How far inside the flower, in cells, and its radius."""
        radius = (torch.tanh(self.e + 0.3) * 0.22 + 0.78) * (self.period * PETAL_SIZE)
        return ((self.wave * 0.5 + 0.5001).sqrt() * 0.28 + 0.72) * radius - self.r, radius

    def cell(self):
        """How far inside a cell body or its forked arms, in cells; then its unit of thickness and how far out it is 1..0."""
        big = torch.tanh(self.e) * 0.12 + 0.88
        unit = self.period * (THICK[self.k] / 12)
        reach = self.period * 0.56 * big
        out = (self.r / reach).clamp(max=2)
        fade = (1 - out).clamp(min=0)
        away = torch.acos(self.wave.clamp(-0.9999, 0.9999)) * (1 / TURN)          # from the middle of an arm: 0 .. 0.5
        fork = 0.13 * ((out - 0.45) * 2).clamp(0, 1)
        d = (away - fork).abs() * self.r * (TURN / ARMS[self.k])
        w = unit * big * (0.50 * fade + 0.85 * torch.exp(self.r / (unit * -1.5)))
        inside = torch.maximum(w - d, unit * 1.25 * big - self.r) - 0.4 * (1 - fade / 0.12).clamp(min=0)
        return inside, unit, fade


def aurora(v):
    """Height above the water, above the feet of three curtains, and the heights of two ridges."""
    up = 0.42 + 0.22 * v.horizon + 0.06 * v.whole(2) - v.y
    feet = [up - base - 0.22 * v.swing * v.field(ch, 8.0) - 0.05 * v.field(ch, 4.0)
            for ch, base in ((0, 0.50), (2, 0.80), (3, 1.15))]
    ridges = [base + v.cell * (2.6 * v.field(ch, 8.0) - 1.9 * v.field(ch, 4.0, 8.0).abs()
                               - 0.9 * v.field(ch, 2.0, 4.0).abs() - 0.25 * v.field(ch, 1.0).abs())
              for ch, base in ((3, 0.23), (2, 0.10))]
    return up, feet, ridges


def mountains(v):
    """Depth below the sky line's middle, distance from the sun, and for each ridge, far to near: depth below it, crags."""
    top = -0.22 + 0.28 * v.horizon + 0.08 * v.whole(1)
    sun_x = 0.62 * torch.tanh(v.whole(2, 1)) * v.aspect
    sun_y = top - 0.30 + 0.14 * torch.tanh(v.whole(3, 2))
    peak = 0.55 * torch.tanh(v.whole(3, 1)) * v.aspect
    ridges = []
    for k in range(RIDGES):
        t = k / (RIDGES - 1)
        base = top + 0.10 + 1.05 * (k / RIDGES) ** 1.15
        ch, ch2 = k % 4, (k + 2) % 4
        crag = v.field(ch2, 2.0, 4.0).abs() * (1.0 - 0.3 * t) + 0.30 * v.field(ch, 1.0, 4.0).abs()
        ridge = (3.2 * v.field(ch, 8.0) - 2.4 * v.field(ch2, 4.0, 8.0).abs() - crag) * (v.cell * (1.25 - 0.4 * t) * v.swing)
        ridge = torch.tanh(ridge / 0.45) * 0.45                    # never over the whole sky
        if k == 1:
            ridge = ridge + 0.52 * torch.exp((v.x - peak).abs() * -3.2)
        ridges.append((v.y - base + ridge, crag))
    return v.y - top, ((v.x - sun_x) ** 2 + (v.y - sun_y) ** 2).sqrt(), ridges


def surf(v):
    """Distance seaward from the shore, and of each crest in swells."""
    angle = 0.5 * torch.tanh(v.whole(3, 1))
    shore = 0.38 + 0.3 * v.horizon + 0.10 * v.whole(0)
    off = shore - v.y * angle.cos() - v.x * angle.sin() + v.cell * v.swing * (2.4 * v.field(0, 8.0) + 0.9 * v.field(1, 4.0))
    phase = off / (0.34 * v.size) + 0.22 * v.field(0, 4.0)
    return off, [phase - at - 0.16 * v.field((k + 1) % 4, 4.0) for k, (at, _) in enumerate(CRESTS)]


class Cells:
    """The view of the denoiser: blurs at cells."""

    def __init__(self, seen, moments, mood, size, horizon, place):
        v4 = lambda t: t[:, None, None]
        h, w = seen.shape[-2:]
        self.seen, self.moments = seen, moments
        self.y, self.x = place
        self.iy = (torch.arange(h, device=seen.device) - (h - 1) / 2)[:, None]
        self.ix = (torch.arange(w, device=seen.device) - (w - 1) / 2)[None]
        self.cell, self.aspect = 2 / h, w / h
        self.size, self.horizon, self.swing = v4(size), v4(horizon), v4(1 + 0.15 * mood[:, 0])

    def field(self, channel, sigma, sigma_y=None):
        at = SIGMAS.index(sigma) if sigma_y is None else len(SIGMAS) + TALL.index((sigma, sigma_y))
        return self.seen[:, 4 * at + channel]

    def whole(self, channel, kind=0):
        return self.moments[:, 3 * channel + kind][:, None, None]


def guides(seen, moments, mood, size, horizon, place) -> torch.Tensor:
    """(b, 28, h, w) blurs, (b, 12) moments, (b, 2) mood, (b,) size, (b,) horizon, (2, h, w) place -> (b, GUIDES, h, w).

    In this order: ink rings (whole and quarter phase), distance from the light, arcs around it, flow lines; for each
    lattice the place in it, the wave of the petals, the distance from the centre, the petals' edge and the cell's edge;
    then aurora, mountains, surf and panes as below.
    """
    v = Cells(seen, moments, mood, size, horizon, place)
    full = seen[:, 0]
    near = lambda d, reach=EDGE * v.cell: (d / reach).clamp(-1, 1)
    ink, r, arc, flow = rings(v)
    out = [(ink * TURN).sin(), (ink * TURN).cos(), (ink * TURN / 4).sin(), (ink * TURN / 4).cos(), r,
           (arc * TURN).sin(), (arc * TURN).cos(), (flow * TURN).sin(), (flow * TURN).cos()]
    for k in range(len(PERIODS)):
        b = Blossom(v, k)
        out += [(b.uy * TURN).sin(), (b.uy * TURN).cos(), (b.ux * TURN).sin(), (b.ux * TURN).cos(), b.wave, b.r / b.period,
                near(b.petals()[0], EDGE), near(b.cell()[0], EDGE)]
    up, feet, ridges = aurora(v)
    behind = torch.maximum(*ridges)
    out += [up.clamp(-1, 1.5), near(up), *(near(d) for d in feet), *((d.clamp(0, 4) / -0.30).exp() * (d > 0) for d in feet),
            *(near(r - up) for r in ridges), near(behind * 0.8 + up)]
    below, sun, ridges = mountains(v)
    depth, crags = torch.zeros_like(full), torch.zeros_like(full)
    for f, crag in ridges:
        depth, crags = torch.where(f > 0, f, depth), torch.where(f > 0, crag, crags)
    out += [*(near(f) for f, _ in ridges), depth.clamp(0, 0.8), crags.clamp(max=4) / 2, near(0.12 - sun), (sun * -3.2).exp(),
            below.clamp(-1.5, 1.5)]
    off, crests = surf(v)
    foam = torch.zeros_like(full)
    for k, d in enumerate(crests):
        foam = torch.maximum(foam, (d > 0) * (d.clamp(0, 4) * -(5.0 + k)).exp())
    out += [off.clamp(-1, 1.5), near(off), *(near(d * 0.34 * v.size) for d in crests), foam]
    ring, shade, accent = panes(arc, flow)
    out += [((ring + 0.5) * 0.155).clamp(-1, 2), shade, accent]
    return torch.stack([plane.expand_as(full) for plane in out], 1)
