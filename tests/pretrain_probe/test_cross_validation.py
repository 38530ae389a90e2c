import json

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch.nn import functional as F

from data.splits import InMemory, Splits
from pretrain_probe import cross_validation
from pretrain_probe.cross_validation import FALLBACK, FOLDS, GRID, choose, parts, search, seconds
from pretrain_probe.probe import gradient_norm, train, with_l2


def task(classes=4, samples=60, noise=1.0):
    """Overlapping classes, as many samples of each, on features of unequal scale."""
    draw, labels = np.random.default_rng(0), np.arange(samples) % classes
    inputs = (draw.normal(size=(classes, 6))[labels] + noise * draw.normal(size=(samples, 6))) * [5, 2, 1, 1, 0.5, 0.1]
    return InMemory(torch.from_numpy(inputs), labels)


def fitted(inputs, labels, classes, l2):
    """The solution of mean cross-entropy + l2/2 |W|^2 by Newton's method, from nothing: [classes, D + 1]."""
    weights = torch.zeros(classes * (inputs.shape[1] + 1), dtype=torch.float64)

    def objective(flat):
        each = flat.view(classes, -1)
        return F.cross_entropy(inputs @ each[:, :-1].T + each[:, -1], labels) + l2 / 2 * (each[:, :-1] ** 2).sum()

    def gradient(flat):
        return torch.func.grad(objective)(flat)

    for _ in range(100):
        slope = gradient(weights)
        # The same number added to all biases changes nothing: the pseudo-inverse leaves that alone.
        step = torch.linalg.pinv(torch.func.hessian(objective)(weights), hermitian=True) @ slope
        size = 1.0
        while objective(weights - size * step) > objective(weights) and size > 1e-6:
            size /= 2
        weights = weights - size * step
        if slope.norm() < 1e-9:
            break
    assert gradient(weights).norm() < 1e-8
    return weights.view(classes, -1)


def held_out_loss(train, classes, l2, seed):
    inputs, labels, found = train.inputs, torch.as_tensor(train.labels), torch.zeros(len(train), dtype=torch.float64)
    for part in parts(train.labels, seed):
        others = [index for index in range(len(train)) if index not in part]
        weights = fitted(inputs[others], labels[others], classes, l2)
        logits = inputs[part] @ weights[:, :-1].T + weights[:, -1]
        found[part] = F.cross_entropy(logits, labels[part], reduction="none")
    return found.mean().item()


@pytest.mark.parametrize("classes", [2, 4])
def test_losses_and_choice_are_those_of_all_fits_done_one_by_one(classes):
    train = task(classes, samples=40)
    found = choose(train, seed=3)
    exact = {l2: held_out_loss(train, classes, float(l2), seed=3) for l2 in found.losses}
    assert len(exact) >= 4
    assert found.losses == pytest.approx(exact, rel=1e-3)
    assert found.l2 == float(min(exact, key=exact.get))
    assert found.l2 not in (GRID[0], GRID[-1]), "a task that tells values apart"
    assert found.why == "chosen by 5-fold cross-validation"


@pytest.mark.parametrize(("best", "end"), [(GRID[0], "largest"), (GRID[-1], "smallest")])
def test_a_best_value_at_the_end_is_said(monkeypatch, best, end):
    monkeypatch.setattr(cross_validation, "search", lambda loss: {0.1: 2.0, best: 1.0})
    assert choose(task(), 0).why == f"chosen by 5-fold cross-validation, the {end} value tried"


