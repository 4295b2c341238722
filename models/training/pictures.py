"""Pictures of eight genres, each drawn from the very noise it is paired with in training.

A picture is a function of z (4 cells-channels of unit noise), genre, mood and scene and of nothing else. It is built
from what the denoiser is given as well: the blurs of z (here evaluated at pixels, so that there is no grid), linear
means of z over the whole picture, and jittered seeds whose jitter is a blur of z. So the map noise -> picture is smooth
in z and can be learnt in one step; edges are sharp, but their position is a gentle function of the fields.

Lengths are in cells of the latent (8 pixels) unless a name says otherwise; y runs from -1 (top) to 1 (bottom), x in the
same unit. Colours are red, green, blue from 0 to 1 until `Canvas.finish`.
"""
import math

import torch

from network import FACTOR, GENRES

PIXELS_AT_ONCE = 4 * 256 * 256          # planes that fit into the second-level cache
_ROWS: dict = {}
torch.set_flush_denormal(True)          # exp(-large) everywhere: denormal numbers are ten times slower


def rows(at: torch.Tensor, n: int, sigma) -> torch.Tensor:
    """(..., k) places in cells -> (..., k, n): a blur of n cells evaluated there, as network.blur_matrix does at cells."""
    j = torch.arange(n, dtype=torch.float32)
    m = 0
    for image in (j, -1 - j, 2 * n - 1 - j, j + 2 * n, j - 2 * n):
        m = m + torch.exp(-0.5 * ((at[..., None] - image) / sigma) ** 2)
    return m / m.norm(dim=-1, keepdim=True)


def pixel_rows(n: int, sigma: float) -> torch.Tensor:
    if (n, sigma) not in _ROWS:
        at = (torch.arange(n * FACTOR) + 0.5) / FACTOR - 0.5
        _ROWS[n, sigma] = rows(at, n, sigma)
    return _ROWS[n, sigma]


def mix(a, b, t):
    return a + (b - a) * t


