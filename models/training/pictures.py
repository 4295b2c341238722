"""Pictures of eight genres, each drawn from the very noise it is paired with in training.

A picture is a function of z (4 cells-channels of unit noise), genre, mood and scene and of nothing else. It is built
from what the denoiser is given as well: the blurs of z (here evaluated at pixels, so that there is no grid), linear
means of z over the whole picture, and lattices that blurs of z bend. So the map noise -> picture is smooth
in z and can be learnt in one step; edges are sharp, but their position is a gentle function of the fields.

Lengths are in cells of the latent (8 pixels) unless a name says otherwise; y runs from -1 (top) to 1 (bottom), x in the
same unit. Colours are red, green, blue from 0 to 1 until `Canvas.finish`.
"""
import math

import torch

import lines
from network import FACTOR, GENRES, feature_size, rows

PIXELS_AT_ONCE = 4 * 256 * 256          # planes that stay in the cache
_ROWS: dict = {}
torch.set_flush_denormal(True)          # exp(-large) everywhere: denormal numbers are ten times slower


def centres(n: int, device) -> torch.Tensor:
    """Pixel centres in cells."""
    return (torch.arange(n * FACTOR, device=device) + 0.5) / FACTOR - 0.5


def pixel_rows(n: int, sigma: float, device=torch.device("cpu")) -> torch.Tensor:
    if (n, sigma, device) not in _ROWS:
        _ROWS[n, sigma, device] = rows(centres(n, device), n, sigma)
    return _ROWS[n, sigma, device]


def mix(a, b, t):
    return torch.lerp(a, b, t) if torch.is_tensor(a) and torch.is_tensor(b) else a + (b - a) * t


def ramp(a, b, x):
    """From 0 at a to 1 at b in a straight line."""
    return ((x - a) * (1 / (b - a))).clamp_(0, 1)


def step(a, b, x):
    """From 0 at a to 1 at b, smoothly."""
    t = ramp(a, b, x)
    return t * t * (3 - 2 * t)


def slope_x(f):
    if f.shape[-1] < 3:
        return torch.zeros_like(f)
    fx = torch.empty_like(f)
    torch.sub(f[..., 2:], f[..., :-2], out=fx[..., 1:-1])
    fx[..., 1:-1] *= 0.5
    fx[..., 0], fx[..., -1] = fx[..., 1], fx[..., -2]
    return fx


def slope_y(f):
    fy = torch.empty_like(f)
    torch.sub(f[..., 2:, :], f[..., :-2, :], out=fy[..., 1:-1, :])
    fy[..., 1:-1, :] *= 0.5
    fy[..., 0, :], fy[..., -1, :] = fy[..., 1, :], fy[..., -2, :]
    return fy


def steep(f):
    """How much f changes a pixel."""
    return slope_x(f).square_().add_(slope_y(f).square_()).add_(1e-12).sqrt_()


def inside(f, soft_px=1.5, g=None):
    """1 where f > 0, with an edge `soft_px` pixels wide whatever the steepness g of f."""
    g = steep(f) if g is None else g
    return (f / (g * soft_px)).add_(0.5).clamp_(0, 1)