def test_parts_hold_every_sample_once_and_their_share_of_each_class():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [23, 10, 7]))
    found = parts(labels, seed=0)
    assert sorted(np.concatenate(found)) == list(range(40))
    counts = np.array([np.bincount(labels[part], minlength=3) for part in found])
    assert len(found) == FOLDS
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert np.ptp(counts.sum(1)) <= 1
    assert all(np.array_equal(*pair) for pair in zip(found, parts(labels, seed=0), strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(found, parts(labels, seed=1), strict=True))


@pytest.mark.parametrize(("counts", "folds"), [((9, 9, 2), 5), ((3, 3), 3), ((2, 2, 2), 2), ((7, 1, 3), 5)])
def test_no_part_holds_all_samples_of_a_class(counts, folds):
    labels = np.repeat(range(len(counts)), counts)
    found = parts(labels, seed=0)
    assert len(found) == folds
    for part in found:
        assert set(np.delete(labels, part)) == set(labels)
    alone = {index for index, label in enumerate(labels) if counts[label] == 1}
    assert set(np.concatenate(found)) == set(range(len(labels))) - alone


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0, 1], [1, 1]])
def test_too_few_samples_for_any_part_have_a_value_of_their_own(labels):
    found = choose(InMemory(torch.eye(4, dtype=torch.float64)[: len(labels)], np.array(labels)), 0)
    why = "since cross-validation needs two classes with two training samples each"
    assert (found.l2, found.why, found.losses) == (FALLBACK, why, {})


@pytest.mark.parametrize("best", GRID)
def test_the_search_finds_the_least_loss_wherever_it_is(best):
    found = search(lambda l2: abs(np.log(l2 / best)))
    assert min(found, key=found.get) == best
    below = [l2 for l2 in found if l2 < min(best, 1)]
    assert len(below) == min(2, len([l2 for l2 in GRID if l2 < min(best, 1)])), "and stops two values beyond"


def test_of_equal_losses_the_larger_value_is_taken():
    found = search(lambda l2: max(0.5, abs(np.log10(l2) + 2)))
    assert [l2 for l2 in found if found[l2] == 0.5] == [0.03, 0.01]
    assert min(found, key=found.get) == 0.03


def test_where_it_would_take_long_one_part_is_held_out(monkeypatch):
    assert seconds(6000 * 2048, 200).most < 300, "a minute or some on two cores"
    assert seconds(100 * 256, 10).most < 5
    every = choose(task(), 0)
    monkeypatch.setattr(cross_validation, "LARGE", 60 * 6 * 4 - 1)
    found = choose(task(), 0)
    assert found.why == "chosen by holding out one of 5 parts of the training set"
    assert found.losses != every.losses
    assert seconds(60 * 6, 4).most < cross_validation.SEARCH.most + 2 * 60 * 6 * 4 * cross_validation.EACH.most


@pytest.mark.parametrize("solver", ["lbfgs", "sgd"])
def test_the_probe_is_trained_with_what_was_chosen(tmp_path, capsys, solver):
    seen = Splits(task(), task(), classes=tuple("abcd"))
    options = OmegaConf.create({"solver": solver, "l2": "auto", "epochs": 10, "lr": 0.01, "batch_size": 60})
    chosen = with_l2(options, seen.train, 0, tmp_path)
    assert chosen.l2 == choose(seen.train, 0).l2
    assert capsys.readouterr().out == f"probe: l2 = {chosen.l2:g}, chosen by 5-fold cross-validation\n"
    module = train(seen, chosen, 0, tmp_path, lambda row: None)
    assert module.options.l2 == chosen.l2
    if solver == "lbfgs":
        assert gradient_norm(module, seen.train) < 1e-6
        module.options.l2 *= 3
        assert gradient_norm(module, seen.train) > 1e-3, "it is the solution for no other value"


def test_the_choice_is_kept_with_its_losses_and_not_made_twice(tmp_path, monkeypatch):
    options = OmegaConf.create({"l2": "auto"})
    first = with_l2(options, task(), 0, tmp_path).l2
    kept = json.loads((tmp_path / "l2.json").read_text())
    assert kept["l2"] == first == float(min(kept["losses"], key=kept["losses"].get))
    monkeypatch.delattr(cross_validation, "choose")
    assert with_l2(options, task(), 0, tmp_path).l2 == first


def test_a_number_that_is_given_is_used_as_it_is(tmp_path, capsys):
    options = OmegaConf.create({"l2": 0.7})
    assert with_l2(options, task(), 0, tmp_path) is options
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""
