"""Bad input gets one clear line, a non-zero exit code, and changes nothing on disk.

Nearly all of it is tried in this process, by what run.py does before any work; a few runs show how the program ends.
"""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from studies import CONF, ROOT, Studies, check_refused, contents, files

from conf import schema
from conf.check import check, check_length
from conf.errors import BadInput
from conf.refusals import refusal
from conf.sources import named_source
from stages import runner, table
from stages.identity import results_of

schema.register()

# (overrides, what the line must name): refused by the program itself, before any work
REFUSED = [
    ("stages=[finetun]", "stages=[finetun] pretrain scratch analysis"),
    ("stages=[]", "stages finetune"),
    ("name=???", "name no value"),
    ("name=results", "name=results results"),
    ("name=pretrain", "name=pretrain name"),
    ("name=mine/seed=0", "name=mine/seed=0 name"),
    ("name=../out", "name=../out folder output="),
    ("name=/out", "name=/out folder output="),
    ("name=''", "name='' folder output"),
    ("output=''", "output='' path"),
    ("output=~/x", "output=~/x ~"),
    ("run_dir=''", "run_dir='' path"),
    ("run_dir=/elsewhere", "run_dir=/elsewhere output="),
    ("output=/a run_dir=/a", "run_dir=/a output=/a"),
    ("output=/a run_dir=/a/results/x", "run_dir=/a/results/x results"),
    ("~start", "start removed"),
    ("seed=-1", "seed=-1 0"),
    ("num_workers=-1", "num_workers=-1 0"),
    ("wait=-1", "wait=-1 null 0"),
    ("wait=long", "wait=long null 0"),
    ("num_workers=9999", "num_workers=9999 cores"),
    (f"name={'/'.join('x' * 1000)}", "name= too long path"),
    ("trainer.strategy=ddp_spawn", "trainer.strategy=ddp_spawn ddp spawns"),
    ("+trainer.callbacks=[{_target_:sys.exit}]", "trainer.callbacks sys.exit"),
    ("+model._recursive_=5", "model._recursive_=5 true false"),
    ("+data.target._partial_=true", "data.target._partial_=true false"),
    ("+model._convert_=nonsense", "model._convert_=nonsense none partial object all"),
    ("interactions.processes=9999", "interactions.processes=9999 cores"),
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
    ("finetune.lr=0", "finetune.lr=0 above"),
    ("finetune.batch_size=99999999999", "finetune.batch_size=99999999999 10000000"),
    ("finetune.lr=-0.1", "finetune.lr=-0.1 0"),
    ("finetune.lr=nan", "finetune.lr=nan 0"),
    ("finetune.lr=inf", "finetune.lr=inf 0"),
    ("probe.lr=-1", "probe.lr=-1 0"),
    ("finetune.optimizer=adamm", "finetune.optimizer=adamm adamw adam sgd"),
    ("pretrain.schedule=linear", "pretrain.schedule=linear cosine step constant"),
    ("probe.solver=newton", "probe.solver=newton lbfgs sgd"),
    ("interactions.precision=int8", "interactions.precision=int8 float32 float64 bfloat16 float16"),
    ("interactions.split=validation", "interactions.split=validation test train"),
    ("interactions.baseline=median", "interactions.baseline=median mean_image channel_mean zero"),
    ("interactions.background=blur", "interactions.background=blur keep mask"),
    ("interactions.engine=fast", "interactions.engine=fast auto dense local"),
    ("model=vit_tiny interactions.engine=local", "interactions.engine=local auto dense"),
    ("interactions.batch_size=some", "interactions.batch_size=some 1"),
    ("interactions.processes=0", "interactions.processes=0 1"),
    ("interactions.device=''", "interactions.device='' auto cpu cuda"),
    ("interactions.device=meta", "interactions.device=meta auto cpu cuda"),
    ("interactions.device=tpu9", "tpu9 auto cpu cuda"),
    ("interactions.device=cuda:99", "cuda:99 auto cpu"),
    ("trainer.precision=nonsense", "trainer nonsense"),
    ("trainer.devices=foo", "trainer foo"),
    ("trainer.devices=0", "trainer devices 0"),
    ("trainer.accelerator=abacus", "trainer abacus"),
    ("+trainer.nonsense=1", "trainer nonsense"),
    ("trainer.precision=transformer-engine", "trainer transformer"),
    ("trainer.precision=16-true", "trainer.precision=16-true 16-mixed"),
    ("trainer.precision=16-true pretrain.optimizer=sgd finetune.optimizer=adam", "finetune.optimizer=adam 16-mixed"),
    ("finetune.iterations=7", "finetune.epochs=2 finetune.iterations=7 3 steps 3 epochs finetune.epochs=3"),
    ("scratch.iterations=1 +trainer.min_epochs=2", "trainer.min_epochs=2 scratch.iterations=1 epoch 1"),
    ("pretrain.iterations=2 start.epoch=2", "start.epoch=2 pre-training 1 last"),
    ("finetune.iterations=1.5", "finetune.iterations=1.5 null whole 1"),
    ("finetune.step_epochs=0", "finetune.step_epochs=0 whole 1"),
    ("finetune.step_factor=0", "finetune.step_factor=0 above 1"),
    ("+trainer.limit_train_batches=0.001", "trainer.limit_train_batches=0.001 less"),
    ("+trainer.callbacks=[foo]", "trainer.callbacks foo"),
    ("+trainer.max_epochs=3", "trainer.max_epochs=3 finetune.epochs"),
    ("start.epoch=first", "start.epoch=first last 0"),
    ("start.epoch=99", "start.epoch=99 pre-training 2"),
    ("start.epoch=1.5", "start.epoch=1.5 last whole"),
    ("start.transfer=some", "start.transfer=some all nothing moments shuffled whole 1"),
    ("start.transfer=0", "start.transfer=0 all nothing moments shuffled whole 1"),
    ("start.transfer=5", "start.transfer=5 4 blocks block1 block4"),
    ("start.transfer=1 interactions.checkpoints.finetune=run.py", "start.transfer=1 interactions.checkpoints.finetune"),
    ("start.head=old", "start.head=old new kept"),
    ("start.head=kept", "start.head=kept data.source 62 classes data.target 10 start.head=new"),
    ("start.head=kept model.weights=scratch", "start.head=kept model.weights=scratch start.head=new"),
    ("start.head=kept start.transfer=1", "start.head=kept start.transfer=1 all"),
    ("start.head=kept interactions.checkpoints.finetune=run.py", "start.head=kept interactions.checkpoints.finetune"),
    ("data.labels.random=10", "data.labels.random=10 0 9 data.target 10 classes"),
    ("data.labels.shift=10", "data.labels.shift=10 0 9 data.target 10 classes"),
    ("data.labels.shift=1.5", "data.labels.shift=1.5 whole 0"),
    ("interactions.batch_size=2.5", "interactions.batch_size=2.5 auto whole"),
    ("model.weights=scratch start.epoch=3", "start.epoch=3 model.weights=scratch last"),
    ("seeds.train=-1", "seeds.train=-1 0"),
    ("data.source=letters", "data.source=letters glyphs hidden_word"),
    ("checkpoints.epochs=foo", "checkpoints.epochs=foo all [0, 1, 5]"),
    ("checkpoints.epochs=[-1]", "checkpoints.epochs=[-1] all [0, 1, 5]"),
    ("checkpoints.epochs=[]", "checkpoints.epochs=[] all [0, 1, 5]"),
    ("checkpoints.epochs=[99]", "checkpoints.epochs=[99] 2"),
    ("wandb.project=a/b", "wandb.project=a/b 128 #"),
    ("wandb.mode=foo", "wandb.mode=foo offline online disabled"),
    ("analysis.measures=[foo]", "analysis.measures=[foo] ratio claims"),
    ("analysis.measures=[claims]", "analysis.measures=[claims] ratio claims come with them"),
    ("analysis.measures=[]", "analysis.measures=[] ratio"),
    ("analysis.measures=[ratio,my.ratio]", "analysis.measures ratio two measures of that name"),
    ("analysis.measures=[my.claims]", "analysis.measures claims the program uses it"),
    ("analysis.measures=[nowhere.strength]", "analysis.measures nowhere.strength PYTHONPATH"),
    ("analysis.measures=[conf.errors]", "analysis.measures conf.errors NEEDS samples table"),
    ("+analysis.options.ratio.power=2", "analysis.options.ratio.power unknown option no options"),
    ("+analysis.options.strength.power=2", "analysis.options.strength analysis.measures ratio"),
    ("analysis.resamples=9000000 data.target.test_samples=800", "analysis.resamples=9000000 GB memory"),
    ("analysis.permutations=9000000 interactions.n=9", "analysis.permutations=9000000 GB memory"),
    ("interactions.roles=[finetune,finetune]", "interactions.roles=[finetune, finetune] once"),
    ("interactions.stop_words=5", "interactions.stop_words=5 default null [the, a]"),
    ("interactions.stop_words=[a,1]", "interactions.stop_words=[a, 1] default null [the, a]"),
    ("analysis.tau=2", "analysis.tau=2 0 1"),
    ("data.target.train_samples=5", "data.target train class"),
    ("data.target.train_samples=5000", "data.target.train_samples=5000 1797"),
    ("data.target.train_samples=-5", "data.target.train_samples=-5 whole 1"),
    ("data.target.seed=-1", "data.target.seed=-1 whole 0"),
    ("data.target.train_samples=1790", "data.target.train_samples=1790 1797"),
    ("data.target.test_samples=0", "data.target.test_samples=0 1 1797"),
    ("data.source.train_samples=10", "data.source train class"),
    ("+data.target.colour=red", "data.target.colour train_samples"),
    ("+data.target.made=5", "data.target.made train_samples"),
    ("data.target=null", "data.target=null _target_"),
    ("data.source=???", "data.source no value"),
    ("model.weights=''", "model.weights='' file"),
    ("model.weights=null", "model.weights=null file"),
    ("model.width=abc", "model.width=abc whole 1 4096"),
    ("model.image_size=8", "model.image_size=8 16"),
    ("model.image_size=64", "model 3x32x32 model.input"),
    ("model=vit_tiny model.patch_size=5", "model patch"),
    ("model=vit_tiny model.heads=5", "model heads"),
    ("+model.depth=3", "model.depth width image_size"),
    ("+interactions.checkpoints.foo=a", "interactions.checkpoints.foo pretrain, finetune, scratch"),
    ("++sede=1", "sede seed"),
    ("data.source=glyphs data.source.test_samples=62", "data.source.test_samples= +source@data.source=glyphs without"),
    ("seed=${nothing}", "seed nothing"),
    ("stages=[analysis]", "analysis interactions stages=[interactions,analysis]"),
    ("stages=[finetune]", "finetune pretrain stages=[pretrain,finetune]"),
    ("stages=[interactions]", "interactions probe stages=[probe,interactions] interactions.roles=[finetune,scratch]"),
]