def step(a, b, x):
    """Smoothstep from 0 at a to 1 at b."""
    t = ((x - a) / (b - a)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def _slope_x(f):
    fx = torch.empty_like(f)
    torch.sub(f[..., 2:], f[..., :-2], out=fx[..., 1:-1])
    fx[..., 1:-1] *= 0.5
    fx[..., 0], fx[..., -1] = fx[..., 1], fx[..., -2]
    return fx


def slope(f):
    """Central differences a pixel, (fx, fy)."""
    fx, fy = torch.zeros_like(f), torch.empty_like(f)
    if f.shape[-1] > 2:
        fx = _slope_x(f)
    torch.sub(f[..., 2:, :], f[..., :-2, :], out=fy[..., 1:-1, :])
    fy[..., 1:-1, :] *= 0.5
    fy[..., 0, :], fy[..., -1, :] = fy[..., 1, :], fy[..., -2, :]
    return fx, fy


def steep(f):
    fx, fy = slope(f)
    return (fx.square_().add_(fy.square_())).add_(1e-12).sqrt_()


def inside(f, soft_px=1.5, g=None):
    """1 where f > 0, with an edge `soft_px` pixels wide whatever the steepness of f."""
    g = steep(f) if g is None else g
    return (f / (g * soft_px) + 0.5).clamp_(0, 1)


class Canvas:
    """One chunk of pictures being drawn: its fields, whole-picture means, coordinates and colours."""

    def __init__(self, z, mood, scene):
        self.z = z
        self.b, _, self.h, self.w = z.shape
        self.H, self.W = self.h * FACTOR, self.w * FACTOR
        v = lambda t: t[:, None, None]
        self.vivid, self.bright = v(mood[:, 0]), v(mood[:, 1])
        self.mood, self.scene = mood, scene
        self.horizon = v(scene[:, 3])
        d = scene[:, 2]
        self.scale = torch.where(d > 0, 1 - 0.25 * d, 1 - 0.35 * d)      # feature size: 1.35 sparse .. 0.75 dense
        self.dense = bool((d != 0).any())
        self.cy = (torch.arange(self.H) + 0.5) / FACTOR - 0.5            # pixel centres in cells
        self.cx = (torch.arange(self.W) + 0.5) / FACTOR - 0.5
        y = ((torch.arange(self.H) + 0.5) / self.H * 2 - 1)
        x = ((torch.arange(self.W) + 0.5) / self.W * 2 - 1) * (self.W / self.H)
        self.y, self.x = y[None, :, None], x[None, None, :]
        self._fields, self._bands = {}, {}
        self._means = self._whole()

    def _whole(self):
        """(b, 4, 3): mean, moment across and moment down of every channel, each a unit normal number a picture."""
        gx = torch.linspace(-1, 1, self.w)
        gy = torch.linspace(-1, 1, self.h)
        n = self.h * self.w
        m = self.z.sum((2, 3)) / math.sqrt(n)
        mx = (self.z.sum(2) @ gx) / math.sqrt(self.h) / gx.norm()
        my = (self.z.sum(3) @ gy) / math.sqrt(self.w) / gy.norm()
        return torch.stack([m, mx, my], -1)

    def whole(self, channel, kind=0):
        return self._means[:, channel, kind][:, None, None]

    def field(self, channel, sigma, sigma_y=None, scaled=False):
        """(b, H, W): the blur of a channel at pixels, unit variance; scaled: its size follows the density."""
        key = (channel, sigma, sigma_y, scaled)
        if key not in self._fields:
            if scaled and self.dense:
                s = (self.scale * sigma)[:, None, None]
                sy = s if sigma_y is None else s * (sigma_y / sigma)
                ry, rx = self._rows(self.cy, self.h, sy), self._rows(self.cx, self.w, s)
            else:
                ry, rx = pixel_rows(self.h, sigma_y or sigma), pixel_rows(self.w, sigma)
            self._fields[key] = ry @ self.z[:, channel] @ rx.transpose(-1, -2)
        return self._fields[key]

    def _rows(self, at, n, sigma):
        return rows(at[None], n, sigma)

    def band(self, channel, sigma, scaled=True):
        """Band-passed noise, the difference of two blurs: about 6.5 sigma from crest to crest."""
        return (self.field(channel, sigma, scaled=scaled) - 0.5 * self.field(channel, 2 * sigma, scaled=scaled)) / 0.6708

    def colour(self, *stops):
        """Colour stops as (1, 3, 1, 1) tensors."""
        return [torch.tensor(s, dtype=torch.float32).view(1, 3, 1, 1) for s in stops]

    def finish(self, rgb, contrast=1.0):
        """Hue, warmth, saturation, exposure and a soft shoulder; (b, 3, H, W) to -1..1."""
        hue, warm = self.scene[:, 0] * (math.pi * 2 / 3), self.scene[:, 1]
        vivid, bright = self.mood[:, 0], self.mood[:, 1]
        c, s = hue.cos(), hue.sin()
        third, root = 1 / 3, math.sqrt(1 / 3)
        eye = torch.eye(3)
        cross = torch.tensor([[0., -1, 1], [1, 0, -1], [-1, 1, 0]]) * root
        m = c[:, None, None] * eye + (1 - c)[:, None, None] * third + s[:, None, None] * cross
        luma = torch.tensor([0.3, 0.59, 0.11]).expand(3, 3)
        sat = torch.where(vivid > 0, 1 + 0.35 * vivid, 1 + 0.5 * vivid)[:, None, None]
        m = (luma + sat * (eye - luma)) @ m
        gain = torch.stack([1 + 0.22 * warm, 1 + 0.02 * warm, 1 - 0.26 * warm], -1)
        m = gain[:, :, None] * m
        x = (m @ rgb.flatten(2)).view_as(rgb).clamp_(1e-4, 4)
        v4 = lambda t: t[:, None, None, None]
        k = contrast * (1 + 0.18 * vivid)
        gamma = torch.where(bright > 0, 1 - 0.45 * bright, 1 - 0.35 * bright) * k
        gain = torch.where(bright > 0, 1 + 0.25 * bright, 1 + 0.5 * bright)
        x = x.pow_(v4(gamma)).mul_(v4(gain * 1.25))
        x = 1.07 * (1 - torch.exp(-1.15 * x * (1 + 0.35 * x)))
        return x.mul_(2).sub_(1).clamp_(-1, 1)

    # Jittered seeds on a lattice of `spacing` cells, centred on the picture.
    def seeds(self, spacing, jitter, sigma=2.0, extra=()):
        """A lattice of seeds. jitter: at most, in spacings; extra: channels whose blur of `sigma` is read at the seeds.

        Returns a Seeds with .near(dy, dx) and .parity(py, px), which give for every pixel the vector from the seed.
        """
        return Seeds(self, spacing, jitter, sigma, extra)


class Seeds:
    def __init__(self, c, spacing, jitter, sigma, extra):
        self.c = c
        scale = c.scale if c.dense else torch.ones(c.b)
        self.p = p = spacing * scale                                          # (b,)
        self.oy, self.ox = (c.h - 1) / 2, (c.w - 1) / 2
        self.ny = math.ceil(c.h / 2 / float(p.min())) + 2
        self.nx = math.ceil(c.w / 2 / float(p.min())) + 2
        iy, ix = torch.arange(-self.ny, self.ny + 1), torch.arange(-self.nx, self.nx + 1)
        gy, gx = self.oy + iy * p[:, None], self.ox + ix * p[:, None]         # (b, k) lattice in cells
        ry, rx = rows(gy, c.h, sigma), rows(gx, c.w, sigma).transpose(1, 2)
        read = lambda ch: ry @ c.z[:, ch] @ rx                                # (b, ky, kx)
        self.sy = gy[:, :, None] + jitter * p[:, None, None] * torch.tanh(0.9 * read(0))
        self.sx = gx[:, None, :] + jitter * p[:, None, None] * torch.tanh(0.9 * read(1))
        self.extra = [read(ch) for ch in extra]
        self.uy = (c.cy - self.oy) / p[:, None]                               # pixels in lattice units
        self.ux = (c.cx - self.ox) / p[:, None]

    def pick(self, iy, ix):
        """For lattice indices of every pixel row and column: (dy, dx, extras...) in cells, each (b, H, W)."""
        py = torch.nn.functional.one_hot((iy + self.ny).clamp(0, 2 * self.ny), 2 * self.ny + 1).float()
        px = torch.nn.functional.one_hot((ix + self.nx).clamp(0, 2 * self.nx), 2 * self.nx + 1).float().transpose(1, 2)
        take = lambda s: py @ s @ px
        dy = self.c.cy[None, :, None] - take(self.sy)
        dx = self.c.cx[None, None, :] - take(self.sx)
        return [dy, dx] + [take(e) for e in self.extra]

    def near(self, dy, dx):
        return self.pick(self.uy.round().long() + dy, self.ux.round().long() + dx)

    def parity(self, py, px):
        """The nearest seed among those whose lattice indices have this parity: no seed is cut within one spacing."""
        iy = ((self.uy - py) / 2).round().long() * 2 + py
        ix = ((self.ux - px) / 2).round().long() * 2 + px
        return self.pick(iy, ix)


PARITIES = ((0, 0), (1, 1), (0, 1), (1, 0))


def u(t):
    """(b, H, W) -> (b, 1, H, W)."""
    return t[:, None]


def ink(c):
    wy = 2.6 * c.field(0, 4.0) + 1.0 * c.field(1, 2.0)
    wx = 2.6 * c.field(1, 4.0) + 1.0 * c.field(2, 2.0)
    s = c.seeds(17.0, 0.38, sigma=4.0, extra=(2, 3))
    near, tone, total = 0, 0, 0
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            vy, vx, e, t = s.near(dy, dx)
            d = ((vy + wy) ** 2 + (vx + wx) ** 2).sqrt() * (1 + 0.25 * torch.tanh(e))
            k = torch.exp(-0.55 * d)
            near, tone, total = near + k, tone + k * t, total + k
    dist = -near.log() / 0.55 + 1.2 * c.field(3, 4.0)
    tone = tone / total
    phase = dist / (3.0 * c.scale[:, None, None])
    g = steep(phase)
    n = phase.floor()
    fr = phase - n
    width = 0.56 + 0.16 * torch.tanh(c.field(2, 8.0))
    line = inside(fr, g=g) * inside(width - fr, g=g)
    pool = 0.45 + 0.55 * (fr / width).clamp(0, 1) ** 2
    kind = torch.remainder(n, 4.0)
    black, indigo, pale, red, paper, paper2 = c.colour((.035, .035, .05), (.04, .10, .30), (.16, .34, .52), (.72, .10, .05),
                                                       (.93, .87, .74), (.80, .68, .50))
    hot = u(inside(tone - 0.25 - 0.3 * c.whole(0), 8, g=torch.full_like(tone, 0.02)))
    col = mix(mix(indigo, black, u((kind == 1).float())), pale, u((kind == 2).float()))
    col = mix(col, mix(red, black, 0.15), u((kind == 3).float()) * hot)
    back = mix(paper, paper2, u(step(-1.6, 1.8, c.field(3, 8.0) + 0.6 * c.y)))
    rgb = mix(back, mix(back * col * 1.2, col, u(pool)), u(line * (0.55 + 0.45 * pool)))
    return c.finish(rgb)


def aurora(c):
    yh = 0.42 + 0.22 * c.horizon + 0.06 * c.whole(2)
    up = (yh - c.y)
    t1, t2, low, green, violet, blue = c.colour((.012, .02, .07), (.02, .06, .16), (.05, .20, .26), (.12, .95, .48),
                                                (.62, .20, .85), (.10, .55, .85))
    v = step(0.0, 1.2, up)
    sky = mix(low, mix(t2, t1, u(v)), u(step(-0.1, 0.55, up)))
    shift = u(torch.tanh(0.8 * c.whole(0)))
    foot = mix(green, blue, 0.5 - 0.5 * shift)
    head = mix(violet, mix(violet, blue, 0.8), 0.5 + 0.5 * shift)
    light, glow = 0, 0
    ray = c.field(1, 1.0, sigma_y=4.0, scaled=True)
    for k, (ch, base, a) in enumerate(((0, 0.52, 0.22), (2, 0.82, 0.2), (3, 1.15, 0.2))):
        d = up - base - a * c.field(ch, 8.0, scaled=True) - 0.05 * c.field(ch, 4.0, scaled=True)
        length = 0.34 + 0.12 * torch.tanh(c.field((ch + 1) % 4, 4.0))
        e = torch.exp(-d.clamp_min(0) / length) * step(-0.05, 0.03, d) * step(-1.6, 1.3, c.field((ch + 2) % 4, 8.0) + 0.5 * ray)
        e = e * (0.72 + 0.30 * torch.tanh(ray)) * (1.0 - 0.22 * k)
        light = light + u(e) * mix(foot, head, u(step(0.05, 0.75, d / length * 0.4)))
        glow = glow + torch.exp(-8 * d.abs()) * (0.3 - 0.07 * k)
    rgb = sky + 1.15 * light + u(glow) * foot * 0.35
    star = pixel_rows(c.h, 0.22), pixel_rows(c.w, 0.22).T
    s = star[0] @ (c.z[:, 0] - 2.0).clamp_min(0) @ star[1]
    rgb = rgb + u((s * 0.9).clamp(0, 1.3) * step(0.05, 0.5, up))
    # the lake: what shines above, smeared
    wave = c.field(1, 2.0, sigma_y=0.8)
    depth = (-up).clamp_min(0)
    shine = step(-1.5, 1.5, c.field(0, 8.0) + 0.35 * wave)
    lake = mix(low * 0.7, t1 * 1.5, u(step(0, 0.6, depth))) + foot * u(shine * 0.45 * torch.exp(-2.2 * depth)) + head * u((1 - shine) * .18 * torch.exp(-1.5 * depth))
    lake = lake + foot * u(0.35 * step(1.0, 1.8, wave) * torch.exp(-2.5 * depth))
    rgb = mix(rgb, lake, u(inside(-up)))
    cell = 2 / c.h
    for k, (ch, base, tone) in enumerate(((3, 0.15, 0.55), (2, 0.05, 0.12))):
        r = base + cell * (2.2 * c.field(ch, 8.0) + 1.1 * c.field(ch, 4.0) + 0.5 * c.field(ch, 2.0) + 0.22 * c.field(ch, 1.0))
        m = inside(r - up) * inside(up)
        ridge = mix(t1, t2, tone) * (0.5 + tone) + foot * 0.10 * u(step(0.0, 2.0, c.field(ch, 1.0))) * tone + low * u(0.5 * torch.exp(-14 * up.clamp_min(0)))
        rgb = mix(rgb, ridge, u(m))
        refl = inside(r * 0.8 + up) * inside(-up)
        rgb = mix(rgb, t1 * 0.6 + 0.15 * low, u(refl * 0.6))
    return c.finish(rgb * 1.1)


def coral(c):
    bias = 0.55 * torch.tanh(c.field(3, 8.0)) + 0.2 * torch.tanh(c.whole(1))
    f = c.band(0, 1.0) + 0.35 * c.band(1, 2.0) + bias
    fx, fy = slope(f)
    g = (fx * fx + fy * fy).sqrt() + 1e-6
    wall = inside(f, 2.0, g)
    hgt = torch.tanh(1.6 * f)
    lift = 9.0 * (1 - hgt * hgt)
    nx, ny = -fx * lift, -fy * lift
    big = c.field(2, 4.0)
    bx, by = slope(big)
    nx, ny = nx - 14 * bx, ny - 14 * by
    inv = 1 / (nx * nx + ny * ny + 1).sqrt()
    lx, ly, lz = -0.5, -0.62, 0.6
    lam = ((nx * lx + ny * ly + lz) * inv).clamp_min(0)
    spec = ((nx * -0.28 + ny * -0.36 + 0.89) * inv).clamp_min(0) ** 24
    coral1, coral2, rose, teal, deep, sand = c.colour((.98, .36, .24), (1.0, .62, .36), (.80, .14, .34), (.05, .50, .52),
                                                     (.01, .09, .16), (1.0, .86, .66))
    w = u(step(-1.3, 1.3, c.field(1, 8.0) + 0.5 * c.whole(0)))
    body = mix(mix(rose, coral1, w), mix(coral1, coral2, w), u(step(-1.2, 1.2, c.field(2, 8.0))))
    tip = u(step(0.3, 1.8, f))
    body = mix(body, sand, 0.75 * tip)
    gap = mix(deep, teal, u(step(-2.2, -0.1, f) * 0.0 + step(0.4, -2.0, f) * 0.65 + 0.2 * step(-1, 2, c.field(0, 8.0))))
    shade = u(0.28 + 0.95 * lam)
    light = u(0.78 + 0.32 * torch.tanh(c.whole(2, 1)) * c.x * 0.6 - 0.25 * c.y)
    wallc = body * shade + 0.4 * u(spec)
    gapc = gap * (0.55 + 0.6 * u(lam)) * u(step(0.15, -1.4, f) * 0.85 + 0.15)
    return c.finish(mix(gapc, wallc, u(wall)) * light * 1.1)


def neurons(c):
    dark, haze, warm, gold, cyan, core = c.colour((.010, .012, .045), (.05, .07, .24), (.95, .30, .22), (1.0, .74, .30), (.20, .75, .95), (1., .95, .84))
    sh = u(step(-1.2, 1.2, c.field(3, 8.0) + 0.6 * c.whole(0)))
    back = mix(dark, haze * (1 + 0.8 * u(c.bright.clamp_min(0))), u(step(-1.8, 2.2, c.field(2, 8.0) - 0.5 * c.y)))
    rgb = back
    for ch, sg, wpx, amp in ((3, 2.0, 5.0, 0.16), (2, 2.0, 3.5, 0.34)):
        f = c.band(ch, sg)
        d = f.abs() / (steep(f) + 0.01)
        line = step(1.0, 0.0, d / wpx) * step(-0.6, 1.2, c.field((ch + 1) % 4, 4.0))
        rgb = rgb + mix(cyan, mix(warm, cyan, 0.4), sh) * u(line * amp)
    wy = 1.5 * c.field(0, 2.0) + 1.2 * c.field(1, 4.0)
    wx = 1.5 * c.field(1, 2.0) + 1.2 * c.field(2, 4.0)
    s = c.seeds(13.0, 0.22, sigma=4.0, extra=(2, 3))
    glow = 0
    for py, px in PARITIES:
        vy, vx, a, e = s.parity(py, px)
        r0 = (vy * vy + vx * vx).sqrt()
        k = step(0.5, 5.0, r0)
        vy, vx = vy + wy * k, vx + wx * k
        r = (vy * vy + vx * vx).sqrt() + 1e-4
        sc = s.p[:, None, None] / 13.0
        th = torch.atan2(vy, vx) + 1.4 * a
        n = 5.0
        q = torch.remainder(n * th / (2 * math.pi), 1.0) - 0.5
        d = r * q.abs() * (2 * math.pi / n)
        reach = 9.2 * sc * (0.86 + 0.14 * torch.tanh(e))
        fade = (1 - r0 / reach).clamp_min(0)
        w = 0.85 * fade + 0.55 * torch.exp(-r / 1.5)
        sd = torch.maximum(w - d, 1.35 * sc * (1 + 0.2 * torch.tanh(e)) - r)
        m = (sd * FACTOR / 2.0 + 0.5).clamp(0, 1) * step(0, 0.08, fade)
        body = mix(mix(warm, gold, sh), core, u((sd / 1.0).clamp(0, 1)))
        lit = u(0.72 + 0.28 * fade)
        nuc = u(step(0.75, 0.45, r) * 0.55)
        halo = torch.exp(-(-sd).clamp_min(0) * 1.1) * fade
        rgb = rgb * (1 - 0.35 * u(halo)) + mix(warm, gold, sh) * u(halo * 0.30)
        rgb = mix(rgb, mix(body * lit, warm * 0.55, nuc), u(m))
    return c.finish(rgb)


def mountains(c):
    cell = 2 / c.h
    top = -0.25 + 0.28 * c.horizon + 0.08 * c.whole(1)
    day = u(c.bright)
    warmth = u(torch.tanh(c.whole(0)))
    sky1, sky2, mist, far, near, sunc, night = c.colour((.18, .34, .56), (.95, .70, .52), (.96, .86, .76), (.52, .60, .72), (.05, .11, .16), (1.0, .78, .50), (.06, .09, .20))
    rose = c.colour((.86, .48, .50))[0]
    sky2 = mix(sky2, mix(rose, mist, 0.3), 0.5 + 0.5 * warmth)
    sky1 = mix(sky1, mix(rose, sky1, 0.5), 0.25 + 0.25 * warmth)
    v = step(-1.0, 0.0, (c.y - top) / 1.0 + 0.25 + 0.08 * c.field(1, 8.0))
    rgb = mix(sky1, sky2, u(v))
    sx = 0.62 * torch.tanh(c.whole(2, 1)) * (c.w / c.h)
    sy = top - 0.28 + 0.16 * torch.tanh(c.whole(3, 2))
    r = ((c.x - sx) ** 2 + (c.y - sy) ** 2).sqrt()
    rgb = rgb + sunc * u(0.42 * torch.exp(-4.5 * r))
    rgb = mix(rgb, sunc * 1.25, u(((0.13 - r) * c.H / 2 / 2 + 0.5).clamp(0, 1)))
    cloud = step(0.2, 1.9, c.field(0, 2.0, sigma_y=None) * 0.25 + c.field(0, 8.0, sigma_y=2.0)) * step(0.35, -0.2, c.y - top)
    rgb = mix(rgb, mist, u(0.55 * cloud))
    peak = 0.6 * torch.tanh(c.whole(3, 1)) * (c.w / c.h)
    n = 6
    for k in range(n):
        t = k / (n - 1)
        base = top + 0.06 + 1.05 * (k / n) ** 1.15
        ch, ch2 = k % 4, (k + 2) % 4
        amp = 1.15 - 0.45 * t
        big = 3.0 * c.field(ch, 8.0, scaled=True) + 1.6 * c.field(ch2, 4.0, scaled=True)
        rough = 0.55 * c.field(ch, 2.0, scaled=True) + 0.24 * c.field(ch2, 1.0, scaled=True)
        ridge = cell * amp * (big + rough)
        if k == 1:
            ridge = ridge + 0.42 * torch.exp(-((c.x - peak) / 0.34).abs() * 1.3)
        f = c.y - base + ridge
        m = inside(f)
        down = f.clamp_min(0)
        body = mix(mix(far, mist, 0.25), near, t ** 0.9)
        light = step(-1.2, 1.6, c.field(ch, 1.0, scaled=True) + 0.8 * c.field(ch2, 2.0, scaled=True))
        body = body * u(0.82 + 0.32 * light) + sunc * u(0.10 * light * (1 - t) * torch.exp(-6 * down))
        fog = 1 - torch.exp(-down * (5.0 - 3.2 * t))
        fog = fog * (0.92 - 0.72 * t * t) * (0.8 + 0.2 * torch.tanh(c.field(ch2, 8.0)))
        body = mix(body, mix(mist, sky2, 0.35), u(fog))
        rgb = mix(rgb, body, u(m))
    return c.finish(rgb)


def glass(c):
    s = c.seeds(5.2, 0.36, sigma=1.0, extra=(2, 3, 0))
    f1 = f2 = None
    for dy in (0, -1, 1):
        for dx in (0, -1, 1):
            vy, vx, *e = s.near(dy, dx)
            d = vy * vy + vx * vx
            if f1 is None:
                f1, f2, best = d, torch.full_like(d, 1e3), e + [vy, vx]
                continue
            f2 = torch.minimum(f2, torch.maximum(f1, d))
            closer = d < f1
            best = [torch.where(closer, a, b) for a, b in zip(e + [vy, vx], best)]
            f1 = torch.minimum(f1, d)
    e0, e1, e2, vy, vx = best
    gap = f2.sqrt() - f1.sqrt()
    cell = 2 / c.h
    syy, sxx = c.y - vy * cell, c.x - vx * cell                  # place of the seed
    cx0 = 0.45 * torch.tanh(c.whole(2, 1)) * (c.w / c.h)
    cy0 = -0.1 + 0.3 * c.horizon + 0.25 * torch.tanh(c.whole(3, 2))
    r = ((sxx - cx0) ** 2 + (syy - cy0) ** 2).sqrt()
    ruby, gold, cobalt, emerald, violet, amber = c.colour((.80, .03, .07), (1.0, .70, .14), (.03, .13, .72), (.02, .48, .30), (.36, .06, .55), (1.0, .42, .06))
    t = r * 1.5 + 0.45 * e0 * 0.6 + 0.25 * c.whole(0)
    a = mix(gold, amber, u(step(-0.8, 0.8, e1)))
    b = mix(ruby, violet, u(step(-0.9, 0.9, e1 + 0.5 * c.whole(1))))
    d = mix(cobalt, emerald, u(step(0.1, 1.2, e1 + e2 * 0.5)))
    col = mix(mix(a, b, u(step(0.35, 0.75, t))), d, u(step(0.9, 1.35, t)))
    col = col * u(0.75 + 0.22 * e2.clamp(-1.6, 1.8))
    inner = torch.exp(-f1 * 0.075)
    streak = c.field(3, 1.0, sigma_y=2.0)
    lamp = 0.55 + 0.85 * torch.exp(-1.6 * ((c.x - cx0) ** 2 + (c.y - cy0) ** 2))
    col = col * u((0.62 + 0.5 * inner + 0.10 * streak) * lamp) + 0.10 * u(inner * lamp)
    dist = gap / 2 * FACTOR
    lead = step(1.6, 3.4, dist)
    bevel = step(3.0, 9.0, dist)
    rgb = col * u(0.70 + 0.30 * bevel) * u(lead) + u((1 - lead) * 0.022)
    return c.finish(rgb * 1.25)


def surf(c):
    ang = 0.45 * torch.tanh(c.whole(3, 1))
    along = c.y * ang.cos() + c.x * ang.sin()
    shore = 0.30 + 0.3 * c.horizon + 0.10 * c.whole(0)
    cell = 2 / c.h
    off = shore - along + cell * (2.2 * c.field(0, 8.0) + 0.8 * c.field(1, 4.0))     # > 0 at sea
    deep, mid, turq, pale, wet, sand, foamc = c.colour((.01, .09, .25), (.01, .28, .46), (.06, .62, .66), (.55, .88, .80), (.52, .40, .28), (.90, .76, .55), (.97, .99, 1.))
    sea = mix(pale, turq, u(step(0.02, 0.22, off)))
    sea = mix(sea, mid, u(step(0.15, 0.65, off + 0.06 * c.field(2, 8.0))))
    sea = mix(sea, deep, u(step(0.5, 1.35, off + 0.10 * c.field(3, 8.0))))
    swell = c.field(1, 4.0, sigma_y=1.6, scaled=True)
    sx, sy = slope(swell)
    sea = sea * u(1 + (3.2 * sy).clamp(-0.45, 0.5))
    beach = mix(wet, sand, u(step(-0.02, -0.26, off)))
    beach = beach * u(1 + 0.05 * c.field(2, 1.0, sigma_y=1.0) - 0.05 * c.field(3, 4.0))
    rgb = mix(beach, sea, u(step(-0.015, 0.03, off)))
    web = c.band(2, 1.0)
    web2 = c.band(3, 1.0)
    lace = 1 - step(0.12, 0.5, torch.minimum(web.abs(), web2.abs()))
    ph = off / (0.34 * c.scale[:, None, None]) + 0.22 * c.field(0, 4.0)
    for k, (at, strength) in enumerate(((0.05, 1.0), (0.95, 0.95), (1.95, 0.75), (3.1, 0.5))):
        d = ph - at - 0.16 * c.field((k + 1) % 4, 4.0)             # > 0 seaward of this crest
        front = inside(d, 3.0)
        body = front * torch.exp(-d.clamp_min(0) * (5.0 + 1.0 * k))
        tail = front * torch.exp(-d.clamp_min(0) * 1.5)
        gate = step(-0.9, 0.7, c.field((k + 2) % 4, 8.0) + (0.9 - 0.45 * k))
        f = (step(0.30, 0.62, body + 0.18 * web) + lace * tail * 0.85).clamp(0, 1) * strength * gate
        shadow = (1 - front) * torch.exp(d.clamp_max(0) * 7) * gate
        rgb = rgb * (1 - 0.30 * u(shadow) * strength)
        rgb = mix(rgb, foamc * u(0.90 + 0.10 * torch.tanh(web2)), u(f))
    star = pixel_rows(c.h, 0.25), pixel_rows(c.w, 0.25).T
    g = star[0] @ (c.z[:, 0] - 1.8).clamp_min(0) @ star[1]
    rgb = rgb + u((g * 0.5).clamp(0, 1) * step(0.4, 0.9, off)) * c.colour((1., .95, .8))[0]
    return c.finish(rgb)


def flowers(c):
    leaf1, leaf2, dark = c.colour((.05, .22, .10), (.22, .46, .16), (.01, .05, .05))
    pink, red, white, violet, yellow, blue = c.colour((.96, .46, .60), (.86, .10, .16), (1., .94, .88), (.46, .22, .70), (1., .76, .14), (.26, .36, .85))
    f = c.band(1, 1.0)
    fx, fy = slope(f)
    lf = step(-0.3, 0.3, f)
    rgb = mix(dark, mix(leaf1, leaf2, u(step(-0.8, 2.0, f + 0.5 * c.field(2, 4.0)))), u(lf)) * u((0.85 - 4 * fx - 5 * fy).clamp(0.3, 1.6)) * 0.8
    pal = u(torch.tanh(c.whole(0)))
    for spacing, jit, n, size, dim, chs in ((7.0, 0.25, 8.0, 0.62, 0.55, (2, 3)), (13.0, 0.24, 5.0, 0.70, 1.0, (3, 2))):
        s = c.seeds(spacing, jit, sigma=2.0 if n == 8 else 4.0, extra=chs)
        sc = s.p[:, None, None]
        for py, px in PARITIES:
            vy, vx, a, e = s.parity(py, px)
            vy = vy + 0.5 * c.field(0, 2.0)
            vx = vx + 0.5 * c.field(3, 2.0)
            r = (vy * vy + vx * vx).sqrt() + 1e-4
            th = torch.atan2(vy, vx) + 0.9 * a
            q = torch.cos(n * th)
            R = sc * size * (0.82 + 0.22 * torch.tanh(e + 0.4))
            rho = r / R
            petal = (0.74 + 0.26 * (0.5 + 0.5 * q).clamp_min(1e-4).sqrt()) - rho
            m = (petal * R * FACTOR / 1.8 + 0.5).clamp(0, 1)
            shadow = torch.exp(-(-petal).clamp_min(0) * 9)
            colA = mix(mix(pink, red, u(step(-0.2, 1.2, e))), mix(violet, white, u(step(-0.8, 0.8, a))), u(step(-0.5, 0.8, e - a + 0.8 * pal[:, 0])))
            colB = mix(mix(blue, violet, u(step(-0.5, 0.5, e))), mix(white, yellow, u(step(-0.5, 1.0, a))), u(step(-0.6, 0.6, a - 0.6 * pal[:, 0])))
            col = colB if n == 8 else colA
            shade = 0.50 + 0.5 * step(0.05, 0.75, rho) + 0.18 * q * step(0.15, 0.5, rho) - 0.25 * (vy / R) - 0.2 * (vx / R)
            col = mix(col * 0.55, col, u(step(0.1, 0.8, rho))) * u(shade) * dim
            vein = step(0.2, 0.9, torch.cos(n * 3 * th)) * step(0.75, 0.3, rho) * step(0.12, 0.25, rho)
            col = col * (1 - 0.18 * u(vein))
            heart = ((0.24 - rho) * R * FACTOR / 1.8 + 0.5).clamp(0, 1)
            hc = mix(yellow, c.colour((.55, .22, .03))[0], u(step(0.02, 0.22, rho))) * (0.75 + 0.25 * dim)
            col = mix(col, hc, u(heart))
            rgb = rgb * (1 - 0.45 * u(shadow))
            rgb = mix(rgb, col, u(m))
    return c.finish(rgb * 1.1)


PAINTERS = dict(ink=ink, aurora=aurora, coral=coral, neurons=neurons, mountains=mountains, glass=glass, surf=surf,
                flowers=flowers)


@torch.no_grad()
def draw(genre_index: int, z, mood, scene):
    """(b, 4, h, w) unit noise, (b, 2) mood, (b, 4) scene -> (b, 3, 8h, 8w) in -1..1."""
    paint = PAINTERS[GENRES[genre_index]]
    n = max(1, PIXELS_AT_ONCE // (z.shape[2] * z.shape[3] * FACTOR * FACTOR))
    out = [paint(Canvas(z[i:i + n].float(), mood[i:i + n].float(), scene[i:i + n].float())) for i in range(0, len(z), n)]
    return torch.cat(out)


@torch.no_grad()
def draw_mix(genre_weights, z, mood, scene):
    """Collage: (b, 8) weights that add to 1 decide how much of the picture each genre has, the widest blur of z where."""
    b, _, h, w = z.shape
    out = torch.zeros(b, 3, h * FACTOR, w * FACTOR)
    field = pixel_rows(h, 8.0) @ z[:, 3].float() @ pixel_rows(w, 8.0).T
    share = genre_weights.float() / genre_weights.float().sum(1, keepdim=True)
    end = share.cumsum(1).clamp(0, 1)
    end[end > 1 - 1e-5] = 1
    start = torch.cat([torch.zeros(b, 1), end[:, :-1]], 1)
    border = lambda p: torch.special.ndtri(p.double()).float()[:, None, None]    # -inf at 0, inf at 1
    soft = 0.04
    for k in range(len(GENRES)):
        i = (share[:, k] > 1e-5).nonzero()[:, 0]
        if len(i):
            above = torch.sigmoid((field[i] - border(start[i, k])) / soft)
            beyond = torch.sigmoid((field[i] - border(end[i, k])) / soft)
            out[i] += u(above - beyond) * draw(k, z[i], mood[i], scene[i])
    return out
