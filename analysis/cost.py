"""How long measures on features take, for a plan: counted in multiplications, as measured on two cores."""

from analysis.formulas.softmax import Recipe
from stages.span import Span

# Seconds of a step of softmax heads, and of a multiplication: a step of five heads on 128 samples of 512 features and
# ten classes, 20 million multiplications, took 1.6 to 2 ms; machines with more cores are up to ten times as fast.
STEP, EACH = Span(1e-4, 1e-3), Span(1e-11, 2e-10)


def of_heads(recipe: Recipe, heads: int, samples: int, width: int, classes: int) -> Span:
    """Returns the seconds to train so many softmax heads at once on samples of so many features."""
    steps = recipe.steps(samples)
    return STEP * steps + EACH * (6 * steps * heads * min(recipe.batch_size, samples) * width * classes)


def of_products(multiplications: float) -> Span:
    return EACH * multiplications