# While the configuration is put together.
REFUSED_BY_HYDRA = [
    ("experiment=unknown", "experiment=unknown digits sst2_bert"),
    ("model=unknown", "model=unknown conv4 vit_tiny"),
    ("data=unknown", "data=unknown digits"),
    ("analysis=unknown", "analysis=unknown paper"),
    ("hydra/launcher=unknown", "hydra/launcher=unknown basic"),
    ("model=null", "model=null conv4 vit_tiny"),
    ("data=null", "data=null digits phrases"),
    ("experiment=null", "experiment=null digits"),
    ("data=5", "data=5 digits"),
    ("finetune.learning_rate=1", "finetune.learning_rate epochs batch_size lr"),
    ("finetune.epohcs=1", "finetune.epohcs finetune.epochs?"),
    ("model.widht=8", "model.widht model.width +model.widht="),
    ("interactions.checkpoints.foo=a", "interactions.checkpoints.foo pretrain, finetune, scratch"),
    ("sede=1", "sede seed"),
    ("lr=1", "lr finetune.lr pretrain.lr"),
    ("seed=abc", "seed=abc whole 0 2147483647"),
    ("seed=1.5", "seed=1.5 whole 0 2147483647"),
    ("seed=null", "seed=null whole 0 2147483647"),
    ("seed=''", "seed='' whole 0 2147483647"),
    ("interactions.n=2e1", "interactions.n=20.0 whole 1 20"),
    ("finetune.lr=fast", "finetune.lr=fast number above 0"),
    ("analysis.salient=maybe", "analysis.salient=maybe true false"),
    ("analysis.measures=ratio", "analysis.measures=ratio list decomposition"),
    ("finetune=5", "finetune=5 finetune.epochs="),
    ("trainer=null", "trainer=null {key: value}"),
    ("~nothing", "~nothing unknown removed"),
    ("~data.target", "~data.target data.target"),
    ("+seed=1", "+seed seed exists +"),
    ("seed=1,2", "seed=1,2 -m seed=[1,2]"),
    ("seed", "seed KEY=VALUE"),
    ("seed=[1", "seed=[1 KEY=VALUE quotes"),
    ("seed='a", "seed='a KEY=VALUE quotes"),
    ("seed==1", "seed==1 KEY=VALUE quotes"),
]


