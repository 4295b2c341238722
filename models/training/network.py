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

from lines import GUIDES, SIGMAS, TALL, guides

GENRES = ["ink", "aurora", "coral", "neurons", "mountains", "glass", "surf", "flowers"]
SCENE = ["hue", "warmth", "density", "horizon"]   # what the context tokens of the box itself can say, each -1..1
CONTEXT_WIDTH = 64                       # of a context token; a signal encoder projects into this
MEND = 0.5                               # of what the layers give, added to the estimate in a further step
LATENT = 4
FACTOR = 8                               # pixels a latent cell
SEEN = LATENT * (1 + len(SIGMAS) + len(TALL)) + 2 + GUIDES + LATENT   # z, its blurs, the place, guides, the estimate


def rows(at: torch.Tensor, n: int, sigma) -> torch.Tensor:
    """(..., k) places in cells -> (..., k, n): a Gaussian blur of n cells evaluated there, the border mirrored (edge
    repeated). Rows of unit length, not unit sum: white noise of unit variance stays of unit variance everywhere."""
    j = torch.arange(n, dtype=torch.float32, device=at.device)
    m = 0
    for image in (j, -1 - j, 2 * n - 1 - j, j + 2 * n, j - 2 * n):
        m = m + torch.exp(-0.5 * ((at[..., None] - image) / sigma) ** 2)
    return m / m.norm(dim=-1, keepdim=True)


def feature_size(density):
    """What every blur and lattice is scaled by: 1.35 at density -1, 0.75 at density 1."""
    return torch.where(density > 0, 1 - 0.25 * density, 1 - 0.35 * density)


_ROWS: dict = {}


def blurs(x: torch.Tensor, size=None) -> torch.Tensor:
    """(b, c, h, w) -> (b, c * (len(SIGMAS) + len(TALL)), h, w): all channels at the first blur, then the next. size:
    None, or (b,) factors of the widths.

    Limited to -4..4: of unit noise they are unit normal, of a plain picture they would reach 60.
    """
    h, w = x.shape[-2:]

    def reader(n, sigma):
        at = torch.arange(n, dtype=torch.float32, device=x.device)
        if size is not None:
            return rows(at[None], n, size[:, None, None] * sigma)[:, None]
        if (n, sigma, x.device) not in _ROWS:
            _ROWS[n, sigma, x.device] = rows(at, n, sigma)
        return _ROWS[n, sigma, x.device]
    out = [reader(h, down) @ x.float() @ reader(w, across).transpose(-1, -2)
           for across, down in [(s, s) for s in SIGMAS] + list(TALL)]
    return torch.cat(out, 1).clamp(-4, 4)