class Canvas:
    """One chunk of pictures being drawn: its fields, whole-picture means, coordinates and colours."""

    def __init__(self, z, mood, scene):
        self.z, self.mood, self.scene, self.device = z, mood, scene, z.device
        self.b, _, self.h, self.w = z.shape
        self.H, self.W = self.h * FACTOR, self.w * FACTOR
        self.cell = 2 / self.h                                           # of y
        self.vivid, self.bright = mood[:, 0, None, None], mood[:, 1, None, None]
        self.swing = 1 + 0.15 * self.vivid                               # amplitude of structure
        self.horizon = scene[:, 3, None, None]
        self.size = feature_size(scene[:, 2])[:, None, None]
        self.dense = bool((self.size != 1).any())
        self.aspect = self.w / self.h
        self.cy, self.cx = centres(self.h, self.device), centres(self.w, self.device)
        self.y = ((self.cy + 0.5) * self.cell - 1)[None, :, None]
        self.x = ((self.cx + 0.5) * self.cell - self.w / self.h)[None, None, :]
        self.iy, self.ix = (self.cy - (self.h - 1) / 2)[None, :, None], (self.cx - (self.w - 1) / 2)[None, None, :]
        self._fields: dict = {}
        self._rows: dict = {}
        self._means = self._whole().clamp(-3, 3)

    def _whole(self):
        """(b, 4, 3): mean, moment across and moment down of every channel, each a unit normal number a picture."""
        gx = torch.linspace(-1, 1, self.w, device=self.device)
        gy = torch.linspace(-1, 1, self.h, device=self.device)
        m = self.z.sum((2, 3)) / math.sqrt(self.h * self.w)
        mx = (self.z.sum(2) @ gx) / math.sqrt(self.h) / gx.norm()
        my = (self.z.sum(3) @ gy) / math.sqrt(self.w) / gy.norm()
        return torch.stack([m, mx, my], -1)

    def whole(self, channel, kind=0):
        """(b, 1, 1) unit normal: 0 the mean of a channel, 1 its moment across, 2 its moment down."""
        return self._means[:, channel, kind][:, None, None]

    def _reader(self, at, n, sigma):
        if not self.dense:
            return pixel_rows(n, sigma, self.device)
        if (n, sigma) not in self._rows:
            self._rows[n, sigma] = rows(at[None], n, self.size * sigma)
        return self._rows[n, sigma]

    def field(self, channel, sigma, sigma_y=None):
        """(b, H, W): the blur of a channel at pixels, unit variance; its width follows the density."""
        key = (channel, sigma, sigma_y)
        if key not in self._fields:
            ry, rx = self._reader(self.cy, self.h, sigma_y or sigma), self._reader(self.cx, self.w, sigma)
            self._fields[key] = ry @ self.z[:, channel] @ rx.transpose(-1, -2)
        return self._fields[key]

    def band(self, channel, sigma):
        """Band-passed noise, the difference of two blurs: about 6.5 sigma from crest to crest."""
        return torch.sub(self.field(channel, sigma), self.field(channel, 2 * sigma), alpha=0.5).div_(0.6708)

    def sparks(self, channel, above, radius):
        """Points of light at the cells whose z exceeds `above`, of `radius` cells."""
        dot = lambda at, n: torch.exp(-0.5 * ((at[:, None] - torch.arange(n, device=self.device)) / radius) ** 2)
        return dot(self.cy, self.h) @ (self.z[:, channel] - above).clamp_min(0) @ dot(self.cx, self.w).T

    def sum(self, *terms):
        """Sum of (plane, colour): planes (b, H, W) or what expands to it, colours (3,) or (b, 3) -> (b, 3, H, W)."""
        shape = (self.b, self.H, self.W)
        planes = torch.stack([p.expand(shape) for p, _ in terms], 1).flatten(2)
        colours = torch.stack([self.hue(k).expand(self.b, 3) for _, k in terms], 2)
        return (colours @ planes).view(self.b, 3, self.H, self.W)

    def hue(self, k):
        return k if torch.is_tensor(k) else torch.tensor(k, dtype=torch.float32, device=self.device)

    def vary(self, a, b, t):
        """A colour of the picture: from a to b by t (b, 1, 1) -> (b, 3)."""
        return torch.lerp(self.hue(a), self.hue(b), t[:, :, 0])

    def finish(self, rgb):
        """Hue, warmth, saturation, exposure and a soft shoulder; (b, 3, H, W) to -1..1."""
        hue, warm = self.scene[:, 0] * (math.pi * 2 / 3), self.scene[:, 1]
        vivid, bright = self.mood[:, 0], self.mood[:, 1]
        c, s = hue.cos(), hue.sin()
        eye = torch.eye(3, device=self.device)
        cross = torch.tensor([[0., -1, 1], [1, 0, -1], [-1, 1, 0]], device=self.device) * math.sqrt(1 / 3)
        m = c[:, None, None] * eye + (1 - c)[:, None, None] / 3 + s[:, None, None] * cross
        luma = self.hue((0.3, 0.59, 0.11)).expand(3, 3)
        sat = torch.where(vivid > 0, 1 + 0.35 * vivid, 1 + 0.5 * vivid)[:, None, None]
        night = (-bright).clamp(min=0)
        gain = torch.stack([1 + 0.22 * warm - 0.30 * night, 1 + 0.02 * warm - 0.10 * night, 1 - 0.26 * warm + 0.25 * night], -1)
        m = gain[:, :, None] * ((luma + sat * (eye - luma)) @ m)
        x = (m @ rgb.flatten(2)).view_as(rgb).clamp_(1e-4, 4)
        v4 = lambda t: t[:, None, None, None]
        gamma = torch.where(bright > 0, 1 - 0.45 * bright, 1 - 0.35 * bright) * (1 + 0.18 * vivid)
        gain = torch.where(bright > 0, 1 + 0.25 * bright, 1 + 0.5 * bright)
        x = x.pow_(v4(gamma)).mul_(v4(gain * 1.25))
        x = (x * -0.4025).sub_(1.15).mul_(x).exp_()                       # 1 - exp(-1.15 x (1 + 0.35 x)), times 1.07
        return x.mul_(-2.14).add_(1.14).clamp_(-1, 1)


