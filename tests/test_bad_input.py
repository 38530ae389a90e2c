"""Bad input gets one clear line, a non-zero exit code, and changes nothing on disk."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from studies import Studies, check_refused, contents, files

# (overrides, what the line must name): refused by the program itself, before any work
REFUSED = [
    ("stages=[finetun]", "stages=finetun pretrain scratch analysis"),
    ("stages=[]", "stages finetune"),
    ("name=???", "name no value"),
    ("name=results", "name=results results"),
    ("name=../out", "name=../out folder output="),
    ("name=/out", "name=/out folder output="),
    ("name=''", "name= folder output="),
    ("~start", "start.epoch taken away"),
    ("seed=-1", "seed=-1 0"),
    ("num_workers=-1", "num_workers=-1 0"),
    ("interactions.n=17", "interactions.n=17 16 interactions.grid=4"),
    ("interactions.n=5 interactions.margin=1", "interactions.n=5 4 margin=1"),
    ("interactions.n=21 interactions.grid=8", "interactions.n=21 1 20"),
    ("interactions.n=0", "interactions.n=0 1 20"),
    ("interactions.grid=33", "interactions.grid=33 32x32"),
    ("interactions.samples=1", "interactions.samples=1 2"),
    ("interactions.samples=41", "interactions.samples=41 class"),
    ("interactions.samples=21 interactions.split=train", "interactions.samples=21 class"),
    ("interactions.batch_size=0", "interactions.batch_size=0 1"),
    ("pretrain.epochs=0", "pretrain.epochs=0 1"),
    ("probe.epochs=0", "probe.epochs=0 1"),
    ("finetune.epochs=0", "finetune.epochs=0 1"),
    ("scratch.epochs=0", "scratch.epochs=0 1"),
    ("finetune.lr=-0.1", "finetune.lr=-0.1 0"),
    ("finetune.lr=nan", "finetune.lr=nan 0"),
    ("finetune.lr=inf", "finetune.lr=inf 0"),
    ("probe.lr=-1", "probe.lr=-1 0"),
    ("finetune.optimizer=adamm", "finetune.optimizer=adamm adamw sgd"),
    ("pretrain.schedule=linear", "pretrain.schedule=linear cosine constant"),
    ("probe.solver=newton", "probe.solver=newton lbfgs sgd"),
    ("interactions.precision=int8", "interactions.precision=int8 float32 float64 bfloat16 float16"),
    ("interactions.split=validation", "interactions.split=validation test train"),
    ("interactions.baseline=median", "interactions.baseline=median mean_image channel_mean zero"),
    ("interactions.background=blur", "interactions.background=blur keep mask"),
    ("interactions.engine=fast", "interactions.engine=fast auto dense local"),
    ("model=vit_tiny interactions.engine=local", "interactions.engine=local auto dense"),
    ("interactions.batch_size=some", "interactions.batch_size=some 1"),
    ("interactions.processes=0", "interactions.processes=0 1"),
    ("interactions.device=tpu9", "tpu9 auto cpu cuda"),
    ("interactions.device=cuda:99", "cuda:99 auto cpu"),
    ("trainer.precision=nonsense", "trainer nonsense"),
    ("trainer.devices=foo", "trainer foo"),
    ("trainer.devices=0", "trainer devices 0"),
    ("trainer.accelerator=abacus", "trainer abacus"),
    ("+trainer.nonsense=1", "trainer nonsense"),
    ("start.epoch=first", "start.epoch=first last 0"),
    ("start.epoch=99", "start.epoch=99 pre-training 2"),
    ("start.epoch=1.5", "start.epoch=1.5 last whole"),
    ("interactions.batch_size=2.5", "interactions.batch_size=2.5 auto whole"),
    ("model.weights=scratch start.epoch=3", "start.epoch=3 model.weights=scratch last"),
    ("seeds.train=-1", "seeds.train=-1 0"),
    ("data.source=letters", "data.source=letters glyphs hidden_word"),
    ("checkpoints.epochs=foo", "checkpoints.epochs=foo all [0,1,5]"),
    ("checkpoints.epochs=[-1]", "checkpoints.epochs=[-1] all [0,1,5]"),
    ("wandb.mode=foo", "wandb.mode=foo offline online disabled"),
    ("analysis.measures=[foo]", "analysis.measures=foo ratio claims"),
    ("analysis.tau=2", "analysis.tau=2 0 1"),
    ("data.target.train_samples=5", "data.target train class"),
    ("data.target.train_samples=5000", "train_samples=5000 1797"),
    ("data.target.test_samples=0", "data.target test class"),
    ("data.source.train_samples=10", "data.source train class"),
    ("+data.target.colour=red", "data.target colour"),
    ("model.image_size=8", "model.image_size=8 conv4 16"),
    ("model.image_size=64", "model 3x32x32 model.input"),
    ("model=vit_tiny model.patch_size=5", "model patch"),
    ("model=vit_tiny model.heads=5", "model heads"),
    ("+model.depth=3", "model depth"),
    ("stages=[analysis]", "analysis interactions stages=[interactions,analysis]"),
    ("stages=[finetune]", "finetune pretrain stages=[pretrain,finetune]"),
    ("stages=[interactions]", "interactions probe stages=[probe,interactions] interactions.roles=[finetune,scratch]"),
]

# Refused by Hydra, while it puts the configuration together.
REFUSED_BY_HYDRA = [
    ("experiment=unknown", "experiment/unknown digits"),
    ("model=unknown", "model/unknown conv4 vit_tiny"),
    ("data=unknown", "data/unknown digits"),
    ("analysis=unknown", "analysis/unknown paper"),
    ("finetune.learning_rate=1", "finetune.learning_rate"),
    ("model.widht=8", "model.widht"),
    ("sede=1", "sede"),
    ("seed=abc", "seed abc Integer"),
    ("finetune.lr=fast", "finetune.lr fast Float"),
    ("analysis.salient=maybe", "analysis.salient maybe bool"),
    ("seed=[1", "'[1'"),
    ("finetune.lr=${nothing}", "nothing"),
    ("-m seed=0,1 finetune.lr=fast", "finetune.lr fast"),
]


@pytest.fixture(scope="module")
def refusals(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """The runs of all cases that are wanted, two at a time."""
    cases = [item.callspec.params["overrides"] for item in request.session.items if "refusals" in item.fixturenames]
    folder = tmp_path_factory.mktemp("refused")
    studies = {case: Studies(folder / str(i) / "outputs", folder / str(i) / "scrap") for i, case in enumerate(cases)}
    with ThreadPoolExecutor(2) as pool:
        yield {case: (study.output, pool.submit(study, *case.split())) for case, study in studies.items()}


@pytest.mark.parametrize(("overrides", "named"), REFUSED)
def test_refused_before_any_work(refusals: dict, overrides: str, named: str) -> None:
    output, run = refusals[overrides]
    check_refused(run.result(), *named.split())
    assert "Error executing" not in run.result().err
    assert "HYDRA_FULL_ERROR" not in run.result().err
    assert files(output) == set()


@pytest.mark.parametrize(("overrides", "named"), REFUSED_BY_HYDRA)
def test_refused_by_hydra(refusals: dict, overrides: str, named: str) -> None:
    output, run = refusals[overrides]
    result = run.result()
    check_refused(result, *named.split())
    assert len(result.err.splitlines()) == 1, result.err
    assert not output.exists()


# Real models and data: what is not there, and what does not go together. Nothing can be downloaded.
NOT_THERE = [
    ("model=vit_s model.weights=timm:vit_small_patch16_224.augreg_in21k", "augreg_in21k ImageNet 1K augreg_in1k"),
    ("model=vit_s model.weights=timm:vit_small_patch16_224", "tag ImageNet-21k augreg_in1k"),
    (
        "model=resnet18 model.weights=/no/such/file.pt",
        "model.weights=/no/such/file.pt pretrain scratch torchvision:NAME",
    ),
    (
        "experiment=cub200_resnet50 data.synthetic=1",
        "resnet50-0676ba61.pth download.pytorch.org curl model.weights=/path",
    ),
    ("experiment=cars_vit_s data.synthetic=1", "vit_small_patch16_224.augreg_in1k huggingface.co hf download"),
    ("experiment=sst2_bert data.synthetic=1", "google-bert/bert-base-uncased huggingface.co hf download"),
    ("experiment=cub200_resnet50", "CUB_200_2011 data.download=true"),
    ("experiment=cub200_resnet50 data.download=true", "CUB_200_2011 data.caltech.edu"),
    ("experiment=sst2_bert", "train.tsv SST-2"),
    (
        "experiment=cub200_resnet50 data.synthetic=1 model.weights=pretrain",
        "model.weights=pretrain data.source null glyphs model.weights=/path",
    ),
    ("data=cifar10 data.synthetic=1 model=bert", "model.input size"),
    ("data=digits model=bert", "model.input.size"),
    ("data=sst2 data.synthetic=2 model=resnet18 model.weights=scratch", "text model"),
    ("experiment=cub200_resnet50 debug=tiny interactions.n=37 interactions.batch_size=8", "interactions.n=37 1 20"),
    ("experiment=sst2_bert debug=tiny +model.vocab_size=20", "tokenizer id model.vocab_size"),
    (
        "data=svhn data.synthetic=2 model=resnet18 model.weights=scratch",
        "data.synthetic=2 debug=tiny cifar10 sst2 data.synthetic=0",
    ),
    (
        "data=cifar10 data.synthetic=2 model=resnet18 model.weights=scratch model.input.size=0",
        "model.input.size=0 pixels",
    ),
    ("experiment=sst2_bert debug=tiny interactions.n=15", "interactions.n=15 test sentence interactions.stop_words"),
]


@pytest.mark.parametrize(("overrides", "named"), NOT_THERE)
def test_what_is_not_there_is_said_within_seconds(study: Studies, tmp_path: Path, overrides: str, named: str) -> None:
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    caches = {"TORCH_HOME": str(tmp_path / "torch"), "data.root": f"{tmp_path}/datasets"}
    root = f"data.root={caches.pop('data.root')}"
    options = [] if "debug" in overrides else [root]
    running = study.start(*overrides.split(), *options, tiny=False, **nowhere, **caches)
    result = running.wait(60)
    check_refused(result, *named.split())
    assert not {name for name in files(study.output) if not name.startswith("synthetic/")}


def test_more_devices_than_there_are(study: Studies) -> None:
    check_refused(study("trainer.devices=99", "trainer.accelerator=cuda"), "trainer")
    assert files(study.output) == set()


def test_full_error_shows_the_traceback(study: Studies) -> None:
    result = study("seed=-1", HYDRA_FULL_ERROR="1")
    assert result.code == 2
    assert "Traceback" in result.err
    assert "seed=-1" in result.err


def test_output_is_a_file(study: Studies, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for overrides in ((f"output={file}",), (f"output={file}", f"run_dir={tmp_path}/run")):
        check_refused(study(*overrides), str(file), "output")
    assert file.read_text() == "mine"
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="wants a folder that not even root can write to")
@pytest.mark.parametrize("where", ["output=/proc/outputs", "run_dir=/proc/outputs"])
def test_output_is_not_writable(study: Studies, where: str) -> None:
    check_refused(study(where), "/proc", "output")


def test_a_name_too_long_for_the_file_system(study: Studies) -> None:
    check_refused(study(f"name={'x' * 300}"), "name", "too long")


def test_analysis_wants_what_training_left(resumable: Studies) -> None:
    (resumable.output / "digits" / "seed=0" / "finetune" / "predictions.npy").unlink()
    check_refused(resumable("stages=[analysis]", "analysis.tau=0.1"), "finetune", "stages=[finetune,analysis]")


def test_results_of_an_earlier_version_are_refused_and_never_touched(study: Studies) -> None:
    old = study.output / "digits" / "seed=0" / "finetune"
    old.mkdir(parents=True)
    (old / "config.yaml").write_text("seed: 0\n")
    before = contents(study.output)
    check_refused(study(), "seed=0", "earlier version", "finetune", "name=", "output=")
    assert contents(study.output) == before
