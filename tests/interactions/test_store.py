import numpy as np
import pytest
from damage import flip

from conf.errors import BadInput
from interactions.store import Samples, Store
from stages.reading import Damaged

BLOCKS = [range(0, 4), range(4, 8), range(8, 10)]


@pytest.fixture
def store(tmp_path):
    samples = [{"index": i, "label": 0, "class": "a", "variables": [[0, 0, 1, 1]] * 3} for i in range(10)]
    chosen = Samples(tmp_path / "samples")
    chosen.write({"split": "test", "n": 3, "kind": "image", "samples": samples})
    return Store(tmp_path / "finetune", chosen)


def fill(store, v, order=(0, 1, 2), epoch=12):
    for position in order:
        store.write_part(epoch, BLOCKS[position], v[BLOCKS[position]])
    store.complete(epoch, BLOCKS, {"stage": "finetune", "epoch": epoch})


@pytest.fixture
def v():
    return np.random.default_rng(0).normal(size=(10, 8))


def test_samples_come_back(store):
    about = store.samples.read()
    assert (about["split"], about["n"], about["kind"]) == ("test", 3, "image")
    assert [sample["index"] for sample in about["samples"]] == list(range(10))
    assert about["samples"][3]["variables"] == [[0, 0, 1, 1]] * 3


def test_the_baseline_comes_back(store):
    baseline = np.random.default_rng(1).normal(size=(3, 4, 4)).astype(np.float32)
    store.samples.write_baseline(baseline)
    np.testing.assert_array_equal(store.samples.baseline(), baseline)


@pytest.mark.parametrize("name", ["samples.json", "baseline.npy"])
def test_damaged_samples_are_refused_with_the_file_to_delete(store, name, tmp_path):
    (tmp_path / "samples" / name).write_bytes(b'{"split": ')
    read = {"samples.json": store.samples.read, "baseline.npy": store.samples.baseline}[name]
    with pytest.raises(Damaged, match=rf"{name} is damaged .*rm {tmp_path}/samples/{name}"):
        read()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (2, 1, 0)])
def test_parts_are_joined_in_order_whatever_the_order_written(store, v, order):
    fill(store, v, order)
    found = store.values(12)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, v)


def test_a_checkpoint_is_there_once_it_is_complete(store, v):
    assert not store.has(12)
    store.write_part(12, BLOCKS[0], v[:4])
    assert store.has_part(12, BLOCKS[0])
    assert not store.has_part(12, BLOCKS[1])
    assert not store.has(12)
    fill(store, v)
    assert store.has(12)
    assert not store.has_part(12, BLOCKS[0])
    assert sorted(path.name for path in store.unit(12).iterdir()) == ["meta.json", "values.npy"]
    (store.unit(12) / "values.npy").unlink()
    assert not store.has(12)


@pytest.mark.parametrize("name", ["values.npy", "meta.json"])
def test_values_that_an_interrupted_run_left_damaged_are_computed_again(store, v, name, capsys):
    for epoch in (11, 12):
        fill(store, v, epoch=epoch)
    store.remove_damaged()
    assert store.has(11)
    assert store.has(12)
    flip(store.unit(12) / name, -3)
    store.remove_damaged()
    assert store.has(11)
    assert not store.has(12)
    assert f"{store.unit(12) / 'values.npy'} is damaged" in capsys.readouterr().out


def test_choices_that_are_damaged_are_made_again_and_parts_with_them(store, v, capsys):
    choices = {"network": {"engine": "local", "batch_size": 256}}
    store.write_choices(choices)
    assert store.choices() == choices
    store.write_part(12, BLOCKS[0], v[BLOCKS[0]])
    fill(store, v, epoch=11)
    content = (store.folder / "engine.json").read_bytes()
    flip(store.folder / "engine.json", content.index(b"256"))
    assert store.choices() == {}
    assert "engine.json is damaged" in capsys.readouterr().out
    assert store.has(11)
    assert not store.has_part(12, BLOCKS[0])


@pytest.mark.parametrize("place", [-400, -200])
def test_a_part_with_another_bit_is_not_joined(store, v, place):
    store.write_part(12, BLOCKS[0], v[BLOCKS[0]])
    flip(store.unit(12) / "part_0-3.npz", place)
    with pytest.raises(Damaged, match=r"part_0-3\.npz"):
        store.complete(12, BLOCKS[:1], {})


def test_noise_comes_back(store, v):
    wanted = {"sample": np.array([1, 2]), "subset": np.array([7, 0]), "value": np.array([0.1, -3.0])}
    store.write_noise(5, **wanted)
    found = store.noise(5)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("left", [0, 4, 20, 100, 200, -8, -1])
def test_truncated_values_are_refused(store, v, left):
    fill(store, v)
    path = store.unit(12) / "values.npy"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(Damaged, match=r"values\.npy is damaged .*rm .*epoch_012/values.npy"):
        store.values(12)


def test_values_that_are_not_there_are_refused(store):
    with pytest.raises(BadInput, match=r"values\.npy was not found"):
        store.values(12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(store, v, bad):
    v[3, 5] = bad
    fill(store, v)
    with pytest.raises(Damaged, match=r"values\.npy is damaged \(it holds no finite array of shape \(10, 8\)"):
        store.values(12)


def test_values_of_other_samples_are_refused(store, v):
    fill(store, v)
    np.save(store.unit(12) / "values.npy", v[:, :4])
    with pytest.raises(BadInput, match=r"shape \(10, 8\)"):
        store.values(12)