def u(t):
    """(b, H, W) -> (b, 1, H, W)."""
    return t[:, None]


def ink(c):
    """Suminagashi: wide rings of ink on water, drawn out by its currents; one edge sharp, the other a wash."""
    phase = lines.rings(c)[0]
    g = steep(phase).clamp_(max=0.16)
    n = phase.floor()
    fr = phase - n
    kind = torch.remainder(n, 4.0)
    is_black, is_red, is_pale = ((kind - k).abs_().mul_(-1).add_(1).clamp_(min=0) for k in (1, 3, 2))
    hot = ramp(-0.25, 0.25, c.field(2, 8.0) + 0.5 * c.whole(0) - 0.35)
    width = 0.80 - 0.36 * is_black - 0.30 * is_red + 0.14 * torch.tanh(c.field(2, 8.0))
    edge = inside(fr, g=g) * inside(width - fr, 2.5, g=g)
    wash = (1 - fr / width).clamp_(0, 1)
    solid = is_black + is_red * 0.85
    dens = edge * (0.22 + 0.78 * mix(wash * wash * (0.5 + 0.5 * wash), (1 - 0.2 * wash), solid))
    red = dens * is_red * hot
    black = dens * is_black
    blue = dens * (1 - is_black - is_red * hot)
    pale = blue * is_pale
    grain = ramp(-1.8, 1.8, c.field(3, 8.0) + 0.7 * c.y)
    bare = (1 - dens)
    indigo = c.vary((.02, .08, .30), (.02, .20, .34), 0.5 + 0.5 * torch.tanh(c.whole(3)))
    rgb = c.sum((bare * (1 - grain), (.95, .89, .77)), (bare * grain, (.84, .71, .52)), (red, (.74, .09, .03)),
                (black, (.028, .026, .04)), (blue - pale, indigo), (pale, (.20, .42, .56)))
    return c.finish(rgb)


