from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.formulas import softmax
from analysis.formulas.softmax import Recipe, predicted, trained

CLASSES = 4
ADAM = Recipe("adam", 0.01, epochs=4, iterations=None, batch_size=16, schedule="constant")
SGD = replace(ADAM, optimizer="sgd", lr=0.1)
RECIPES = {
    "adam": ADAM,
    "sgd": SGD,
    "step": replace(ADAM, schedule="step", step_epochs=2, step_factor=0.5),
    "cosine": replace(SGD, schedule="cosine"),
    "iterations": replace(SGD, iterations=13, schedule="cosine"),
}


@pytest.fixture
def task() -> tuple[torch.Tensor, np.ndarray]:
    draw = np.random.default_rng(0)
    labels = draw.integers(CLASSES, size=70)
    means = draw.normal(size=(3, CLASSES, 9))
    return torch.tensor(means[:, labels] + draw.normal(size=(3, 70, 9))).float(), labels


def alone(inputs: torch.Tensor, labels: np.ndarray, recipe: Recipe, seed: int) -> torch.nn.Linear:
    """Written with PyTorch's own layers, loss and schedules."""
    generator, head = torch.Generator().manual_seed(seed), torch.nn.Linear(9, CLASSES)
    with torch.no_grad():
        head.weight.copy_(0.01 * torch.randn(9, CLASSES, generator=generator).T)
        head.bias.zero_()
    options = {"momentum": 0.9} if recipe.optimizer == "sgd" else {}
    optimizer = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[recipe.optimizer](
        head.parameters(), lr=recipe.lr, **options
    )
    total, rates = min(recipe.epochs * 5, recipe.iterations or 10**9), torch.optim.lr_scheduler
    schedule = {
        "constant": lambda: rates.ConstantLR(optimizer, 1),
        "step": lambda: rates.StepLR(optimizer, 5 * recipe.step_epochs, recipe.step_factor),
        "cosine": lambda: rates.CosineAnnealingLR(optimizer, total),
    }[recipe.schedule]()
    done = 0
    for _ in range(recipe.epochs):
        for batch in torch.randperm(70, generator=generator).split(16):
            if done < total:
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(head(inputs[batch]), torch.tensor(labels)[batch]).backward()
                optimizer.step()
                schedule.step()
                done += 1
    return head


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_heads_are_those_of_separate_trainings(task: tuple, recipe: Recipe) -> None:
    inputs, labels = task
    heads = trained(inputs, labels, CLASSES, recipe, seed=3)
    for each, features in enumerate(inputs):
        single = trained(features[None], labels, CLASSES, recipe, seed=3)
        torch.testing.assert_close(single.weight[0], heads.weight[each], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(single.bias[0], heads.bias[each], rtol=1e-4, atol=1e-6)
        reference = alone(features, labels, recipe, seed=3)
        torch.testing.assert_close(reference.weight.detach().T, heads.weight[each], rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(reference.bias.detach(), heads.bias[each], rtol=1e-3, atol=1e-5)
        assert (heads.weight[each].abs() > 0.05).any()


def test_predictions_are_the_most_likely_classes(task: tuple) -> None:
    inputs, labels = task
    heads = trained(inputs, labels, CLASSES, replace(SGD, epochs=30), seed=0)
    found = predicted(heads, inputs.numpy())
    for each in range(3):
        np.testing.assert_array_equal(found[each], (inputs[each] @ heads.weight[each] + heads.bias[each]).argmax(-1))
    assert ((found == labels).mean(1) > 0.85).all()


def test_the_same_seed_gives_the_same_heads_and_another_one_others(task: tuple) -> None:
    one, again, other = (trained(*task, CLASSES, ADAM, seed).weight for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_first_weights_are_gaussian_the_same_for_all_and_biases_are_0(task: tuple) -> None:
    inputs = torch.zeros(2, 70, 5000)
    heads = trained(inputs, task[1], CLASSES, replace(SGD, lr=0), seed=0)
    assert heads.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert abs(heads.weight.mean().item()) < 3e-4
    assert torch.equal(heads.weight[0], heads.weight[1])
    assert not heads.bias.any()


@pytest.mark.parametrize(("epochs", "iterations", "steps"), [(4, None, 20), (4, 7, 7), (1, 7, 5), (2, 10, 10)])
def test_ends_with_whichever_is_first(task: tuple, epochs: int, iterations: int | None, steps: int) -> None:
    recipe, seen = replace(ADAM, epochs=epochs, iterations=iterations), []
    trained(*task, CLASSES, recipe, 0, seen.append)
    assert sum(seen) == recipe.steps(70) == steps


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_head_that_diverges_is_refused(task: tuple, optimizer: str) -> None:
    inputs, labels = task
    with pytest.raises(ValueError, match="diverged: a lower learning rate than 1e\\+20"):
        trained(1e30 * inputs, labels, CLASSES, replace(ADAM, optimizer=optimizer, lr=1e20), 0)


def test_small_steps_take_one_thread_which_is_given_back(task: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(3)
    for multiplications in (softmax.SMALL, 1):
        monkeypatch.setattr(softmax, "SMALL", multiplications)
        trained(*task, CLASSES, replace(ADAM, epochs=1), 0, lambda _: seen.append(torch.get_num_threads()))
        assert torch.get_num_threads() == 3
    torch.set_num_threads(before)
    assert set(seen[:5]) == {1}
    assert set(seen[5:]) == {3}
