import pytest
import torch

from checkpoints.disk import path, read, write
from conf.errors import BadInput
from stages.reading import Damaged
from stages.results import epochs_kept

STATE = {"weight": torch.arange(6.0).view(2, 3), "steps": torch.tensor(7), "half": torch.ones(2).half()}


def test_weights_come_back(tmp_path):
    write(tmp_path, 3, STATE)
    found = read(path(tmp_path, 3))
    assert found.keys() == STATE.keys()
    for key, tensor in STATE.items():
        assert torch.equal(found[key], tensor)
        assert found[key].dtype == tensor.dtype


def test_a_file_is_a_plain_state_dict(tmp_path):
    write(tmp_path, 0, torch.nn.Linear(2, 3).state_dict())
    state = torch.load(tmp_path / "checkpoints" / "epoch_000.pt", weights_only=True)
    assert type(state) is dict
    assert all(type(tensor) is torch.Tensor for tensor in state.values())
    assert torch.nn.Linear(2, 3).load_state_dict(state).missing_keys == []


def test_gradients_are_not_kept(tmp_path):
    write(tmp_path, 0, {"weight": torch.ones(2, requires_grad=True)})
    assert not read(path(tmp_path, 0))["weight"].requires_grad


def test_epochs_are_in_order_of_their_numbers(tmp_path):
    assert epochs_kept(tmp_path) == []
    for epoch in (10, 1000, 2, 0):
        write(tmp_path, epoch, STATE)
    (tmp_path / "checkpoints" / "epoch_005.pt.tmp-77").touch()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert epochs_kept(tmp_path) == [0, 2, 10, 1000]


@pytest.mark.parametrize("left", [0, 3, 100, -100, -1])
def test_a_truncated_file_is_refused(tmp_path, left):
    write(tmp_path, 1, STATE)
    file = path(tmp_path, 1)
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(Damaged, match=r"^\S*epoch_001\.pt is damaged .*rm \S*epoch_001\.pt"):
        read(file)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"epoch_001\.pt was not found"):
        read(path(tmp_path, 1))


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save({"model": torch.nn.Linear(2, 3)}, tmp_path / "a.ckpt")
    with pytest.raises(Damaged, match=r"a\.ckpt is damaged"):
        read(tmp_path / "a.ckpt")


def test_the_same_weights_are_the_same_bytes_whatever_the_file_is_called(tmp_path):
    write(tmp_path / "one", 0, STATE)
    write(tmp_path / "other", 123, {key: tensor.clone() for key, tensor in STATE.items()})
    assert path(tmp_path / "one", 0).read_bytes() == path(tmp_path / "other", 123).read_bytes()
    write(tmp_path / "other", 123, STATE | {"steps": torch.tensor(8)})
    assert path(tmp_path / "one", 0).read_bytes() != path(tmp_path / "other", 123).read_bytes()
