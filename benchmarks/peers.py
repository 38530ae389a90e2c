"""Compares exact interactions with other programs, on the same model, sample and masks, in one run: make bench

shapiq: its ExactComputer ("Moebius"), with a game that evaluates batches of our masked inputs.
matrix: the dense 2**n x 2**n matrix product of published research code, built once per n (float32, as in that code); up
to n = 14: at 16 it takes 17 GB. Our results agree with shapiq's to 1e-9.

"end to end" includes model, masks and transform: with our dense engine, so that both sides evaluate the same batches,
and with the engine that `engine=auto` takes. "transform" starts from given values. It writes benchmarks/peers.csv.
"""

import sys
import time
import warnings
from functools import reduce

import numpy as np
import pandas as pd
import torch
from shapiq.game_theory.exact import ExactComputer

from benchmarks.timing import alternate, record
from interactions.dense import log_odds, masked_values
from interactions.local.forward import Local
from interactions.mobius import interactions
from interactions.variables.masking import membership
from interactions.variables.patches import draw_patches, owner_map
from models.backbone import Classifier
from models.batch_size import fitting
from models.device import exact_float32
from models.vision import conv4

SIDE = 32
SMALLEST, LARGEST, LARGEST_MATRIX = 8, 16, 14


def main() -> None:
    torch.manual_seed(0)
    model = Classifier(conv4(num_classes=10)).eval().to(memory_format=torch.channels_last)
    image, baseline = torch.randn(1, 3, SIDE, SIDE), torch.zeros(3, SIDE, SIDE)
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else LARGEST
    rows = []
    for n in range(SMALLEST, largest + 1, 2):
        rows += measure(n, model, image, baseline)
    record(pd.DataFrame(rows), __file__, key="n" if sys.argv[1:] else None)


def measure(n: int, model: Classifier, image: torch.Tensor, baseline: torch.Tensor) -> list[dict]:
    owner = owner_map(draw_patches(n, 4, 0, SIDE, SIDE, 0, 0), SIDE, SIDE)
    member, label = membership(owner[None]), torch.zeros(1, dtype=torch.long)
    batch_size, engine = fitting(model, image, image.device), Local(model, image.shape[1:])

    def values(subset: torch.Tensor) -> np.ndarray:
        sample = torch.zeros_like(subset)
        with exact_float32():
            return masked_values(model, image, baseline, member, label, sample, subset, batch_size).numpy()

    def game(coalitions: np.ndarray) -> np.ndarray:
        return values(torch.from_numpy(coalitions.astype(np.int64) @ (1 << np.arange(n))))

    v = values(torch.arange(2**n))
    table = dict(enumerate(v))

    def known(coalitions: np.ndarray) -> np.ndarray:
        return np.array([table[int(c)] for c in coalitions.astype(np.int64) @ (1 << np.arange(n))])

    def ours() -> np.ndarray:
        return interactions(values(torch.arange(2**n)))

    def ours_local() -> np.ndarray:
        with exact_float32():
            logits = engine.logits(engine.plan(owner, n), image[0], baseline)
            return interactions(log_odds(logits, label.expand(2**n)).numpy())

    error = agreement(interactions(v), known, n)
    sides = {"shapiq": (lambda: shapiq(game, n), lambda: shapiq(known, n))}
    if n <= LARGEST_MATRIX:
        dense = torch.from_numpy(matrix(n))
        sides["matrix"] = (
            lambda: dense @ torch.from_numpy(values(torch.arange(2**n))).float(),
            lambda: dense @ torch.from_numpy(v).float(),
        )
    rows = []
    for peer, (whole, transform) in sides.items():
        repeats = 1 if n >= 14 else 9
        of_ours, of_local, of_peer = alternate([ours, ours_local, whole], repeats)
        ours_alone, peer_alone = seconds(lambda: interactions(v)), min(seconds(transform, 1 if n >= 14 else 5), of_peer)
        rows.append({"n": n, "peer": peer, "end to end, dense, times faster": round(of_peer / of_ours, 2),
                     "end to end, auto, times faster": round(of_peer / of_local, 1),
                     "transform, times faster": float(f"{peer_alone / ours_alone:.3g}"),
                     "ours end to end, s": round(of_ours, 3),
                     "largest difference": error if peer == "shapiq" else ""})  # fmt: skip
    return rows


def shapiq(game: object, n: int) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ExactComputer(game, n_players=n)("Moebius")


def agreement(ours: np.ndarray, game: object, n: int) -> str:
    """Returns the largest difference from shapiq's interactions, relative to the largest interaction."""
    theirs = shapiq(game, n)
    mine = np.array([ours[sum(1 << i for i in subset)] for subset in theirs.interaction_lookup])
    found = np.array([theirs[subset] for subset in theirs.interaction_lookup])
    error = abs(mine - found).max() / abs(ours).max()
    assert error < 1e-9, error
    return f"{error:.1e}"


def matrix(n: int) -> np.ndarray:
    """Returns [2**n, 2**n] float32: (-1)**(|S|-|T|) where T is a subset of S, else 0; a product over the variables."""
    return reduce(np.kron, [np.array([[1, 0], [-1, 1]], np.float32)] * n)


def seconds(work: object, repeats: int = 20) -> float:
    """Returns the seconds of the fastest of several calls, each timed alone, as work of microseconds needs it."""
    fastest = np.inf
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - started)
    return fastest


if __name__ == "__main__":
    main()
