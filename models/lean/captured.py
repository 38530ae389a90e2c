"""Captures a network's forward pass as a graph of operations, for inputs of one shape.

`torch.export` runs the model on tensors without values and records torch's own operations; those that write in place
become ones that do not. Nothing of a checkpoint is in the graph: parameters and buffers are inputs of it. For
`Linear(Dropout(x))` in evaluation mode it is

    p_linear_weight, p_linear_bias, inputs    placeholders
    linear(inputs, p_linear_weight, p_linear_bias)

Copies, dropouts and assertions are left out; `unbind` and `split` become one `select` or `slice` per part; a
view is a `reshape`, as the copies that allowed the view are gone.
"""

import io
import logging
import operator
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.export.graph_signature import InputKind
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.utils._pytree import tree_leaves

from conf.first_line import first_line

aten = torch.ops.aten
SAME = {
    aten.clone.default,
    aten.alias.default,
    aten.contiguous.default,
    aten.detach.default,
    aten.lift_fresh_copy.default,
}
VIEWS = {aten.view.default, aten._unsafe_view.default}
DROPOUTS = {
    aten.dropout.default,
    aten.feature_dropout.default,
    aten.alpha_dropout.default,
    aten.feature_alpha_dropout.default,
}
RECURRENT = {aten.gru.input, aten.lstm.input, aten.rnn_tanh.input, aten.rnn_relu.input}
CONVOLUTION = (None, [1, 1], [0, 0], [1, 1], 1)  # what aten.conv2d takes by default: bias, stride, padding, ...
CHECKS = {aten._assert_tensor_metadata.default, aten._assert_async.msg}


class NotCaptured(Exception):
    """The network runs as it is: the message is the reason."""


@dataclass(frozen=True)
class Captured:
    """A graph with one output, whose nodes have a tensor without values as `meta["val"]`.

    inputs: its placeholders for the network's inputs; weights: those for parameters and buffers, with their names in
    the model; constants: those for tensors that the forward pass itself makes.
    """

    graph: fx.Graph
    inputs: list[fx.Node]
    weights: dict[fx.Node, str]
    constants: dict[fx.Node, torch.Tensor]

    @property
    def output(self) -> fx.Node:
        return next(reversed(self.graph.nodes)).args[0]

    def fixed(self) -> set[fx.Node]:
        """Returns the nodes that do not depend on the inputs."""
        found: set[fx.Node] = set()
        for node in self.graph.nodes:
            depends = node in self.inputs or any(operand not in found for operand in node.all_input_nodes)
            if node.op != "output" and not depends:
                found.add(node)
        return found

    def after(self, nodes: list[fx.Node]) -> set[fx.Node]:
        """Returns these nodes and all that depend on them."""
        found = set(nodes)
        for node in self.graph.nodes:
            if any(operand in found for operand in node.all_input_nodes):
                found.add(node)
        return found

    def values(self, model: nn.Module) -> dict[fx.Node, torch.Tensor]:
        """Returns the values of weights and constants, as the model has them now."""
        named = (model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False))
        mine = {name: tensor for tensors in named for name, tensor in tensors}
        where = next((tensor.device for tensor in mine.values()), None)  # None: leaves a tensor where it is
        return {node: mine[name].detach() for node, name in self.weights.items()} | {
            node: tensor.to(where) for node, tensor in self.constants.items()
        }

    @torch.no_grad()
    def evaluated(self, nodes: set[fx.Node], known: dict[fx.Node, torch.Tensor]) -> dict[fx.Node, torch.Tensor]:
        """Returns the values of these nodes, besides those that are known; all that they need is among both."""
        run = fx.Interpreter(nn.Module(), graph=self.graph, garbage_collect_values=False)
        run.env = dict(known)
        for node in self.graph.nodes:
            if node in nodes and node not in run.env:
                run.env[node] = run.run_node(node)
        return run.env


def captured(model: nn.Module, *inputs: torch.Tensor) -> Captured:
    """Returns the graph of the model, which is in evaluation mode, for inputs of this shape, type and device. Raises
    NotCaptured."""
    try:
        with torch.no_grad(), _quiet():
            # What a model keeps of its first call must not be a tensor without values.
            result = model(*(tensor.clone() for tensor in inputs))
            if not isinstance(result, torch.Tensor):
                raise NotCaptured("its forward pass does not return one tensor")
            return _simplified(_exported(model, inputs))
    except NotCaptured:
        raise
    except GuardOnDataDependentSymNode as error:
        raise NotCaptured("what its forward pass does depends on the values of its input") from error
    except Exception as error:  # whatever a model does that is not made for being captured
        raise NotCaptured(f"its forward pass can't be captured ({first_line(error)})") from error


