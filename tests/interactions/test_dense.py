import numpy as np
import pytest
import torch
from torch import nn

from interactions.dense import log_odds, masked_values
from interactions.mobius import interactions
from interactions.variables.masking import membership
from interactions.variables.patches import draw_patches, owner_map
from models.device import exact_float32
from models.vision import conv4

N = 5
ALL = torch.arange(2**N)


def test_log_odds_of_the_true_class():
    torch.manual_seed(0)
    logits, labels = 3 * torch.randn(50, 4, dtype=torch.float64), torch.randint(4, (50,))
    p = logits.softmax(1)[torch.arange(50), labels]
    torch.testing.assert_close(log_odds(logits, labels), torch.log(p / (1 - p)), rtol=1e-12, atol=1e-12)


def test_log_odds_of_two_classes_is_the_difference_of_the_logits():
    logits = torch.tensor([[1.5, -2.0], [0.25, 3.0]])
    assert log_odds(logits, torch.tensor([0, 1])).tolist() == [3.5, 2.75]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_log_odds_are_finite_where_p_rounds_to_one(dtype):
    logits = torch.tensor([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [40, 0, 0]], dtype=dtype)
    big = float(logits[0, 0])
    v = log_odds(logits, torch.tensor([0, 0, 0]))
    assert v.dtype == torch.float64
    assert v.tolist() == pytest.approx([big, -2 * big - np.log(2), 40 - np.log(2)], rel=1e-12)


