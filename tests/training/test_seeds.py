from training.seeds import stream


def test_streams_are_the_same_in_every_process_and_version():
    assert stream(0, "scratch", "weights") == 828_553_161
    assert stream(1, "probe", 7) == 1_051_289_223


def test_streams_differ_by_seed_and_by_every_name():
    names = [(seed, stage, what) for seed in range(20) for stage in ("pretrain", "scratch") for what in ("order", 0, 1)]
    assert len({stream(*name) for name in names}) == len(names)
    assert len({stream(0), stream(0, "a"), stream(0, "a", "b"), stream(0, "b", "a")}) == 4


def test_streams_are_seeds_that_torch_and_numpy_take():
    assert all(0 <= stream(seed, "x") < 2**31 for seed in range(1000))
