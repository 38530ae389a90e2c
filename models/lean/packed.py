"""Runs convolutions on a CPU by the operations of oneDNN that torch has for compiled code.

They take weights in the order that the processor likes best, which is made once for each checkpoint, and end with the
ReLU or the sum that follows the convolution, while its result is still in the caches. Linear layers stay as they are:
torch's own are as fast there.
"""

import torch
from torch import fx

from models.lean.captured import Captured, aten, of_convolution
from models.lean.demanded import shape_of

onednn = torch.ops.mkldnn


def packed(found: Captured) -> Captured:
    """Changes the graph, which is returned; its new nodes have no shapes."""
    fixed = found.fixed()
    for node in list(found.graph.nodes):
        if node.target is aten.conv2d.default and node.args[1] in fixed and _is_usual(node):
            _replace(found.graph, node, fixed)
    found.graph.eliminate_dead_code()
    return found


def can_pack(example: torch.Tensor) -> bool:
    """Returns whether oneDNN can be used for such inputs."""
    there = hasattr(onednn, "_convolution_pointwise") and torch.backends.mkldnn.is_available()
    return there and example.device.type == "cpu" and example.dtype == torch.float32


def _is_usual(node: fx.Node) -> bool:
    value = node.meta["val"]
    return not node.kwargs and value.dim() == 4 and value.dtype == torch.float32


def _replace(graph: fx.Graph, node: fx.Node, fixed: set[fx.Node]) -> None:
    x, weight, bias, stride, padding, dilation, groups = of_convolution(node)
    how = [padding, stride, dilation, groups]
    with graph.inserting_before(node):
        ordered = graph.call_function(onednn._reorder_convolution_weight, (weight, *how, list(shape_of(x))))
    fixed.add(ordered)
    added, other = _sum(node)
    last = added or node
    relu = _only_user(last, aten.relu.default)
    attribute = "relu" if relu else ("none" if added is None else None)
    with graph.inserting_before(relu or last):
        if added:
            args = (x, other, ordered, bias, *how, "add", None, attribute, [], None)
            new = graph.call_function(onednn._convolution_pointwise.binary, args)
        else:
            new = graph.call_function(
                onednn._convolution_pointwise.default, (x, ordered, bias, *how, attribute, [], "")
            )
    new.meta["val"] = (relu or last).meta["val"]
    (relu or last).replace_all_uses_with(new)


def _only_user(node: fx.Node, target: object) -> fx.Node | None:
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].target is target else None


def _sum(node: fx.Node) -> tuple[fx.Node | None, fx.Node | None]:
    """Returns the sum of the convolution and another map of its shape, if nothing else reads the convolution; and that
    map."""
    added = _only_user(node, aten.add.Tensor)
    if added is None or added.kwargs or added.args[0] is added.args[1]:
        return None, None
    other = added.args[1] if added.args[0] is node else added.args[0]
    # The map has to be there when the convolution runs: of two convolutions, the later one takes the sum.
    if not isinstance(other, fx.Node) or other.op == "placeholder" or not other < node:
        return None, None
    fits = shape_of(other) == shape_of(node) and other.meta["val"].dtype == node.meta["val"].dtype
    return (added, other) if fits else (None, None)
