"""Times the networks of `../vision.rs` in PyTorch, with random weights: python vision.py [THREADS]

Layers and sizes are those of crates/models/src/nets/detector and nets/segmenter; batch norms are folded into their
convolutions, which is how a detector is run when only speed counts.
"""
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Conv(nn.Module):
    def __init__(self, inputs, outputs, kernel=1, stride=1, act=True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
        self.act = act

    def forward(self, x):
        x = self.conv(x)
        return F.silu(x, inplace=True) if self.act else x


class MaxSigmoid(nn.Module):
    def __init__(self, channels, heads, text):
        super().__init__()
        self.heads, self.guide = heads, nn.Linear(text, channels)
        self.bias, self.values = nn.Parameter(torch.zeros(heads)), Conv(channels, channels, 3, act=False)

    def forward(self, x, text):
        batch, channels, height, width = x.shape
        depth = channels // self.heads
        guide = self.guide(text).view(batch, -1, self.heads, depth)
        x_heads = x.view(batch, self.heads, depth, height, width)
        share = torch.einsum("bmchw,bnmc->bmhwn", x_heads, guide).max(dim=-1)[0] / depth**0.5
        share = (share + self.bias[None, :, None, None]).sigmoid()
        values = self.values(x).view(batch, self.heads, depth, height, width)
        return (values * share.unsqueeze(2)).view(batch, channels, height, width)


class Chain(nn.Module):
    def __init__(self, inputs, outputs, repeats, heads=0, text=512):
        super().__init__()
        self.half, self.adds = outputs // 2, heads == 0
        self.first = Conv(inputs, outputs)
        pair = lambda: nn.Sequential(Conv(self.half, self.half, 3), Conv(self.half, self.half, 3))
        self.pairs = nn.ModuleList(pair() for _ in range(repeats))
        self.texts = MaxSigmoid(self.half, heads, text) if heads else None
        self.last = Conv((2 + repeats + (heads > 0)) * self.half, outputs)

    def forward(self, x, text=None):
        parts = list(self.first(x).chunk(2, 1))
        for pair in self.pairs:
            parts.append(pair(parts[-1]) + parts[-1] if self.adds else pair(parts[-1]))
        if self.texts is not None:
            parts.append(self.texts(parts[-1], text))
        return self.last(torch.cat(parts, 1))


class Pooling(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.last = Conv(channels, channels // 2), Conv(channels * 2, channels)

    def forward(self, x):
        parts = [self.first(x)]
        for _ in range(3):
            parts.append(F.max_pool2d(parts[-1], 5, 1, 2))
        return self.last(torch.cat(parts, 1))


class TextUpdate(nn.Module):
    def __init__(self, maps, text=512, width=256, heads=8):
        super().__init__()
        self.heads, self.projections = heads, nn.ModuleList(nn.Conv2d(c, width, 1) for c in maps)
        pair = lambda inputs: nn.Sequential(nn.LayerNorm(inputs), nn.Linear(inputs, width))
        self.q, self.k, self.v, self.out = pair(text), pair(width), pair(width), nn.Linear(width, text)

    def forward(self, text, maps):
        tokens = [F.adaptive_max_pool2d(p(m), 3).flatten(2) for p, m in zip(self.projections, maps)]
        tokens = torch.cat(tokens, -1).transpose(1, 2)
        split = lambda x: x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        seen = F.scaled_dot_product_attention(split(self.q(text)), split(self.k(tokens)), split(self.v(tokens)))
        return text + self.out(seen.transpose(1, 2).flatten(2))


class Head(nn.Module):
    def __init__(self, maps, text=512):
        super().__init__()
        boxes, embeddings = max(16, maps[0] // 4, 64), max(maps[0], 80)
        branch = lambda c, hidden, out: nn.Sequential(Conv(c, hidden, 3), Conv(hidden, hidden, 3), nn.Conv2d(hidden, out, 1))
        self.boxes = nn.ModuleList(branch(c, boxes, 64) for c in maps)
        self.embeddings = nn.ModuleList(branch(c, embeddings, text) for c in maps)

    def forward(self, maps, text):
        text = F.normalize(text, dim=-1)
        logits = lambda x: torch.einsum("bchw,bkc->bkhw", F.normalize(x, dim=1), text) * 100 - 9
        return [(b(m), logits(e(m))) for b, e, m in zip(self.boxes, self.embeddings, maps)]


class Detector(nn.Module):
    """YOLO-World v1 s."""

    def __init__(self, channels=(32, 64, 128, 256, 512), repeats=(1, 2, 2, 1), heads=(4, 2, 4, 8)):
        super().__init__()
        inputs = (3,) + channels[:-1]
        self.halvings = nn.ModuleList(Conv(i, o, 3, 2) for i, o in zip(inputs, channels))
        self.chains = nn.ModuleList(Chain(c, c, n) for c, n in zip(channels[1:], repeats))
        p3, p4, p5 = channels[2:]
        self.pooling, self.update = Pooling(p5), TextUpdate((p3, p4, p5))
        sizes = ((p5 + p4, p4), (p4 + p3, p3), (p3 + p4, p4), (p4 + p5, p5))
        self.texts = nn.ModuleList(Chain(i, o, 1, h) for (i, o), h in zip(sizes, heads))
        self.down = nn.ModuleList((Conv(p3, p3, 3, 2), Conv(p4, p4, 3, 2)))
        self.head = Head((p3, p4, p5))

    def forward(self, x, text):
        maps, x = [], self.halvings[0](x)
        for halving, chain in zip(self.halvings[1:], self.chains):
            x = chain(halving(x))
            maps.append(x)
        third, fourth, fifth = maps[1], maps[2], self.pooling(maps[3])
        double = lambda x: F.interpolate(x, scale_factor=2, mode="nearest")
        middle = self.texts[0](torch.cat((double(fifth), fourth), 1), text)
        fine = self.texts[1](torch.cat((double(middle), third), 1), text)
        told = self.update(text, (fine, middle, fifth))
        middle = self.texts[2](torch.cat((self.down[0](fine), middle), 1), told)
        coarse = self.texts[3](torch.cat((self.down[1](middle), fifth), 1), told)
        return self.head((fine, middle, coarse), text)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.norm1, self.norm2 = heads, nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        split = lambda x: x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q, k, v = (split(part) for part in self.qkv(self.norm1(x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Encoder(nn.Module):
    """EfficientSAM-Ti's image encoder."""

    def __init__(self, width=192, heads=3, blocks=12):
        super().__init__()
        self.patches, self.blocks = nn.Conv2d(3, width, 16, 16), nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.positions = nn.Parameter(torch.randn(1, 4096, width))
        self.neck = nn.ModuleList((nn.Conv2d(width, 256, 1, bias=False), nn.Conv2d(256, 256, 3, padding=1, bias=False)))
        self.norms = nn.ModuleList((nn.LayerNorm(256), nn.LayerNorm(256)))

    def forward(self, image):
        image = F.interpolate(image, (1024, 1024), mode="bilinear", align_corners=False)
        x = self.patches(image).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            x = block(x)
        x = x.transpose(1, 2).unflatten(2, (64, 64))
        for conv, norm in zip(self.neck, self.norms):
            x = norm(conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return x


def report(name, run):
    run()
    times, start = [], time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - start < 5 and len(times) < 50):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    print(f"{name:<40} {min(times) * 1e3:8.1f} ms")


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    with torch.inference_mode():
        detector, text = Detector().eval(), torch.randn(1, 80, 512)
        image = torch.rand(1, 3, 640, 640)
        report("yolo-world v1 s, 640 x 640, 80 classes", lambda: detector(image, text))
        encoder, image = Encoder().eval(), torch.rand(1, 3, 768, 1024)
        report("efficient-sam ti, image encoder", lambda: encoder(image))
