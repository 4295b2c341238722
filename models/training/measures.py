"""Measures of pictures (n, 3, H, W) in -1..1 that evaluate.py reports, and the two films it measures them on."""
import numpy as np
import torch
import torch.nn.functional as F


def psnr(a, b):
    """dB for each picture, of the full range (255 of 255)."""
    mse = ((a.clamp(-1, 1) - b.clamp(-1, 1)) / 2).square().mean((1, 2, 3))
    return -10 * mse.clamp_min(1e-10).log10()


def blurred(x, sigma_px=2.0):
    k = torch.arange(-6, 7).float()
    k = torch.exp(-0.5 * (k / sigma_px) ** 2)
    k = (k / k.sum()).expand(3, 1, 1, -1)
    x = F.conv2d(F.pad(x, (6, 6, 0, 0), mode="reflect"), k, groups=3)
    return F.conv2d(F.pad(x, (0, 0, 6, 6), mode="reflect"), k.transpose(2, 3), groups=3)


def sharpness(x):
    """Mean |difference| of neighbouring pixels, 0..255."""
    return float(((x[..., 1:] - x[..., :-1]).abs().mean() + (x[..., 1:, :] - x[..., :-1, :]).abs().mean()) / 2 * 127.5)


def pyramid(x, levels=3):
    """Band-passed levels, finest first, and the low-passed rest."""
    out = []
    for _ in range(levels):
        low = F.avg_pool2d(x, 2)
        out.append(x - F.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False))
        x = low
    return out + [x]


def patch_distance(a, b, seed=0, patches=128, directions=128, size=7):
    """Sliced Wasserstein distance of 7x7 patches on a pyramid (as Karras et al. 2018, but in absolute units):
    mean over the levels of the mean |difference| of sorted projections, times 1000. Same number of pictures in a and b."""
    r = torch.Generator().manual_seed(seed)
    levels = []
    for u, v in zip(pyramid(a), pyramid(b)):
        sets = []
        for x in (u, v):
            n, _, h, w = x.shape
            y = torch.randint(h - size + 1, (n, patches), generator=r)
            z = torch.randint(w - size + 1, (n, patches), generator=r)
            i = torch.arange(size)
            rows = (y[:, :, None, None] + i[:, None]).expand(n, patches, size, size)
            columns = (z[:, :, None, None] + i).expand(n, patches, size, size)
            which = torch.arange(n)[:, None, None, None].expand_as(rows)
            sets.append(x.permute(0, 2, 3, 1)[which, rows, columns].reshape(n * patches, -1))
        d = torch.randn(3 * size * size, directions, generator=r)
        d = d / d.norm(dim=0)
        p, q = ((s @ d).sort(0).values for s in sets)
        levels.append((p - q).abs().mean())
    return 1000 * float(torch.stack(levels).mean())


class Features(torch.nn.Module):
    """A fixed random network: three strided convolutions with leaky rectifiers; mean and deviation of 24 channels."""

    def __init__(self, seed=34):
        super().__init__()
        r = torch.Generator().manual_seed(seed)
        widths = (3, 16, 24, 24)
        self.layers = [torch.randn(o, i, 5, 5, generator=r) / (25 * i) ** 0.5 for i, o in zip(widths, widths[1:])]

    def forward(self, x):
        for k in self.layers:
            x = F.leaky_relu(F.conv2d(x, k, stride=2), 0.1) * 2
        return torch.cat([x.mean((2, 3)), x.std((2, 3))], 1)


def frechet(a, b):
    """Fréchet distance of two sets of features, times 1000."""
    a, b = a.double(), b.double()
    ca, cb = torch.cov(a.T), torch.cov(b.T)
    root = torch.linalg.eigvals(ca @ cb).real.clamp_min(0).sqrt().sum()
    return 1000 * float((a.mean(0) - b.mean(0)).square().sum() + ca.trace() + cb.trace() - 2 * root)


def signal(seconds, seed=34, channels=32, rate=512):
    """1/f noise of 1 to 100 Hz, half of its power common to all channels: (channels, samples) of unit variance."""
    r = np.random.default_rng(seed)
    n = int(seconds * rate)
    f = np.fft.rfftfreq(n, 1 / rate)
    shape = np.where((f >= 1) & (f <= 100), 1 / np.maximum(f, 1) ** 0.5, 0)
    noise = np.fft.irfft(np.fft.rfft(r.standard_normal((channels + 1, n))) * shape, n)
    x = noise[:channels] + noise[channels:]
    return (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)


def flow_film(x, pictures, rate=512):
    """A sample keeps its cell until it is overwritten a second later: (pictures, 4, 64, 64)."""
    place = np.random.RandomState(34).permutation(x.shape[0] * rate).reshape(x.shape[0], rate)
    out = np.zeros((pictures, x.shape[0] * rate), np.float32)
    for k in range(pictures):
        end = rate + round(k * rate / 30)
        i = np.arange(end - rate, end)
        out[k, place[:, i % rate]] = x[:, i]
    return torch.from_numpy(out.reshape(pictures, 4, 64, 64))


def paper_film(x, pictures, rate=512):
    """The last second, z-scored, shuffled by a fixed permutation and reshaped: every sample moves with every picture."""
    place = np.random.RandomState(34).permutation(x.shape[0] * rate)
    out = []
    for k in range(pictures):
        end = rate + round(k * rate / 30)
        w = x[:, end - rate:end].T
        w = (w - w.mean()) / w.std()
        out.append(w.reshape(-1)[place].reshape(4, 64, 64).astype(np.float32))
    return torch.from_numpy(np.stack(out))


def step_of(film, apart):
    """Mean |difference| of pictures so many places apart, 0..255."""
    return float((film[apart:] - film[:-apart]).abs().mean() * 127.5)