def _exported(model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Captured:
    program = torch.export.export(model, inputs, strict=False).run_decompositions({})
    signature, graph = program.graph_signature, program.graph
    if signature.buffers_to_mutate or signature.user_inputs_to_mutate:
        raise NotCaptured("its forward pass changes its buffers or its inputs")
    _check(graph)
    last = next(reversed(graph.nodes))
    last.args = last.args[0]  # instead of a tuple of one
    placeholders = {node.name: node for node in graph.nodes if node.op == "placeholder"}
    given, weights, constants = [], {}, {}
    for spec in signature.input_specs:
        node = placeholders[spec.arg.name]
        if spec.kind == InputKind.USER_INPUT:
            given.append(node)
        elif spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
            weights[node] = spec.target
        else:
            constants[node] = program.constants[spec.target]
    return Captured(graph, given, weights, constants)


@contextmanager
def _quiet() -> Iterator[None]:
    """Drops what torch says about a network that it can't capture: NotCaptured has the reason."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _check(graph: fx.Graph) -> None:
    """Raises NotCaptured if an operation is more than a function of tensors."""
    for node in graph.nodes:
        if node.op not in ("placeholder", "output", "call_function"):
            raise NotCaptured("its forward pass has graphs inside its graph")
        if not all(_has_shape(value) for value in tree_leaves(node.meta.get("val"))):
            raise NotCaptured("its operations, or the shapes of their results, depend on the values of the inputs")
        if _is_random(node):
            raise NotCaptured("its forward pass is random")


def _has_shape(value: object) -> bool:
    return not isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool) and all(
        isinstance(side, int) for side in getattr(value, "shape", ())
    )


def _is_random(node: fx.Node) -> bool:
    if node.target in RECURRENT:  # their dropout, in training
        return bool(node.args[5] and node.args[6])
    seeded = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
    if node.target is aten.scaled_dot_product_attention.default:
        seeded = bool(node.args[4:] and node.args[4])  # the probability of its dropout
    return seeded and not _is_idle(node)


def _is_idle(node: fx.Node) -> bool:
    return node.target in DROPOUTS and not node.args[2]


def of_convolution(node: fx.Node) -> tuple:
    """Returns all arguments of conv2d: input, weight, bias, stride, padding, dilation, groups."""
    return (*node.args, *CONVOLUTION[len(node.args) - 2 :])


def emitted(graph: fx.Graph, target: Callable, args: tuple, kwargs: dict | None = None) -> fx.Node:
    """Appends an operation to the graph and returns its node, with the shape of its value."""
    node = graph.call_function(target, args, kwargs or {})

    def value(operand: fx.Node) -> object:
        return operand.meta["val"]

    with torch.no_grad():
        node.meta["val"] = target(*fx.map_arg(args, value), **fx.map_arg(kwargs or {}, value))
    return node


def rebuilt(old: Captured, emit: Callable[[fx.Graph, fx.Node, dict[fx.Node, fx.Node]], fx.Node]) -> Captured:
    """Returns the graph with every operation made anew by emit(graph, node, new), which returns the node of the new
    graph; new: that of each earlier node. What nobody reads is left out."""
    return _rebuilt(old, old.inputs, emit)


def beginning_at(old: Captured, nodes: list[fx.Node]) -> Captured:
    """Returns the graph with these nodes as its inputs."""
    return _rebuilt(old, nodes, copied)


def _rebuilt(old: Captured, inputs: list[fx.Node], emit: Callable) -> Captured:
    graph, new = fx.Graph(), {}
    for node in old.graph.nodes:
        if node.op == "placeholder" or node in inputs:
            new[node] = graph.placeholder(node.name)
            new[node].meta["val"] = node.meta["val"]
        elif node.op == "output":
            graph.output(new[old.output])
        else:
            new[node] = emit(graph, node, new)
    graph.eliminate_dead_code()
    given = [new[node] for node in inputs]
    for node in list(graph.nodes):  # weights that nobody reads any more; inputs stay, as they are given in order
        if node.op == "placeholder" and not node.users and node not in given:
            graph.erase_node(node)
    there = set(graph.nodes)
    weights = {new[node]: name for node, name in old.weights.items() if new[node] in there}
    constants = {new[node]: tensor for node, tensor in old.constants.items() if new[node] in there}
    return Captured(graph, given, weights, constants)


def copied(graph: fx.Graph, node: fx.Node, new: dict[fx.Node, fx.Node]) -> fx.Node:
    """Returns the same operation in the new graph."""
    return emitted(graph, node.target, *fx.map_arg((node.args, node.kwargs), new.__getitem__))


def _simplified(found: Captured) -> Captured:
    def emit(graph: fx.Graph, node: fx.Node, new: dict[fx.Node, fx.Node]) -> fx.Node | None:
        if node.target in SAME or _is_idle(node):
            return new[node.args[0]]
        if node.target in CHECKS:
            return None
        if node.target in (aten.unbind.int, aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default):
            return new[node.args[0]]  # its parts are read by getitem
        if node.target is operator.getitem:
            return _part(graph, node, new)
        if node.target in VIEWS:
            return emitted(graph, aten.reshape.default, (new[node.args[0]], list(node.meta["val"].shape)))
        return copied(graph, node, new)

    return rebuilt(found, emit)


def _part(graph: fx.Graph, node: fx.Node, new: dict[fx.Node, fx.Node]) -> fx.Node:
    """Returns the part of a tensor that `getitem` reads."""
    whole, number = node.args
    if whole.target is aten.unbind.int:
        dim = whole.args[1] if len(whole.args) > 1 else whole.kwargs.get("dim", 0)
        return emitted(graph, aten.select.int, (new[whole], dim, number))
    if whole.target in (aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default):
        dim = whole.args[2] if len(whole.args) > 2 else whole.kwargs.get("dim", 0)
        sizes = [part.shape[dim] for part in whole.meta["val"]]
        start = sum(sizes[:number])
        return emitted(graph, aten.slice.Tensor, (new[whole], dim, start, start + sizes[number]))
    return copied(graph, node, new)