def aurora(c):
    """Curtains of light over two dark ridges and a lake, under stars."""
    up, feet, ridges = lines.aurora(c)
    lean = 0.5 + 0.5 * torch.tanh(0.9 * c.whole(0))
    foot = c.vary((.07, .95, .28), (.06, .70, .82), lean)
    head = c.vary((.70, .16, .72), (.28, .22, .95), 0.5 + 0.5 * torch.tanh(0.9 * c.whole(1)))
    ray = c.field(1, 1.0, sigma_y=4.0)
    rays = torch.tanh(ray).mul_(0.34).add_(0.72)
    low, high, glow = 0, 0, 0
    for k, (ch, d) in enumerate(zip((0, 2, 3), feet)):
        length = torch.tanh(c.field((ch + 1) % 4, 4.0)).mul_(0.10).add_(0.30)
        e = (d.clamp_min(0) / length).mul_(-1).exp_()
        gate = step(-1.9, 0.9, c.field((ch + 2) % 4, 8.0) + 0.5 * ray)
        e = e * ramp(-0.045, 0.03, d) * gate * rays * (1.25 - 0.25 * k)
        t = ramp(0.15, 0.95, d * 1.6)
        high = high + e * t
        low = low + e * (1 - t)
        glow = glow + d.abs().mul_(-7).exp_() * (0.12 - 0.03 * k)
    star = c.sparks(0, 2.05, 0.20) * ramp(0.15, 0.6, up)
    star = star + 0.18 * c.sparks(0, 2.5, 0.55) * ramp(0.15, 0.6, up)
    depth = (-up).clamp(min=0)
    wave = c.field(1, 4.0, sigma_y=0.8)
    lake = inside(-up)
    shine = step(-1.6, 1.6, c.field(0, 8.0) + 0.25 * wave)
    gleam = (0.30 * shine + 0.30 * step(-0.4, 2.4, wave)) * torch.exp(-1.6 * depth)
    # ridges, composed as planes: how much ridge, how much of it is haze, and its lit flanks
    ridge = tone = lit = torch.zeros_like(low)
    for ch, r, dark in ((3, ridges[0], 0.0), (2, ridges[1], 1.0)):
        m = inside(r - up)
        ridge = torch.maximum(ridge, m)
        tone = mix(tone, torch.full_like(tone, dark), m)
        flank = ramp(-0.08, 0.12, slope_x(c.field(ch, 2.0, sigma_y=4.0) + 0.5 * c.field(ch, 4.0)))
        lit = mix(lit, flank * (0.9 - 0.6 * dark), m)
        mirror = ramp(-0.06, 0.05, r * 0.8 + up + 0.012 * wave)
        lake_dark = mirror if dark == 0 else torch.maximum(lake_dark, mirror)
    land = ridge * (1 - lake)
    sky = (1 - ridge) * (1 - lake)
    night = ramp(0.0, 1.3, up)
    haze = (up.clamp(min=0) * -9).exp_()
    gl = lake * gleam * (1 - 0.8 * lake_dark)
    wet = lake * (1 - 0.5 * lake_dark)
    foot2 = (low + glow) * sky + gl + 0.10 * lit * land
    rgb = c.sum((sky * (1 - night), (.03, .10, .20)), (sky * night, (.010, .016, .07)), (foot2, foot),
                ((high + 0.3 * glow) * sky + 0.35 * gl, head), (star * sky, (1., .95, .9)),
                (land * (1 - tone) * (0.6 + lit), (.025, .07, .14)), (land * tone * (0.6 + 0.5 * lit), (.006, .016, .04)),
                (land * haze * 0.5 + sky * (up * -3.5).exp_().clamp_(max=1) * 0.6, (.05, .17, .24)),
                (wet * (depth * -2.5).exp_(), (.03, .11, .17)), (wet, (.006, .02, .05)))
    return c.finish(rgb * 1.1)


def coral(c):
    """A living labyrinth: band-passed noise, lit like a reef, with deep water in the gaps."""
    bias = 0.6 * torch.tanh(c.field(3, 8.0)) + 0.2 * torch.tanh(c.whole(1))
    f = c.band(0, 1.0).add_(c.band(1, 2.0), alpha=0.25).add_(bias + 0.08)
    fx, fy = slope_x(f), slope_y(f)
    g = (fx * fx + fy * fy).add_(1e-12).sqrt_()
    wall = inside(f, 2.0, g)
    h = torch.tanh(1.5 * f)
    lift = h.mul_(h).mul_(-9).add_(9)
    big = c.field(2, 4.0)
    nx, ny = -fx * lift - 14 * slope_x(big), -fy * lift - 14 * slope_y(big)
    inv = (nx * nx).add_(ny * ny).add_(1).rsqrt_()
    lam = (-0.5 * nx - 0.62 * ny + 0.6).mul_(inv).clamp_(min=0)
    spec = (-0.28 * nx - 0.36 * ny + 0.89).mul_(inv).clamp_(min=0)
    for _ in range(4):
        spec = spec * spec
    top = ramp(0.35, 1.9, f)
    groove = 1 - 0.42 * (((f - 1.15) * 3.2).square_().mul_(-1)).exp_()
    reef = step(-1.4, 1.4, c.field(1, 8.0) + 0.7 * c.whole(0) + 0.5 * c.y)
    pale = ramp(-1.4, 1.4, c.field(2, 8.0))
    sun = (0.80 - 0.24 * c.y + 0.14 * torch.tanh(c.whole(2, 1)) * c.x + 0.10 * c.field(2, 8.0)).clamp_(min=0.3)
    body = wall * (0.34 + 0.85 * lam) * sun * groove
    under = c.band(3, 1.0).add_(c.band(1, 1.0), alpha=0.4)
    below = ramp(-0.25, 0.45, under) * (0.75 - 9 * slope_y(under) - 6 * slope_x(under)).clamp_(0.1, 1.8)
    depth = ramp(0.25, -1.3, f)                                       # dark under the edge of the reef
    dim = (1 - wall) * depth * sun
    rgb = c.sum((body * (1 - top) * (1 - reef), (.98, .34, .20)), (body * (1 - top) * reef * pale, (.80, .10, .36)),
                (body * (1 - top) * reef * (1 - pale), (.55, .12, .52)), (body * top * (1 - pale), (1.0, .66, .38)),
                (body * top * pale, (1.0, .56, .50)), (wall * spec * 0.24, (1., .97, .9)),
                (dim * below * 0.75, c.vary((.03, .46, .50), (.10, .36, .62), 0.5 + 0.5 * torch.tanh(c.whole(3)))),
                (dim, (.01, .15, .22)), (1 - wall, (.003, .025, .05)))
    return c.finish(rgb * 1.3)