def whole(x: torch.Tensor) -> torch.Tensor:
    """(b, 4, h, w) -> (b, 12): of each channel the mean and the moments across and down, channel-major.

    Of unit noise each is a unit normal number. They carry what is the same in the whole picture: palette, light, place
    of the sun; no convolution could see them. Limited to -3..3: of a plain picture they would reach 60.
    """
    h, w = x.shape[-2:]
    gx, gy = (torch.linspace(-1, 1, n, device=x.device) for n in (w, h))
    mean = x.sum((2, 3)) / math.sqrt(h * w)
    across = (x.sum(2) @ gx) / (math.sqrt(h) * gx.norm())
    down = (x.sum(3) @ gy) / (math.sqrt(w) * gy.norm())
    return torch.stack([mean, across, down], -1).flatten(1).clamp(-3, 3)


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
    """The picture's latent from noise z: forward returns an estimate of it, and the features that it was made of.

    The way from noise (t = 0) to picture (t = 1) is straight, x_t = (1 - t) z + t estimate; z is known all along, so that
    what the network is given at t is z and the estimate so far (at t = 0 nothing), and each further step betters it.

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
        self.gate = nn.Linear(len(GENRES), SEEN, bias=False)     # what each genre looks at; folded into conv_in
        nn.init.ones_(self.gate.weight)
        self.conv_in = conv3(SEEN, c0)
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

    def see(self, z, mood, scene=None):
        """What is seen of z in every step: (z, blurs, coordinates, guides), and its moments. scene (b, len(SCENE)): its
        density and horizon act here, hue and warmth through their tokens."""
        b, _, h, w = z.shape
        scene = torch.zeros(b, len(SCENE), device=z.device) if scene is None else scene
        size = feature_size(scene[:, 2])
        seen, moments = blurs(z, size if bool((size != 1).any()) else None), whole(z)
        place = coordinates(h, w).to(z)
        lines = guides(seen, moments, mood, size, scene[:, 3], place)
        return torch.cat([z, seen, place.expand(b, -1, -1, -1), lines], 1), moments

    def forward(self, z, estimate, t, genre, mood, scene=None, context=None, sight=None):
        """z (b,4,h,w), estimate the same or None, t (b,), genre (b,8) weights that add to 1, mood (b,2), scene (b,4) or
        None, context (b,n,CONTEXT_WIDTH) or None, sight as from `see` -> (b,4,h,w), (b,c0,h,w)."""
        b = z.shape[0]
        seen, moments = self.see(z, mood, scene) if sight is None else sight
        angle = t[:, None] * math.pi * 2.0 ** torch.arange(8, device=z.device)
        e = self.genre(genre) + self.mood(mood) + self.time(torch.cat([angle.cos(), angle.sin()], 1))
        e = e + self.whole(moments)
        e = F.silu(self.cond(F.silu(e)))
        tokens = self.null.expand(b, -1, -1)
        if context is not None:
            tokens = torch.cat([tokens, context], 1)
        estimate = torch.zeros_like(z) if estimate is None else estimate
        u = torch.cat([seen, estimate], 1) * self.gate(genre)[:, :, None, None]
        u = u.contiguous(memory_format=torch.channels_last)
        s0 = self.enc0(self.conv_in(u), e)
        s1 = self.enc1(self.down0(F.pixel_unshuffle(s0, 2)), e)
        m = self.mid0(self.down1(F.pixel_unshuffle(s1, 2)), e)
        m = self.cross_attention(self.self_attention(m), tokens)
        m = self.mid1(m, e)
        s1 = self.dec1(s1 + F.pixel_shuffle(self.up1(m), 2), e)
        s0 = F.silu(self.dec0(s0 + F.pixel_shuffle(self.up0(s1), 2), e))
        # The first step gives an estimate, the others what is to be added to it.
        share = torch.where(t > 0, MEND, 1.0)[:, None, None, None]
        return estimate + share * self.conv_out(s0), s0


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1, self.conv2 = conv3(c, c), conv3(c, c)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))


class Decoder(nn.Module):
    """Normalised latent (b, 4, h, w) -> picture (b, 3, 8h, 8w), about -1..1 (clamp it).

    With the features of the denoiser that made the latent it knows more of edges than four numbers a cell can say.
    """

    def __init__(self, c=(64, 32), features=64):
        super().__init__()
        self.conv_in = conv3(LATENT, c[0])
        self.features = nn.Conv2d(features, c[0], 1)
        self.res0, self.res1 = Residual(c[0]), Residual(c[0])
        self.up = nn.Conv2d(c[0], 4 * c[1], 1)
        self.res2, self.res3 = Residual(c[1]), Residual(c[1])
        self.conv_out = conv3(c[1], 3 * 16)
        for new in (self.features, self.res3.conv2):
            nn.init.zeros_(new.weight)
            nn.init.zeros_(new.bias)

    def forward(self, x, features=None):
        x = self.conv_in(x)
        if features is not None:
            x = x + self.features(features)
        x = self.res1(self.res0(x))
        x = self.res3(self.res2(F.relu(F.pixel_shuffle(self.up(F.relu(x)), 2))))
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

    def estimate(self, z, genre, mood, scene=None, context=None, steps=1):
        """Noise -> the picture's latent after so many steps, and the denoiser's last features."""
        sight, x, features = self.denoiser.see(z, mood, scene), None, None
        for i in range(steps):
            t = torch.full((z.shape[0],), i / steps, device=z.device)
            x, features = self.denoiser(z, x, t, genre, mood, scene, context, sight)
        return x, features

    def sample(self, z, genre, mood, scene=None, context=None, steps=1):
        """(b,4,h,w) unit noise -> (b,3,8h,8w)."""
        return self.decoder(*self.estimate(z, genre, mood, scene, context, steps))


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
        d = flops(box.denoiser, torch.randn(1, 4, h, w), None, torch.zeros(1), g, torch.zeros(1, 2))
        k = flops(box.decoder, torch.randn(1, 4, h, w), torch.randn(1, 64, h, w))
        print(f"{8*w}x{8*h}: denoiser {d/1e9:.2f} + decoder {k/1e9:.2f} = {(d+k)/1e9:.2f} GFLOP a picture in one step")
    print({n: sum(p.numel() for p in getattr(box, n).parameters()) for n in ("denoiser", "decoder", "encoder")})
