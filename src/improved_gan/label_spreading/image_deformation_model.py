"""Nearest neighbors under the image deformation model (IDM): a distance that is small for slightly deformed images.

    d(x, y) = sum_p min_{|m| <= r} sum_{q in 3x3} |G x (p + q) - G y (p + m + q)|^2

G are Sobel gradients, 0 outside the image; r is `max_displacement`. Each pixel p of x is matched to the pixel of y
within r whose 3x3 neighborhood is most similar, independently of all other pixels. Digits of one class that differ in
slant, width or the length of a hook are near by this distance and far in Euclidean distance; label spreading over a
k-NN graph under it makes a fifth of the errors. This is not in the paper. The compiled kernel computes it on a CPU that
has one, otherwise PyTorch operations on any device.

The distance is too expensive for all pairs. Candidates are the nearest neighbors in blurred gradients, a cheap, similar
distance; NN-descent then measures, round by round, the distances to the neighbors of each example's neighbors, in both
directions, that were not measured before. A few rounds find nearly all nearest neighbors.

Source: Keysers, Deselaers, Gollan and Ney, 2007, "Deformation models for image recognition", section 3.5; Dong,
Charikar and Li, 2011, "Efficient k-nearest neighbor graph construction for generic similarity measures".
"""

import ctypes
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels import cpp_extension
from improved_gan.label_spreading.knn import nearest_neighbors, principal_components

__all__ = ["IDMDistance", "idm_distance", "idm_neighbors", "nn_descent", "sobel_gradients"]


_PAIRS = 64  # pairs at a time in PyTorch operations; on a GPU as many as have
_NUMBERS = 2**25  # so many values
_SMOOTH = (1.0, 2.0, 1.0)


def sobel_gradients(images: Tensor) -> Tensor:
    """(N, C, H, W) float images -> (N, 2 C, H, W) their derivatives to the right and down, per pixel.

    Images are padded with 0: a stroke that ends at the border has an end there.

    >>> sobel_gradients(torch.tensor([[[[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]]]))[0, 0, 1]
    tensor([0.0000, 0.2500, 0.0000])
    """
    channels = images.shape[1]
    smooth, slope = images.new_tensor(_SMOOTH) / 4, images.new_tensor([-0.5, 0.0, 0.5])
    filters = torch.stack([smooth[:, None] * slope, slope[:, None] * smooth])[:, None].repeat(channels, 1, 1, 1)
    return F.conv2d(images, filters, padding=1, groups=channels)