def neurons(c):
    """Cells with forking dendrites that glow over a net of far axons."""
    shift = ramp(-1.2, 1.2, c.field(3, 8.0) + 0.8 * c.whole(0))
    net = 0
    for ch, px, amp in ((3, 6.0, 0.20), (2, 4.0, 0.42)):
        f = c.band(ch, 2.0)
        d = f.abs() / steep(f).add_(0.012)
        net = net + (1 - d / px).clamp_(0, 1) * ramp(-0.8, 1.2, c.field((ch + 1) % 4, 4.0)) * amp
    layers = []
    for lattice in (1, 0):
        cells = lines.Blossom(c, lattice)
        sd, unit, fade = cells.cell()
        layers.append((sd, cells.r / unit, fade, cells.a))
    (sd2, r2, f2, a2), (sd, r, fade, a) = layers
    far = (sd2 * (FACTOR / 4.0)).add_(0.5).clamp_(0, 1) * (0.30 + 0.55 * f2)
    halo2 = (sd2.clamp_max(0) * 0.9).exp_() * f2
    m = (sd * (FACTOR / 2.0)).add_(0.5).clamp_(0, 1)
    halo = (sd.clamp_max(0) * 0.7).exp_() * (0.15 + 0.85 * fade) * ramp(0, 0.15, fade)
    core = (sd * 0.85).clamp_(0, 1)
    nucleus = step(0.85, 0.45, r) * m
    tint = ramp(-1.0, 1.0, a + 1.2 * (shift - 0.5))
    back = ramp(-2.0, 2.2, c.field(2, 8.0) - 0.6 * c.y)
    lift = 1 + 0.9 * c.bright.clamp(min=0)
    under = (1 - m) * (1 - 0.5 * halo)
    far = far * under
    rest = under * (1 - 0.7 * far)
    body = m * (0.55 + 0.45 * fade) * (1 - 0.75 * nucleus)
    hot = body * core
    warm = c.vary((1.0, .30, .12), (.98, .22, .50), 0.5 + 0.5 * torch.tanh(c.whole(1)))
    cool = c.vary((.10, .62, .95), (.10, .80, .62), 0.5 + 0.5 * torch.tanh(c.whole(3)))
    rgb = c.sum((rest * (1 - back) * lift, (.008, .010, .040)), (rest * back * lift, (.05, .06, .24)),
                (far * 0.85 + net * rest * (1 - shift) + 0.16 * halo2 * rest, cool), (net * rest * shift * 0.8, (.45, .25, .75)),
                ((body - hot) * (1 - tint) + (1 - m) * halo * 0.34, warm), ((body - hot) * tint, (1.0, .66, .18)),
                (hot, (1., .90, .70)), (m * nucleus, (.42, .06, .10)))
    return c.finish(rgb * 1.1)


