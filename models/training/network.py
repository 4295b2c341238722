"""The model in the box: a one-step latent denoiser and a light decoder, written for two CPU cores.

This file is the definition. src/diffusion/embedded.rs computes the same from the same tensor names, and
tests/fixtures/box_reference.safetensors (made by export.py) holds what this file computes.

Every heavy operation is a 3x3 stride-1 convolution at a multiple of 16 channels or a matrix product, and there is no
normalisation over the picture: bias, modulation and activation fit into the end of a convolution. `flops` counts them.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

GENRES = ["ink", "aurora", "coral", "neurons", "mountains", "glass", "surf", "flowers"]
SIGMAS = (1.0, 2.0, 4.0, 8.0)            # cells of the latent; the picture generator draws with the same blurs
TALL = ((1.0, 4.0), (2.0, 4.0), (4.0, 8.0))   # blurs that are taller than wide: (across, down)
PERIODS = (16.0, 8.0)                    # cells; of the two lattices of blossoms and cell bodies
BEND = 0.16                              # of a lattice by the fields, in periods
PETALS = (5, 6)
GUIDES = 9 + 6 * len(PERIODS)
SCENE = ["hue", "warmth", "density", "horizon"]   # what the context tokens of the box itself can say, each -1..1
CONTEXT_WIDTH = 64                       # of a context token; a signal encoder projects into this
LATENT = 4
FACTOR = 8                               # pixels a latent cell


def blur_matrix(n: int, sigma: float) -> torch.Tensor:
    """(n, n): a Gaussian blur with the border mirrored (edge repeated), every row of unit Euclidean length.

    Rows of unit length, not unit sum: white noise of unit variance stays of unit variance in every cell, edges too.
    """
    radius = math.ceil(3 * sigma)
    m = torch.zeros(n, n, dtype=torch.float64)
    for i in range(n):
        for k in range(-radius, radius + 1):
            j = (i + k) % (2 * n)
            j = 2 * n - 1 - j if j >= n else j
            m[i, j] += math.exp(-0.5 * (k / sigma) ** 2)
    return (m / m.norm(dim=1, keepdim=True)).float()


_BLURS: dict = {}


def blurs(x: torch.Tensor) -> torch.Tensor:
    """(b, c, h, w) -> (b, c * (len(SIGMAS) + len(TALL)), h, w): all channels at the first blur, then the next.

    Limited to -4..4: of unit noise they are unit normal, of a plain picture (t towards 1) they would reach 60.
    """
    h, w = x.shape[-2:]
    out = []
    for across, down in [(s, s) for s in SIGMAS] + list(TALL):
        for n, s in ((h, down), (w, across)):
            if (n, s, x.device) not in _BLURS:
                _BLURS[n, s, x.device] = blur_matrix(n, s).to(x.device)
        out.append(_BLURS[h, down, x.device] @ x.float() @ _BLURS[w, across, x.device].T)
    return torch.cat(out, 1).clamp(-4, 4)


def whole(x: torch.Tensor) -> torch.Tensor:
    """(b, 4, h, w) -> (b, 12): of each channel the mean and the moments across and down, channel-major.

    Of unit noise each is a unit normal number. They carry what is the same in the whole picture: palette, light, place
    of the sun; no convolution could see them. Limited to -3..3: near the picture (t towards 1) they would reach 60.
    """
    h, w = x.shape[-2:]
    gx, gy = (torch.linspace(-1, 1, n, device=x.device) for n in (w, h))
    mean = x.sum((2, 3)) / math.sqrt(h * w)
    across = (x.sum(2) @ gx) / (math.sqrt(h) * gx.norm())
    down = (x.sum(3) @ gy) / (math.sqrt(w) * gy.norm())
    return torch.stack([mean, across, down], -1).flatten(1).clamp(-3, 3)


def guides(seen: torch.Tensor) -> torch.Tensor:
    """(b, 28, h, w) blurs -> (b, GUIDES, h, w): phases of the lines that pictures are composed of.

    The picture generator draws rings, arcs, flow lines and blossoms at the phases of these same sums of blurs. Sine and
    cosine spare the denoiser the learning of periodic functions, which would take it very long. In this order: ink rings
    (whole and quarter phase), distance from the light, arcs around it, flow lines; then for each of PERIODS the place in
    the bent lattice (sine and cosine down and across), the wave of the petals and the distance from the centre.
    """
    h, w = seen.shape[-2:]
    f = lambda channel, sigma: seen[:, 4 * SIGMAS.index(sigma) + channel]
    y, x = coordinates(h, w).to(seen)
    ink, r, arc, flow = ring_phases(f, y, x)
    turn = 2 * math.pi
    out = [(ink * turn).sin(), (ink * turn).cos(), (ink * turn / 4).sin(), (ink * turn / 4).cos(), r.expand_as(ink),
           (arc * turn).sin(), (arc * turn).cos(), (flow * turn).sin(), (flow * turn).cos()]
    iy = (torch.arange(h, device=seen.device) - (h - 1) / 2)[:, None]
    ix = (torch.arange(w, device=seen.device) - (w - 1) / 2)[None]
    for k in range(len(PERIODS)):
        uy, ux, q, rho = blossom_phases(f, iy, ix, k)[:4]
        out += [(uy * turn).sin(), (uy * turn).cos(), (ux * turn).sin(), (ux * turn).cos(), q, rho]
    return torch.stack(out, 1)


def ring_phases(f, y, x):
    """Phases of ink rings, distance from the light, phases of arcs and flow lines; `f(channel, sigma)` gives a blur."""
    ink = 1.15 * (1.25 * f(0, 8.0) + 0.75 * f(1, 4.0) + 0.16 * f(2, 2.0) + 0.25)
    r = (x * x + (y + 0.1) ** 2).sqrt()
    arc = 3.3 * r + 0.55 * f(0, 8.0) + 0.30 * f(1, 4.0)
    return ink, r, arc, 1.25 * f(2, 4.0) + 0.8 * f(3, 8.0) + 1.1 * x


def blossom_phases(f, iy, ix, k):
    """Place (down, across) in lattice k in periods, wave of the petals, distance from the nearest centre in periods; then
    the vector from there in cells and the two fields. iy, ix: cells from the middle."""
    p, sigma, n, lean = PERIODS[k], (8.0, 4.0)[k], PETALS[k], (3, 2)[k]
    uy, ux = iy / p - BEND * f(0, sigma), ix / p - BEND * f(1, sigma)
    vy, vx = (uy - uy.round()) * p, (ux - ux.round()) * p
    a = f(lean, sigma)
    q = torch.cos(n * (torch.atan2(vy, vx + 1e-6) + 0.9 * a))
    return uy, ux, q, (vy * vy + vx * vx).sqrt() / p, vy, vx, a, f(5 - lean, sigma)


def coordinates(h: int, w: int) -> torch.Tensor:
    """(2, h, w): y from -1 (top) to 1 (bottom) at cell centres, and x in the same unit (x reaches w/h at the edge)."""
    y = (torch.arange(h) + 0.5) / h * 2 - 1
    x = ((torch.arange(w) + 0.5) / w * 2 - 1) * (w / h)
    return torch.stack([y[:, None].expand(h, w), x[None].expand(h, w)])


def conv3(i, o):
    return nn.Conv2d(i, o, 3, padding=1)


class Block(nn.Module):
    """x + conv(silu(film(conv(x)))); the modulation is scale and shift a channel from the condition."""

    def __init__(self, c, cond):
        super().__init__()
        self.conv1, self.conv2 = conv3(c, c), conv3(c, c)
        self.film = nn.Linear(cond, 2 * c)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)
        nn.init.normal_(self.film.weight, std=0.02)
        nn.init.zeros_(self.film.bias)

    def forward(self, x, e):
        scale, shift = self.film(e)[:, :, None, None].chunk(2, 1)
        return x + self.conv2(F.silu(self.conv1(x) * (1 + scale) + shift))


class Attention(nn.Module):
    """Pre-norm attention over the cells of the coarsest level; with `context` over the context tokens instead."""

    def __init__(self, c, heads=4, context=None):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(c)
        self.q = nn.Linear(c, c)
        self.kv = nn.Linear(context or c, 2 * c)
        self.out = nn.Linear(c, c)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, context=None):
        b, c, h, w = x.shape
        y = self.norm(x.flatten(2).transpose(1, 2))
        k, v = self.kv(y if context is None else context).chunk(2, -1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (self.q(y), k, v))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(y).transpose(1, 2).unflatten(2, (h, w))


class Denoiser(nn.Module):
    """Velocity of the rectified flow x_t = (1 - t) z + t x: forward returns an estimate of x - z, (b, 4, h, w).

    h and w are multiples of 4. Levels: (c0, h, w), (c1, h/2, w/2), (c2, h/4, w/4).
    """

    def __init__(self, c=(64, 128, 192), cond=128):
        super().__init__()
        c0, c1, c2 = c
        self.genre = nn.Linear(len(GENRES), cond, bias=False)
        self.mood = nn.Linear(2, cond, bias=False)          # calm..vivid, dark..bright, each -1..1
        self.time = nn.Linear(16, cond)
        self.whole = nn.Linear(3 * LATENT, cond, bias=False)
        self.cond = nn.Linear(cond, cond)
        self.null = nn.Parameter(torch.randn(1, 1, CONTEXT_WIDTH) * 0.1)   # always the first context token
        self.scene_name = nn.Parameter(torch.randn(len(SCENE), CONTEXT_WIDTH))
        self.scene_value = nn.Parameter(torch.randn(len(SCENE), CONTEXT_WIDTH))
        self.conv_in = conv3(LATENT * (1 + len(SIGMAS) + len(TALL)) + 2 + GUIDES, c0)
        self.enc0 = Block(c0, cond)
        self.down0 = nn.Conv2d(4 * c0, c1, 1)
        self.enc1 = Block(c1, cond)
        self.down1 = nn.Conv2d(4 * c1, c2, 1)
        self.mid0 = Block(c2, cond)
        self.self_attention = Attention(c2)
        self.cross_attention = Attention(c2, context=CONTEXT_WIDTH)
        self.mid1 = Block(c2, cond)
        self.up1 = nn.Conv2d(c2, 4 * c1, 1)
        self.dec1 = Block(c1, cond)
        self.up0 = nn.Conv2d(c1, 4 * c0, 1)
        self.dec0 = Block(c0, cond)
        self.conv_out = conv3(c0, LATENT)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def scene_tokens(self, values, present):
        """values, present: (b, len(SCENE)) -> (b, len(SCENE), CONTEXT_WIDTH); an absent token is zero."""
        return (self.scene_name + values[..., None] * self.scene_value) * present[..., None]

    def forward(self, x, t, genre, mood, context=None):
        """x (b,4,h,w), t (b,) 0 at noise and 1 at the picture, genre (b,8) weights that add to 1, mood (b,2),
        context (b,n,CONTEXT_WIDTH) or None."""
        b, _, h, w = x.shape
        angle = t[:, None] * math.pi * 2.0 ** torch.arange(8, device=x.device)
        e = self.genre(genre) + self.mood(mood) + self.time(torch.cat([angle.cos(), angle.sin()], 1))
        e = e + self.whole(whole(x))
        e = F.silu(self.cond(F.silu(e)))
        tokens = self.null.expand(b, -1, -1)
        if context is not None:
            tokens = torch.cat([tokens, context], 1)
        seen = blurs(x)
        u = torch.cat([x, seen, coordinates(h, w).to(x).expand(b, -1, -1, -1), guides(seen)], 1)
        u = u.contiguous(memory_format=torch.channels_last)
        s0 = self.enc0(self.conv_in(u), e)
        s1 = self.enc1(self.down0(F.pixel_unshuffle(s0, 2)), e)
        m = self.mid0(self.down1(F.pixel_unshuffle(s1, 2)), e)
        m = self.cross_attention(self.self_attention(m), tokens)
        m = self.mid1(m, e)
        s1 = self.dec1(s1 + F.pixel_shuffle(self.up1(m), 2), e)
        s0 = self.dec0(s0 + F.pixel_shuffle(self.up0(s1), 2), e)
        # What is known of the velocity before looking: for unit z and x, k is the regression of x - z on x_t. At t = 0 it is
        # -1, so that the layers give the picture's latent itself and need not carry the noise through.
        k = (2 * t - 1) / (t * t + (1 - t) ** 2)
        return self.conv_out(F.silu(s0)) + k[:, None, None, None] * x


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1, self.conv2 = conv3(c, c), conv3(c, c)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))


class Decoder(nn.Module):
    """Normalised latent (b, 4, h, w) -> picture (b, 3, 8h, 8w), about -1..1 (clamp it)."""

    def __init__(self, c=(64, 32)):
        super().__init__()
        self.conv_in = conv3(LATENT, c[0])
        self.res0, self.res1 = Residual(c[0]), Residual(c[0])
        self.up = nn.Conv2d(c[0], 4 * c[1], 1)
        self.res2 = Residual(c[1])
        self.conv_out = conv3(c[1], 3 * 16)

    def forward(self, x):
        x = self.res1(self.res0(self.conv_in(x)))
        x = self.res2(F.relu(F.pixel_shuffle(self.up(F.relu(x)), 2)))
        return F.pixel_shuffle(self.conv_out(x), 4)


class Encoder(nn.Module):
    """Picture (b, 3, 8h, 8w) in -1..1 -> normalised latent (b, 4, h, w). For training, and for pictures fed back."""

    def __init__(self, c=(64, 96)):
        super().__init__()
        self.conv_in = conv3(3 * 16, c[0])
        self.res0 = Residual(c[0])
        self.down = nn.Conv2d(4 * c[0], c[1], 1)
        self.res1, self.res2 = Residual(c[1]), Residual(c[1])
        self.conv_out = conv3(c[1], LATENT)
        self.register_buffer("mean", torch.zeros(LATENT))
        self.register_buffer("std", torch.ones(LATENT))

    def raw(self, x):
        x = F.pixel_unshuffle(x, 4).contiguous(memory_format=torch.channels_last)
        x = self.res0(self.conv_in(x))
        x = self.res2(self.res1(self.down(F.pixel_unshuffle(F.relu(x), 2))))
        return self.conv_out(x)

    def forward(self, x):
        return (self.raw(x) - self.mean[:, None, None]) / self.std[:, None, None]


class Box(nn.Module):
    def __init__(self):
        super().__init__()
        self.denoiser, self.decoder, self.encoder = Denoiser(), Decoder(), Encoder()

    def sample(self, z, genre, mood, context=None, steps=1):
        """(b,4,h,w) unit noise -> (b,3,8h,8w): `steps` equal Euler steps of the flow, then the decoder."""
        x = z
        for i in range(steps):
            t = torch.full((z.shape[0],), i / steps, device=z.device)
            x = x + self.denoiser(x, t, genre, mood, context) / steps
        return self.decoder(x)


def flops(module, *inputs):
    """Floating-point operations (2 a multiply-add) of convolutions and linear layers in one forward pass."""
    total, hooks = 0, []

    def count(m, _, out):
        nonlocal total
        if isinstance(m, nn.Conv2d):
            total += 2 * m.weight.numel() * out.shape[-1] * out.shape[-2]
        else:
            total += 2 * m.weight.numel() * out.numel() // out.shape[-1]
    for m in module.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            hooks.append(m.register_forward_hook(count))
    with torch.no_grad():
        module(*inputs)
    for h in hooks:
        h.remove()
    return total


if __name__ == "__main__":
    box = Box().eval()
    for h, w in ((64, 64), (36, 64), (32, 32)):
        g = F.one_hot(torch.tensor([0]), len(GENRES)).float()
        d = flops(box.denoiser, torch.randn(1, 4, h, w), torch.zeros(1), g, torch.zeros(1, 2))
        k = flops(box.decoder, torch.randn(1, 4, h, w))
        print(f"{8*w}x{8*h}: denoiser {d/1e9:.2f} + decoder {k/1e9:.2f} = {(d+k)/1e9:.2f} GFLOP a picture in one step")
    print({n: sum(p.numel() for p in getattr(box, n).parameters()) for n in ("denoiser", "decoder", "encoder")})