def refused(*overrides: str) -> BadInput | None:
    """What run.py says before it begins any work, if it refuses these."""
    try:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            cfg = compose("config", [f"hydra.searchpath=[file://{CONF}]", *overrides])
    except Exception as error:
        return refusal(error, overrides)
    try:
        named_source(cfg)
        check(cfg)
        cfg.run_dir = cfg.run_dir or f"{cfg.output}/{cfg.name}/seed={cfg.seed}"
        check_length(cfg)
        runner.check(cfg, results_of(cfg), table.chosen(cfg))
    except BadInput as error:
        return error
    return None


def check_line(line: BadInput | None, named: str) -> None:
    assert line is not None, "it is not refused"
    assert "\n" not in str(line)
    assert [word for word in named.split() if word not in str(line)] == [], line


@pytest.mark.parametrize(("overrides", "named"), REFUSED)
def test_refused_before_any_work(tmp_path: Path, overrides: str, named: str) -> None:
    check_line(refused(f"output={tmp_path}", "experiment=tiny", *overrides.split()), named)
    assert files(tmp_path) == set()


@pytest.mark.parametrize(("overrides", "named"), REFUSED_BY_HYDRA)
def test_refused_while_the_configuration_is_put_together(overrides: str, named: str) -> None:
    own = [] if overrides.startswith("experiment=") else ["experiment=tiny"]
    check_line(refused("output=/proc/nowhere", *own, overrides), named)