def mountains(c):
    """Ridge behind ridge in mist, one peak, the sun or moon."""
    below, r, ridges = lines.mountains(c)
    warm = 0.5 + 0.5 * torch.tanh(0.9 * c.whole(0))
    disc = ((0.12 - r) * (c.H / 4)).add_(0.5).clamp_(0, 1)
    glow = (r * -3.2).exp_()
    high = step(0.15, -1.1, below + 0.05 * c.field(1, 8.0))
    cloud = step(0.1, 1.9, c.field(0, 8.0, sigma_y=2.0) + 0.25 * c.field(0, 2.0)) * ramp(0.15, -0.35, below)
    cover = tone = fog = lit = torch.zeros_like(high)
    for k, (f, crag) in enumerate(ridges):
        t, ch2 = k / (len(ridges) - 1), (k + 2) % 4
        m = inside(f)
        down = f.clamp_(min=0)
        flank = slope_x(c.field(ch2, 2.0, sigma_y=4.0) - crag)
        light = ramp(-0.09, 0.09, flank) * torch.exp(down * (2.0 * t - 5.0))
        haze = 1 - torch.exp(down * (4.2 * t - 6.5))
        haze = haze * ((0.97 - 0.72 * t * t) * (0.88 + 0.12 * torch.tanh(c.field(ch2, 8.0))))
        cover = torch.maximum(cover, m)
        tone = mix(tone, torch.full_like(tone, t), m)
        fog = mix(fog, haze, m)
        lit = mix(lit, light, m)
    sky = 1 - cover
    solid = cover * (1 - fog)
    shade = solid * (0.72 + 0.40 * lit)
    jade = step(0.0, 1.4, c.whole(2))                                  # the palette of a painting on silk
    tint = lambda dawn, rose, silk: c.vary(c.vary(dawn, rose, warm), silk, jade)
    zenith = tint((.16, .30, .58), (.36, .26, .50), (.34, .50, .52))
    low = tint((.98, .72, .50), (.92, .50, .48), (.94, .84, .62))
    mist = tint((.96, .84, .72), (.94, .76, .76), (.88, .88, .76))
    far = tint((.34, .44, .66), (.42, .36, .58), (.22, .42, .46))
    near = tint((.015, .07, .13), (.05, .035, .11), (.015, .075, .075))
    snow = tint((1.0, .84, .72), (1.0, .74, .72), (.90, .94, .84))
    veil = 0.6 * cloud * sky
    disc = disc * sky * (1 - 0.6 * cloud)
    open_ = (sky - veil) * (1 - disc)
    sun = (1.0, .82, .54)
    rgb = c.sum((open_ * high, zenith), (open_ * (1 - high), low), (veil + cover * fog * (1 - tone), mist), (cover * fog * tone, tint((.50, .56, .74), (.66, .46, .62), (.46, .62, .62))),
                (open_ * (0.40 * glow) + 0.22 * cover * fog * glow, sun), (disc, (1.5, 1.15, .74)),
                (shade * (1 - tone), far), (shade * tone, near),
                (solid * lit * (1 - tone) ** 2 * 0.65, snow), (solid * lit * tone * (1 - tone) * 0.25, sun))
    return c.finish(rgb)


def glass(c):
    """A window in lead: arcs around the light cut by flowing lines, its colours in rings around the light."""
    ly = -0.1
    turn = torch.tanh(c.whole(0))
    _, r, arc, flow = lines.rings(c)
    dist = 1e3
    for f in (arc, flow):
        fr = f - f.floor()
        dist = torch.minimum(torch.minimum(fr, 1 - fr) / steep(f).clamp_(min=0.004), torch.as_tensor(dist))
    ring, e0, accent = lines.panes(arc, flow)
    lead = step(1.5, 3.4, dist)
    inner = ramp(2.0, 26.0, dist)
    t = (ring + 0.5) * 0.155 + 0.085 * e0 + 0.05 * turn + 0.05 * torch.tanh(c.field(3, 8.0))
    streak = c.field(3, 1.0, sigma_y=4.0)
    lamp = ((c.x ** 2 + (c.y - ly) ** 2) * -1.5).exp_().mul_(0.95).add_(0.55)
    bevel = ramp(2.5, 9.0, dist).mul_(0.30).add_(0.70)
    level = (0.62 + 0.42 * inner + 0.07 * streak) * lamp * bevel * lead * (0.86 + 0.20 * e0)
    v = lambda a, b: c.vary(a, b, 0.5 + 0.5 * turn)
    t = t.clamp_(0, 1).mul_(6)
    stops = ((1.0, .86, .42), (1.0, .56, .08), (.90, .09, .06), (.62, .03, .28), v((.26, .05, .60), (.05, .10, .70)),
             v((.03, .12, .74), (.02, .40, .58)), v((.01, .22, .50), (.02, .42, .26)))
    plain = level * (1 - 0.85 * accent)
    terms = [((1 - (t - k).abs_()).clamp_(min=0).mul_(plain), stop) for k, stop in enumerate(stops)]
    rgb = c.sum(*terms, (level * accent * 0.85, v((.05, .62, .40), (1.0, .70, .20))), (inner * lamp * lead * 0.08, (1., 1., 1.)),
                ((1 - lead) * (0.020 + 0.03 * lamp), (.8, .8, 1.)))
    return c.finish(rgb * 1.3)


