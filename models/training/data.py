"""Training pairs without end: noise, what is asked of the picture, and the picture that the noise draws.

Pictures are made while training, never stored on disk and soon forgotten: a `Pool` holds a few thousand recent pairs,
each is used about `REUSE` times (at different times of the flow) and then replaced by a new one.
"""
import torch
import torch.nn.functional as F

import network
import pictures

GENRES = len(network.GENRES)
SCENE = len(network.SCENE)
REUSE = 14                    # uses of a picture; making one costs about as much as three training steps on it
MIXED = 0.12                  # share of pictures that mix two genres
# latent shape -> batch a worker; small pictures first: steps are what a young network needs, and they are cheap there
SHAPES = {(16, 16): 16, (32, 32): 6, (64, 64): 2, (36, 64): 3}


def conditions(n: int, r: torch.Generator, genres=None):
    """(genre weights (n,8), mood (n,2), scene (n,4), present (n,4)) for n pictures that share one or two genres."""
    share = torch.as_tensor(genres if genres is not None else [1.0] * GENRES)
    weights = torch.zeros(n, GENRES)
    if torch.rand(1, generator=r) < MIXED:
        a, b = torch.multinomial(share, 2, generator=r).tolist()
        w = torch.rand(n, generator=r) * 0.8 + 0.1
        weights[:, a], weights[:, b] = w, 1 - w
    else:
        weights[:, torch.multinomial(share, 1, generator=r).item()] = 1
    mood = (torch.rand(n, 2, generator=r) * 2 - 1) * torch.where(torch.rand(n, 1, generator=r) < 0.5, 1.0, 0.4)
    some = torch.rand(n, 1, generator=r) < 0.5
    present = (some & (torch.rand(n, SCENE, generator=r) < 0.6)).float()
    scene = (torch.rand(n, SCENE, generator=r) * 2 - 1) * present
    return weights, mood, scene, present


@torch.no_grad()
def draw(weights, z, mood, scene):
    """The pictures of `conditions`, (n, 3, 8h, 8w), clamped to -1..1."""
    pure = weights[0].max() == 1
    if pure:
        out = pictures.draw(int(weights[0].argmax()), z, mood, scene)
    else:
        out = pictures.draw_mix(weights, z, mood, scene)
    return out.clamp(-1, 1).float()


class Pool:
    """Recent pairs of one latent shape; one pool belongs to one worker thread."""

    def __init__(self, shape, capacity, seed, encoder=None, keep_pictures=False, genres=None, first=0.15,
                 reuse=REUSE):
        self.shape, self.group, self.encoder, self.genres = shape, min(8, SHAPES[shape]), encoder, genres
        self.r = torch.Generator().manual_seed(seed)
        h, w = shape
        sizes = {"z": (4, h, w), "genre": (GENRES,), "mood": (2,), "scene": (SCENE,), "present": (SCENE,)}
        self.data = {k: torch.zeros(capacity, *s) for k, s in sizes.items()}
        if encoder is not None:
            self.data["x"] = torch.zeros(capacity, 4, h, w)
        if keep_pictures:
            self.data["picture"] = torch.zeros(capacity, 3, 8 * h, 8 * w, dtype=torch.uint8)
        self.reuse = reuse
        self.capacity, self.filled, self.at, self.credit = capacity, 0, 0, 0.0
        self.first = max(2 * self.group, int(first * capacity))

    @torch.no_grad()
    def refill(self):
        n = self.group
        genre, mood, scene, present = conditions(n, self.r, self.genres)
        z = torch.randn(n, 4, *self.shape, generator=self.r)
        picture = draw(genre, z, mood, scene)
        new = {"z": z, "genre": genre, "mood": mood, "scene": scene, "present": present}
        if "x" in self.data:
            new["x"] = self.encoder(picture)
        if "picture" in self.data:
            new["picture"] = to_bytes(picture)
        rows = (self.at + torch.arange(n)) % self.capacity
        for k, v in new.items():
            self.data[k][rows] = v
        self.at = (self.at + n) % self.capacity
        self.filled = min(self.capacity, self.filled + n)

    def batch(self, n, scene="any"):
        """n pairs; scene "none": only pictures of which no scene was asked."""
        while self.filled < self.first:
            self.refill()
        self.credit += n / self.reuse
        while self.credit >= self.group:
            self.credit -= self.group
            self.refill()
        allowed = torch.arange(self.filled)
        if scene == "none":
            allowed = allowed[self.data["present"][:self.filled].sum(1) == 0]
        rows = allowed[torch.randint(len(allowed), (n,), generator=self.r)]
        return {k: v[rows] for k, v in self.data.items()}


def to_bytes(picture):
    return ((picture.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def from_bytes(picture):
    return picture.float() / 127.5 - 1


def gradient_loss(a, b):
    """Mean |difference| of the horizontal and vertical differences, at full and half size: keeps edges sharp."""
    loss = 0
    for _ in range(2):
        d = a - b
        loss = loss + (d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean()
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return loss / 2