def test_the_tiny_study_is_not_refused(tmp_path: Path) -> None:
    assert refused(f"output={tmp_path}", "experiment=tiny") is None
    assert files(tmp_path) == set()


@pytest.mark.parametrize(("overrides", "named"), [
    ("seed=-1", "seed=-1 whole 0"),
    ("seed=abc", "seed=abc whole 0"),
    ("finetune.lr=${nothing}", "nothing"),
    ("-m seed=0,1 finetune.lr=fast", "finetune.lr=fast number"),
    ("interactions.n=17", "interactions.n=17 16 interactions.grid=4"),
    ("data.target.train_samples=5", "data.target train class"),
    ("stages=[finetune]", "finetune pretrain stages=[pretrain,finetune]"),
    ("model=null", "model=null conv4 vit_tiny"),
    ("=3", "=3 KEY=VALUE"),
    ("--plan", "--plan KEY=VALUE plan=true"),
    ("data=csv model=bert_tiny +source@data.source=hidden_word", "train.csv data.root"),
])  # fmt: skip
def test_the_program_ends_with_one_line_and_exit_code_2(study: Studies, overrides: str, named: str) -> None:
    result = study(*overrides.split())
    check_refused(result, *named.split())
    assert len([line for line in result.err.splitlines() if line.strip()]) == 1, result.err
    assert files(study.output) == set()


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
    ("data=folder data.target.files.path=5 model=conv4 data.source=glyphs", "data.target.files.path=5 train/ test/"),
    ("data=folder model=conv4 data.source=glyphs", "data.target.files.path=null train/ test/"),
    (
        "data=folder data.target.files.path=/none model=conv4 data.source=glyphs data.target.crop=0",
        "data.target.crop=0 above 1",
    ),
    ("data=digits model=bert", "model.input.size"),
    ("data=sst2 data.synthetic=2 model=resnet18 model.weights=scratch", "text model"),
    ("experiment=cub200_resnet50 debug=tiny interactions.n=37 interactions.batch_size=8", "interactions.n=37 1 20"),
    ("experiment=sst2_bert debug=tiny +model.vocab_size=20", "tokenizer id model.vocab_size"),
    (
        "data=folder data.target.files.path=/none data.synthetic=2 model=resnet18 model.weights=scratch",
        "data.synthetic=2 debug=tiny published data.target data.synthetic=0",
    ),
    (
        "data=cifar10 data.synthetic=2 model=resnet18 model.weights=scratch model.input.size=0",
        "model.input.size=0 whole 1",
    ),
    (
        "data=sst2 data.synthetic=2 model=bert_tiny model.weights=scratch interactions.n=15",
        "interactions.n=15 test sentence interactions.stop_words",
    ),
]


@pytest.mark.parametrize(("overrides", "named"), NOT_THERE)
def test_what_is_not_there_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: str, named: str
) -> None:
    for proxy in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    options = [] if "debug" in overrides else [f"data.root={tmp_path}/datasets"]
    check_line(refused(*overrides.split(), *options, f"output={tmp_path}/outputs"), named)
    assert not {name for name in files(tmp_path / "outputs") if not name.startswith("synthetic/")}


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