class IDMDistance:
    """IDM distances of pairs among N images.

    Args:
        gradients: (N, A, H, W) float32.
        max_displacement: how far a pixel may move along each axis, >= 0.

    >>> distance = IDMDistance(torch.eye(3)[:, None, None], 1)  # a row of three pixels, one of them bright
    >>> distance(torch.tensor([0, 0, 0]), torch.tensor([0, 1, 2]))
    tensor([0., 0., 3.])
    """

    def __init__(self, gradients: Tensor, max_displacement: int) -> None:
        self._size = gradients.shape[1:]
        self._max_displacement = min(max_displacement, max(self._size[1:]))  # beyond it are zeros only
        self._gradients = gradients.float().contiguous()
        self._kernel = _kernel() if gradients.device.type == "cpu" else None
        self._boxes = _boxes(gradients) if self._kernel is not None else None

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """(P,) and (P,) int64 indices of images -> (P,) float32, >= 0; not symmetric."""
        if self._kernel is not None and self._boxes is not None:
            first, second = first.contiguous(), second.contiguous()
            out = torch.empty(len(first))
            tensors = (self._gradients, self._boxes, first, second, out)
            self._kernel(*(tensor.data_ptr() for tensor in tensors), len(first), *self._size, self._max_displacement)
            return out
        pairs = _PAIRS if first.device.type == "cpu" else max(_PAIRS, _NUMBERS // self._gradients[0].numel())
        parts = zip(torch.split(first, pairs), torch.split(second, pairs), strict=True)
        return torch.cat([self._of(*some) for some in parts])

    def _of(self, first: Tensor, second: Tensor) -> Tensor:
        """By PyTorch operations; pairs lie along the last axis, so that a displacement is a slice of whole rows.

        |a - b|^2 = |a|^2 + |b|^2 - 2 ab: only the last term depends on both.
        """
        (channels, height, width), max_displacement = self._size, self._max_displacement
        a = self._gradients[first].flatten(1).T.reshape(channels, height, width, -1)
        b = self._gradients[second].flatten(1).T.reshape(channels, height, width, -1)
        wide = F.pad(b, (0, 0, *(max_displacement + 1,) * 4))
        around = _sums_of_nine(wide.square().sum(0))
        products = a.new_zeros(height + 2, width + 2, len(first))
        inner = products[1:-1, 1:-1]
        best = a.new_full((height, width, len(first)), torch.inf)
        for down in range(2 * max_displacement + 1):
            for right in range(2 * max_displacement + 1):
                moved = wide[:, down + 1 : down + 1 + height, right + 1 : right + 1 + width]
                torch.mul(a[0], moved[0], out=inner)
                for one in range(1, channels):
                    inner.addcmul_(a[one], moved[one])
                cost = _sums_of_nine(products)
                torch.sub(around[down : down + height, right : right + width], cost, alpha=2, out=cost)
                torch.minimum(best, cost, out=best)
        own = _sums_of_nine(F.pad(a.square().sum(0), (0, 0, 1, 1, 1, 1)))
        return (best + own).sum((0, 1)).clamp_min_(0)


def _sums_of_nine(values: Tensor) -> Tensor:
    """Sums over 3x3 windows: (H + 2, W + 2, P) -> (H, W, P)."""
    rows = (values[:-2] + values[1:-1]).add_(values[2:])
    return (rows[:, :-2] + rows[:, 1:-1]).add_(rows[:, 2:])


def _boxes(gradients: Tensor) -> Tensor:
    """(N, 4) bounding boxes of the nonzero pixels: first row, last row + 1, first column, last column + 1; or empty."""
    present = (gradients != 0).any(1)
    edges = []
    for along in (2, 1):
        used = present.any(along).int()
        length = used.shape[1]
        some = used.any(1)
        edges.append(torch.where(some, used.argmax(1), length + 1))
        edges.append(torch.where(some, length - used.flip(1).argmax(1), -1))
    return torch.stack(edges, 1).contiguous()


def _kernel() -> "ctypes._NamedFuncPointer | None":
    found = cpp_extension.library()
    if found is None:
        return None
    function = found.deformation_distances
    function.argtypes, function.restype = [ctypes.c_void_p] * 5 + [ctypes.c_int64] * 5, None
    return function


_ROWS = 4096
_NEAR = 8  # neighbors, in each direction, whose neighbors are candidates
_KEPT = 128  # measured candidates that are kept, so that they are not measured again
_CONVERGED = 0.002  # a round that changes a smaller fraction of the lists is the last one

Distance = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def nn_descent(distance: Distance, start: Tensor, num: int, *, num_rounds: int = 3) -> tuple[Tensor, Tensor]:
    """The nearest other examples of each example, approximately: a few may be missed.

    Args:
        distance: of pairs, (P,) and (P,) indices -> (P,) float32.
        start: (N, k) int64 indices of candidates, k >= num, all different, without the example itself.
        num: how many to find, >= 1.
        num_rounds: the largest number of rounds.

    Returns:
        (N, num) int64 indices and (N, num) float32 distances, nearest first.

    >>> line = torch.tensor([0.0, 1.0, 2.1, 3.3, 4.6])
    >>> distance = lambda first, second: (line[first] - line[second]).abs()
    >>> nn_descent(distance, torch.tensor([[1], [2], [3], [4], [0]]), 1)[0].flatten()
    tensor([1, 0, 1, 2, 3])
    """
    number, first = start.shape
    own = torch.arange(number, device=start.device)
    values = distance(own.repeat_interleave(first), start.flatten()).reshape(number, first)
    values, order = values.sort(1)
    lists = start.gather(1, order)
    for _ in range(num_rounds):
        before = lists[:, :num]
        around = _both_ways(lists[:, :_NEAR])
        parts = [_extended(distance, lists[some], values[some], around, some, num) for some in torch.split(own, _ROWS)]
        wide = max(part[0].shape[1] for part in parts)
        lists = torch.cat([_filled(part[0], wide, -1) for part in parts])
        values = torch.cat([_filled(part[1], wide, torch.inf) for part in parts])
        if bool((lists[:, :num] != before).float().mean() < _CONVERGED):
            break
    return lists[:, :num].contiguous(), values[:, :num].contiguous()


def _both_ways(near: Tensor) -> Tensor:
    """(N, k) neighbors -> (N, k + _NEAR) neighbors and some reverse neighbors; -1 where there are fewer.

    Reverse neighbors are sampled at random: the nearest are mostly neighbors already, and the first in the data may
    all be of one class.
    """
    number, num = near.shape
    shuffled = torch.randperm(near.numel(), generator=torch.Generator().manual_seed(number)).to(near.device)
    to, order = near.flatten()[shuffled].sort(stable=True)
    order = shuffled[order]
    by = torch.arange(number, device=near.device).repeat_interleave(num)[order]
    by, to = by[to >= 0], to[to >= 0]
    column = torch.arange(len(to), device=near.device) - torch.searchsorted(to, to)
    back = torch.full((number, _NEAR), -1, device=near.device)
    few = column < _NEAR
    back[to[few], column[few]] = by[few]
    return torch.cat([near, back], 1)


def _extended(
    distance: Distance, lists: Tensor, values: Tensor, around: Tensor, rows: Tensor, num: int
) -> tuple[Tensor, Tensor]:
    """The neighbor lists of some rows and their distances, extended by the neighbors of neighbors."""
    via = around[rows]
    candidates = torch.where(via[:, :, None] >= 0, around[via], -1).flatten(1)
    candidates = torch.cat([via, candidates], 1).sort(1).values
    new = (candidates >= 0) & (candidates != rows[:, None])
    new[:, 1:] &= candidates[:, 1:] != candidates[:, :-1]
    known = lists.sort(1).values
    found = torch.searchsorted(known, candidates).clamp_max_(known.shape[1] - 1)
    new &= known.gather(1, found) != candidates
    row, column = new.nonzero(as_tuple=True)
    measured = torch.full(candidates.shape, torch.inf, device=values.device)
    measured[row, column] = distance(rows[row], candidates[row, column])
    lists, values = torch.cat([lists, candidates.where(new, -1)], 1), torch.cat([values, measured], 1)
    values, order = values.topk(min(max(_KEPT, num), values.shape[1]), largest=False)
    return lists.gather(1, order), values


def _filled(part: Tensor, wide: int, filler: float) -> Tensor:
    return torch.nn.functional.pad(part, (0, wide - part.shape[1]), value=filler)


_START = 30  # candidates: neighbors in blurred gradients
_COMPONENTS = 64
_BLUR = 5


@torch.no_grad()
def idm_distance(first: Tensor, second: Tensor, *, max_displacement: int = 2) -> Tensor:
    """IDM distances of pairs of images: the pixels of the second may move.

    Args:
        first: (N, C, H, W) images of a real dtype.
        second: of the same shape, pair by pair.
        max_displacement: how far each pixel may move along each axis, in pixels, >= 0.

    Returns:
        (N,) float32, >= 0, in squared units of the images; not symmetric.

    Raises:
        ValueError: other shapes, a negative `max_displacement`, or images that are not finite.

    Source: Keysers et al., 2007, section 3.5.

    >>> bar = torch.zeros(1, 1, 5, 5)
    >>> bar[..., 2] = 1
    >>> idm_distance(bar, bar.roll(1, 3), max_displacement=0) > idm_distance(bar, bar.roll(1, 3), max_displacement=1)
    tensor([True])
    """
    _check(first, max_displacement)
    _check(second, max_displacement)
    if first.shape != second.shape:
        raise ValueError(f"images must come in pairs of one shape; got {tuple(first.shape)} and {tuple(second.shape)}")
    number = torch.arange(len(first), device=first.device)
    gradients = sobel_gradients(torch.cat([first, second]).float())
    return IDMDistance(gradients, max_displacement)(number, number + len(first))


@torch.no_grad()
def idm_neighbors(images: Tensor, num: int, *, max_displacement: int = 2) -> tuple[Tensor, Tensor]:
    """The nearest other images of each image by IDM distance; for `label_spreading(..., neighbors=...)`.

    60,000 digits of 28x28 take a minute or two of a core with the compiled kernels and some ten minutes without;
    memory grows with N * C * H * W: 16 bytes for each pixel value (gradients and blurred gradients).

    Args:
        images: (N, C, H, W) of a real dtype; their scale does not matter.
        num: k, 1 <= k < N.
        max_displacement: how far each pixel may move along each axis, in pixels, >= 0.

    Returns:
        (N, k) int64 indices and (N, k) float32 distances, nearest first. A few of the nearest may be missed.

    Raises:
        ValueError: a shape or number out of range, or images that are not finite.

    Source: Keysers et al., 2007, section 3.5; Dong et al., 2011.

    >>> bars = torch.zeros(4, 1, 6, 6)
    >>> bars[0, 0, :, 2] = bars[1, 0, :, 3] = bars[2, 0, 2] = bars[3, 0, 3] = 1  # two vertical, two horizontal
    >>> idm_neighbors(bars, 1)[0].flatten()
    tensor([1, 0, 3, 2])
    """
    _check(images, max_displacement)
    if not 1 <= num < len(images):
        raise ValueError(f"num must lie in 1..{len(images) - 1} for {len(images)} images; got {num}")
    brightest = max(float(some.abs().amax()) for some in torch.split(images.detach(), _ROWS)) or 1.0
    number, channels, height, width = images.shape
    gradients = torch.empty(number, 2 * channels, height, width, device=images.device)
    for into, some in zip(torch.split(gradients, _ROWS), torch.split(images, _ROWS), strict=True):
        into.copy_(sobel_gradients((some.double() / brightest).float()))
    points = principal_components(torch.cat([_blurred(some) for some in torch.split(gradients, _ROWS)]), _COMPONENTS)
    start, _ = nearest_neighbors(points, min(max(_START, num), number - 1))
    found, distances = nn_descent(IDMDistance(gradients, max_displacement), start, num)
    return found, distances * brightest**2


def _blurred(gradients: Tensor) -> Tensor:
    """(N, A, H, W) -> (N, 2 A, ...) positive and negative parts, each blurred, at every other pixel."""
    halves = torch.cat([gradients.clamp_min(0), (-gradients).clamp_min(0)], 1)
    for _ in range(2):
        halves = F.avg_pool2d(halves, _BLUR, 1, _BLUR // 2)
    return halves[:, :, ::2, ::2]


def _check(images: Tensor, max_displacement: int) -> None:
    if images.dim() != 4 or not images.numel():
        raise ValueError(f"images must be (N, C, H, W) and not empty; got {tuple(images.shape)}")
    if not isinstance(max_displacement, int) or max_displacement < 0:
        raise ValueError(f"max_displacement must be a whole number, not negative; got {max_displacement}")
    if images.is_floating_point() and not bool(images.isfinite().all()):
        raise ValueError("images must be finite; some are NaN or infinite")