@pytest.fixture(scope="module")
def sample_set():
    """A small convolutional network with batch-norm and three images, as arguments of masked_values."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more of them only wait for each other on batches this small
    torch.manual_seed(0)
    model = conv4(3, width=8, image_size=16).train()
    model(torch.randn(64, 3, 16, 16))  # running statistics that are not those of a new network
    model.head.weight.data *= 20  # clear opinions
    boxes = [draw_patches(N, 4, 0, 16, 16, seed=0, index=index) for index in range(3)]
    member = torch.stack([membership(owner_map(box, 16, 16)) for box in boxes])
    inputs, baseline = torch.randn(3, 3, 16, 16), torch.randn(3, 16, 16)
    yield (
        boxes,
        {
            "model": model.eval().to(memory_format=torch.channels_last),
            "inputs": inputs,
            "baseline": baseline,
            "member": member,
            "labels": torch.tensor([0, 2, 1]),
        },
    )
    torch.set_num_threads(threads)


def every(sample_set, batch_size):
    sample, subset = torch.arange(3).repeat_interleave(2**N), ALL.repeat(3)
    return masked_values(**sample_set[1], sample=sample, subset=subset, batch_size=batch_size)


def test_equals_masking_one_input_at_a_time(sample_set):
    boxes, given = sample_set
    expected = []
    for image, label, cells in zip(given["inputs"], given["labels"], boxes, strict=True):
        for subset in range(2**N):
            x = image.clone()
            for variable, (top, left, height, width) in enumerate(cells):
                if not subset >> variable & 1:
                    part = (slice(None), slice(top, top + height), slice(left, left + width))
                    x[part] = given["baseline"][part]
            with torch.no_grad():
                p = given["model"](x[None]).double().softmax(1)[0, label]
            expected.append(torch.log(p / (1 - p)))
    expected = torch.stack(expected)
    torch.testing.assert_close(every(sample_set, 64), expected, rtol=0, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize("batch_size", [1, 7, 96, 1000])
def test_does_not_depend_on_the_batch_size(sample_set, batch_size):
    expected = every(sample_set, 64)
    assert expected.std() > 0.1
    torch.testing.assert_close(every(sample_set, batch_size), expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_does_not_depend_on_the_order_nor_on_what_else_is_asked(sample_set):
    expected = every(sample_set, 16).view(3, 2**N)
    torch.manual_seed(1)
    sample, subset = torch.randint(3, (21,)), torch.randint(2**N, (21,))
    found = masked_values(**sample_set[1], sample=sample, subset=subset, batch_size=16)
    torch.testing.assert_close(found, expected[sample, subset], rtol=0, atol=1e-5 * expected.abs().max().item())


def test_every_forward_pass_has_the_same_size_and_none_makes_gradients(sample_set):
    sizes = []

    def watched(x):
        sizes.append(len(x))
        assert torch.is_inference_mode_enabled()
        return sample_set[1]["model"](x)

    given = sample_set[1] | {"model": watched}
    v = masked_values(**given, sample=torch.zeros(10, dtype=int), subset=ALL[:10], batch_size=4)
    assert sizes == [4, 4, 4]
    assert len(v) == 10


def test_nothing_asked_is_nothing_answered(sample_set):
    none = torch.empty(0, dtype=torch.int64)
    assert masked_values(**sample_set[1], sample=none, subset=none, batch_size=4).shape == (0,)


class Polynomial(nn.Module):
    """Its log-odds of class 0 are a polynomial of "the patch is there" (it is white, the baseline black)."""

    def __init__(self, boxes, coefficients):
        super().__init__()
        self.boxes, self.coefficients = boxes, coefficients

    def forward(self, x):
        kept = [x[:, 0, top : top + h, left : left + w].mean((1, 2)) for top, left, h, w in self.boxes]
        terms = [value * torch.stack([kept[i] for i in term]).prod(0) for term, value in self.coefficients.items()]
        logit = torch.stack(terms).sum(0)
        return torch.stack([logit, torch.full_like(logit, 1.0), torch.full_like(logit, -1.0)], dim=1)


def interactions_of(coefficients, n):
    boxes = draw_patches(n, 4, 0, 16, 16, seed=2, index=0)
    given = {"inputs": torch.ones(1, 1, 16, 16).double(), "baseline": torch.zeros(1, 16, 16).double()}
    member = membership(owner_map(boxes, 16, 16))[None]
    sample, subset = torch.zeros(2**n, dtype=int), torch.arange(2**n)
    v = masked_values(
        Polynomial(boxes, coefficients), **given, member=member, labels=torch.tensor([0]),
        sample=sample, subset=subset, batch_size=50,
    )  # fmt: skip
    return interactions(v.numpy())


def as_array(coefficients, n):
    expected = np.zeros(2**n)
    expected[0] = -np.logaddexp(1, -1)  # v of the fully masked input, from the two other classes
    for term, value in coefficients.items():
        expected[sum(2**i for i in term)] += value
    return expected


def test_an_and_game_has_exactly_one_interaction():
    found = interactions_of({(1, 3, 4): 2.5}, 6)
    np.testing.assert_allclose(found, as_array({(1, 3, 4): 2.5}, 6), rtol=0, atol=1e-12)


def test_a_network_that_is_a_polynomial_has_its_coefficients():
    coefficients = {(0,): 3.0, (1, 2): -2.0, (2, 3, 4): -1.0, (3, 5): 5.0, tuple(range(8)): 0.5}
    found = interactions_of(coefficients, 8)
    np.testing.assert_allclose(found, as_array(coefficients, 8), rtol=0, atol=1e-12)


def precision():
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


def test_tf32_is_off_inside_and_as_before_outside():
    before = precision()
    try:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        outside = precision()
        with exact_float32():
            assert precision() == ("highest", False)
        assert precision() == outside
        with pytest.raises(RuntimeError), exact_float32():
            raise RuntimeError
        assert precision() == outside
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


class Hungry(nn.Module):
    """Runs out of memory for more than `most` inputs at once."""

    def __init__(self, model, most):
        super().__init__()
        self.model, self.most, self.batches = model, most, []

    def forward(self, x):
        if len(x) > self.most:
            raise torch.OutOfMemoryError("no memory")
        self.batches.append(len(x))
        return self.model(x)


def test_a_batch_too_large_for_the_memory_is_halved(sample_set):
    given = dict(sample_set[1])
    given["model"] = Hungry(given["model"], most=10)
    sample, subset = torch.arange(3).repeat_interleave(2**N), ALL.repeat(3)
    found = masked_values(**given, sample=sample, subset=subset, batch_size=64)
    torch.testing.assert_close(found, every(sample_set, 64), rtol=0, atol=1e-4)
    assert set(given["model"].batches) == {8}


def test_memory_that_does_not_suffice_for_one_input_is_an_error(sample_set):
    given = dict(sample_set[1])
    given["model"] = Hungry(given["model"], most=0)
    with pytest.raises(torch.OutOfMemoryError):
        masked_values(**given, sample=torch.zeros(4, dtype=torch.long), subset=ALL[:4], batch_size=4)