def surf(c):
    """A shore from above: crests and lace of foam from deep water to the sand."""
    off, crests = lines.surf(c)                                       # > 0 at sea
    water = ramp(-0.012, 0.03, off)
    t = (0.12 + 0.72 * off + 0.035 * c.field(2, 8.0) + 0.03 * c.field(3, 8.0)).clamp_(0.0, 1.0).sqrt_()
    t = (t * 1.12 - 0.12).mul_(4)
    swell = c.field(1, 4.0, sigma_y=1.6)
    sheen = slope_y(swell).mul_(3.4).clamp_(-0.45, 0.5).add_(1) + 0.10 * c.field(3, 1.0, sigma_y=1.0) * ramp(0.2, 1.2, off)
    dry = ramp(-0.02, -0.24, off)
    grain = 1 + 0.05 * c.field(2, 1.0) - 0.06 * c.field(3, 4.0)
    web, web2 = c.band(2, 1.0), c.band(3, 1.0)
    lace = 1 - ramp(0.10, 0.5, torch.minimum(web.abs(), web2.abs()))
    patch = ramp(-1.2, 1.2, c.field(2, 4.0)).mul_(0.75).add_(0.25)
    foam, shadow = 0, 1
    for k, (d, (_, strength)) in enumerate(zip(crests, lines.CRESTS)):     # d > 0 seaward of this crest
        front = ramp(-0.03, 0.03, d)
        rise = d.clamp_min(0)
        body = front * (rise * -(5.0 + k)).exp_()
        gate = ramp(-0.9, 0.7, c.field((k + 2) % 4, 8.0) + (0.9 - 0.45 * k)) * strength
        f = (ramp(0.28, 0.62, body * (0.95 + 0.45 * web)) + lace * front * patch * (rise * -1.9).exp_()).clamp_(0, 1) * gate
        shadow = shadow * (1 - 0.36 * gate * (1 - front) * (d.clamp_max(0) * 6).exp_())
        foam = torch.maximum(foam, f) if k else f
    glint = c.sparks(0, 1.9, 0.22).clamp_(0, 1.2) * ramp(0.45, 1.0, off) * ramp(0.0, 1.5, swell)
    sea = water * sheen * shadow * (1 - foam)
    sand = (1 - water) * grain * shadow * (1 - foam)
    tint = 0.5 + 0.5 * torch.tanh(c.whole(1))
    beach = c.vary(c.vary((.94, .78, .54), (.94, .70, .60), tint), (.20, .20, .23), step(0.5, 1.5, c.whole(2)))   # gold, rose, lava
    stops = ((.66, .86, .72), (.12, .70, .68), c.vary((.01, .46, .60), (.03, .50, .50), tint),
             c.vary((.01, .22, .46), (.01, .26, .36), tint), (.01, .06, .20))
    terms = [((1 - (t - k).abs_()).clamp_(min=0).mul_(sea), stop) for k, stop in enumerate(stops)]
    rgb = c.sum(*terms, (sand * dry, beach), (sand * (1 - dry), beach * 0.5),
                (foam * (0.86 + 0.10 * torch.tanh(web2)) * (0.6 + 0.4 * shadow) + glint * 0.8, (.97, .99, 1.)))
    return c.finish(rgb)


