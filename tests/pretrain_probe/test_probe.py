import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from sklearn.linear_model import LogisticRegression
from torch import nn

from data.module import Batches
from data.splits import InMemory, Splits
from pretrain_probe.probe import SMALL, LinearProbe, gradient_norm, threads, train
from training.fit import fit

L2 = 0.01


def splits():
    """Overlapping classes, one of them rare, on features of unequal scale."""
    draw = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 3], [40, 40, 30, 10])
    centres = draw.normal(size=(4, 6))
    inputs = (centres[labels] + draw.normal(size=(120, 6))) * [5, 2, 1, 1, 0.5, 0.1]
    sets = (InMemory(torch.from_numpy(inputs[part]), labels[part]) for part in (slice(0, None, 2), slice(1, None, 2)))
    return Splits(*sets, classes=tuple("abcd"))


def probe(folder, solver="lbfgs", epochs=10):
    torch.manual_seed(0)
    data = Batches(splits(), 60 if solver == "lbfgs" else 16, seed=0)
    options = OmegaConf.create({"solver": solver, "l2": L2, "lr": 0.1})
    module = LinearProbe(nn.Linear(6, 4).double(), options, 60, seed=0)
    trainer = OmegaConf.create({"accelerator": "cpu", "devices": 1})
    fit(module, data, folder, epochs, {epochs}, trainer, lambda row: None)
    return module


@pytest.fixture(scope="module")
def converged(tmp_path_factory):
    return probe(tmp_path_factory.mktemp("probe"))


def test_converges_to_the_logistic_regression_of_scikit_learn(converged):
    module, task = converged, splits()
    expected = LogisticRegression(C=1 / (len(task.train) * L2), tol=1e-12, max_iter=100_000)
    expected.fit(task.train.inputs.numpy(), task.train.labels)
    for inputs in (task.train.inputs, task.test.inputs):
        with torch.no_grad():
            found = module.model(inputs).softmax(1).numpy()
        np.testing.assert_allclose(found, expected.predict_proba(inputs.numpy()), rtol=0, atol=1e-4)
    assert gradient_norm(module, task.train) < 1e-6
    assert module.model.weight.dtype == torch.float64


def test_reported_loss_and_accuracy_are_of_the_training_set_once(converged):
    module, task = converged, splits()
    logits, labels = module.model(task.train.inputs), torch.as_tensor(task.train.labels)
    assert module.train_loss == pytest.approx(nn.functional.cross_entropy(logits, labels).item(), rel=1e-6)
    assert module.train_accuracy == pytest.approx((logits.argmax(1) == labels).double().mean().item())


def test_sgd_comes_close_to_the_same_solution(tmp_path):
    start = LinearProbe(nn.Linear(6, 4).double(), OmegaConf.create({"l2": L2}), 60, seed=0)
    assert gradient_norm(probe(tmp_path, "sgd", epochs=10), splits().train) < 0.3 * gradient_norm(start, splits().train)


def test_gradient_norm_is_that_of_the_whole_objective():
    torch.manual_seed(0)
    module = LinearProbe(nn.Linear(6, 4).double(), OmegaConf.create({"l2": 0.7}), 60, seed=0)
    train = splits().train
    loss = nn.functional.cross_entropy(module.model(train.inputs), torch.as_tensor(train.labels))
    (loss + 0.35 * module.model.weight.square().sum()).backward()
    gradients = [parameter.grad.flatten() for parameter in module.model.parameters()]
    assert gradient_norm(module, train) == pytest.approx(torch.cat(gradients).norm().item(), rel=1e-10)


def test_a_small_problem_has_one_thread_and_a_large_one_all(tmp_path, monkeypatch):
    options = OmegaConf.create({"solver": "sgd", "l2": L2, "lr": 0.1, "batch_size": 16, "epochs": 1})
    seen = []
    for multiplications, name in ((SMALL, "small"), (1, "large")):
        monkeypatch.setattr("pretrain_probe.probe.SMALL", multiplications)
        with threads(3):
            train(splits(), options, 0, tmp_path / name, lambda row: seen.append(torch.get_num_threads()))
            assert torch.get_num_threads() == 3
    assert seen == [1] * (len(seen) // 2) + [3] * (len(seen) // 2)
    assert seen


def test_threads_are_given_back_when_training_fails():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), threads(before + 1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
