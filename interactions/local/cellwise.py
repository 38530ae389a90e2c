"""Recognises operations that make every output cell from the same cell of one or several maps.

These are activations, sums, products, concatenated channels, normalisations over the channels, and linear layers on the
channels. Maps have their channels first, [B, C, H, W], or last, [B, H, W, C]; `permute` converts one into the other.
Operands that do not depend on the input (weights, buffers, values computed from them) may be of any kind, as long as
they are the same for all cells: FrozenBatchNorm2d multiplies by [1, C, 1, 1].
"""

from collections.abc import Mapping

from torch import fx, nn

from interactions.local.operations import (
    ELEMENTWISE,
    IN_PLACE,
    OVER_CHANNELS,
    PASSING,
    RANDOM,
    NotTiled,
    Shapes,
    argument,
    module_of,
    name_of,
)

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish)
ACTIVATIONS += (nn.Softplus, nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish)
CHANNELS_FIRST = (nn.BatchNorm2d, nn.PReLU, nn.LocalResponseNorm)
CHANNELS_LAST = (nn.LayerNorm, nn.RMSNorm, nn.Linear)
TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def cellwise(
    model: nn.Module, node: fx.Node, maps: Mapping[fx.Node, bool], fixed: set[fx.Node], shapes: Shapes
) -> bool:
    """Returns whether the node's value has its channels last. Raises NotTiled if the operation is not cellwise.

    maps: the operands that depend on the input, with whether they have their channels last.
    """
    last = next(iter(maps.values()))
    # Otherwise [B, 8, 8, 8] + [B, 8, 8, 8] would be accepted, and add rows to channels.
    if len(set(maps.values())) > 1:
        raise NotTiled("its maps have their channels in different places")
    module, name = module_of(model, node), name_of(node)
    if name == "permute":
        return _permuted(node, last)
    if module is not None:
        _check_module(module, last)
    elif name in ("cat", "concat", "concatenate"):
        _check_dimension(node, last, default=0)
        _check_operands(node, name, maps, fixed, shapes, last)
    elif name in OVER_CHANNELS:
        _check_dimension(node, last, default=None)
        if not _keeps_dimensions(node, name):
            raise NotTiled("its result is not a feature map")
    elif name in RANDOM:  # a function has an argument for training; the mode of modules has been checked
        if argument(node, "training") is not False:
            raise NotTiled("it is random")
    else:
        _check_function(node, name, last)
        _check_operands(node, name, maps, fixed, shapes, last)
    return last


def _check_module(module: nn.Module, last: bool) -> None:
    kind = type(module)
    # Exact classes: a subclass may do something else.
    if kind in (*ACTIVATIONS, *PASSING):
        return
    if kind in CHANNELS_FIRST and not last:
        if kind is nn.BatchNorm2d and module.running_mean is None:
            raise NotTiled("it normalises with the statistics of the batch")
        return
    # A norm over two axes, [W, C], would cover the cells of a row. (A linear layer does not have this attribute.)
    if kind in CHANNELS_LAST and last and len(getattr(module, "normalized_shape", [0])) == 1:
        return
    raise NotTiled("it is not a known layer")


def _check_function(node: fx.Node, name: str, last: bool) -> None:
    if "out" in node.kwargs:
        raise NotTiled("it writes to another map")
    if name == "batch_norm" and not last:
        if argument(node, "training", 5) or argument(node, "running_mean", 1) is None:
            raise NotTiled("it normalises with the statistics of the batch")
    elif name in ("layer_norm", "rms_norm") and last:
        if len(argument(node, "normalized_shape", 1)) != 1:
            raise NotTiled("it normalises over several cells")
    elif not (name == "linear" and last) and IN_PLACE.get(name, name.removesuffix("_")) not in ELEMENTWISE:
        raise NotTiled("it is not a known layer")


def _check_operands(
    node: fx.Node, name: str, maps: Mapping[fx.Node, bool], fixed: set[fx.Node], shapes: Shapes, last: bool
) -> None:
    """Raises NotTiled unless the maps have one size, and all other operands are the same for every cell."""
    # Maps of other sizes would be broadcast: a cell of [B, C, 1, 1] is read by all cells, and not only by its own.
    cells = slice(1, 3) if last else slice(2, 4)
    if any(shapes[operand][cells] != shapes[node][cells] for operand in maps):
        raise NotTiled("its maps have different sizes")
    if name in ("batch_norm", "layer_norm", "rms_norm", "linear"):  # their vectors belong to the channels
        return
    for operand in node.all_input_nodes:
        if operand in fixed and any(side > 1 for side in _over_cells(shapes.get(operand, ()), last)):
            raise NotTiled("it is not the same for all cells")


def _over_cells(shape: tuple[int, ...], last: bool) -> list[int]:
    """Returns the sides of an operand that lie along the batch and the rows and columns of a map."""
    # Shapes are aligned from the right, as torch does it.
    padded = (1,) * (4 - len(shape)) + tuple(shape)
    return [padded[axis] for axis in ((0, 1, 2) if last else (0, 2, 3))] + list(padded[4:])


def _permuted(node: fx.Node, last: bool) -> bool:
    # permute((0, 2, 3, 1)), permute(0, 2, 3, 1) and permute(dims=...) are the same.
    given = node.args[1] if len(node.args) == 2 else node.args[1:] or node.kwargs.get("dims", ())
    order = (
        tuple(axis % 4 if isinstance(axis, int) else axis for axis in given) if isinstance(given, tuple | list) else ()
    )
    if order != (TO_FIRST if last else TO_LAST):
        raise NotTiled("its result is not a feature map")
    return not last


def _check_dimension(node: fx.Node, last: bool, default: int | None) -> None:
    """Raises NotTiled unless the operation works along the channels."""
    given = argument(node, "dim", 1, default)
    axes = given if isinstance(given, tuple | list) else [given]
    if [axis % 4 if isinstance(axis, int) else axis for axis in axes] != [3 if last else 1]:
        raise NotTiled("it reaches over several cells")


def _keeps_dimensions(node: fx.Node, name: str) -> bool:
    place = 2 if name in ("mean", "sum", "amax", "amin") else 99  # for others the place depends on earlier arguments
    return argument(node, "keepdim", place) is True