def blossoms(c, lattice):
    """Flowers: planes (depth of edge in px, radius, petal wave, slant, two smooth fields)."""
    b = lines.Blossom(c, lattice)
    edge, radius = b.petals()
    return edge * FACTOR, b.r / radius, b.wave, (b.vy * 0.28 + b.vx * 0.22) / radius, b.a, b.e


def flowers(c):
    """Blossoms over smaller blossoms over leaves, deeper is darker."""
    f = c.band(1, 1.0)
    sun = (0.9 - 0.22 * c.y + 0.18 * torch.tanh(c.whole(2, 1)) * c.x)
    leaf = (0.85 - 4 * slope_x(f) - 5 * slope_y(f)).clamp_(0.3, 1.6) * ramp(-0.9, 0.5, f) * sun * 0.8
    young = ramp(-1.0, 2.0, f + 0.6 * c.field(2, 4.0))
    terms, cover = [], torch.ones_like(f)
    mood = torch.tanh(c.whole(0))
    choice = 0.5 + 0.5 * mood
    deep = c.vary((.62, .03, .16), (.40, .04, .46), 0.5 + 0.5 * torch.tanh(c.whole(1)))
    front = ((.98, .50, .62), (1.0, .90, .86), (.92, .16, .30), (.99, .42, .22), (.60, .26, .72))
    behind = ((.16, .34, .86), (.40, .28, .86), (.78, .80, 1.0), (.84, .42, .74))
    for lattice, dim, stops in ((0, 1.0, front), (1, 0.68, behind)):
        edge, rho, q, slant, a, e = blossoms(c, lattice)
        m = (edge / 1.8).add_(0.5).clamp_(0, 1)
        lit = (0.50 + 0.56 * ramp(0.1, 0.9, rho) + 0.20 * q * ramp(0.15, 0.5, rho) - slant) * (0.55 + 0.45 * ramp(0.5, 4.0, edge))
        lit = lit * sun * dim
        heart = ramp(0.27, 0.22, rho)
        petal = m * (1 - heart) * lit * cover
        throat = ramp(0.8, 0.22, rho).mul_(0.75)
        t = (0.5 + 0.26 * a + 0.16 * e + 0.30 * mood + 0.30 * (rho - 0.65)).clamp_(0, 1).mul_(len(stops) - 1)
        terms += [((1 - (t - k).abs_()).clamp_(min=0).mul_(petal * (1 - throat)), stop) for k, stop in enumerate(stops)]
        terms.append((petal * throat, deep))
        dome = m * heart * cover * dim
        rim = ramp(0.05, 0.25, rho)
        terms += [(dome * (1 - rim) * (1 - 1.2 * slant), (1.0, .80, .20)), (dome * rim, (.60, .26, .03))]
        cover = cover * (1 - m) * (1 - 0.6 * (edge.clamp_max(0) * 0.055).exp_())
    rgb = c.sum(*terms, (leaf * (1 - young) * cover, (.04, .20, .10)), (leaf * young * cover, c.vary((.20, .46, .14), (.10, .40, .28), choice)),
                (cover, (.005, .025, .03)))
    return c.finish(rgb * 1.15)


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
    out = torch.zeros(b, 3, h * FACTOR, w * FACTOR, device=z.device)
    field = pixel_rows(h, 8.0, z.device) @ z[:, 3].float() @ pixel_rows(w, 8.0, z.device).T
    mean = field.mean((1, 2), keepdim=True)
    field = (field - mean) / ((field - mean).square().mean((1, 2), keepdim=True) + 0.03).sqrt()   # shares hold in every picture
    share = genre_weights.float() / genre_weights.float().sum(1, keepdim=True)
    end = share.cumsum(1).clamp(0, 1)
    end[end > 1 - 1e-5] = 1
    start = torch.cat([torch.zeros(b, 1, device=z.device), end[:, :-1]], 1)
    border = lambda p: torch.special.ndtri(p.double()).float()[:, None, None]    # -inf at 0, inf at 1
    soft = 0.04
    for k in range(len(GENRES)):
        i = (share[:, k] > 1e-5).nonzero()[:, 0]
        if len(i):
            above = torch.sigmoid((field[i] - border(start[i, k])) / soft)
            beyond = torch.sigmoid((field[i] - border(end[i, k])) / soft)
            out[i] += u(above - beyond) * draw(k, z[i], mood[i], scene[i])
    return out
