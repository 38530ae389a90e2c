# make demo    a study of three trainings on data that comes with the program (minutes on 2 cores)
# make test    formatting, lint and tests
# make bench   speed, as ratios within one run; how often intervals contain the truth
# make cluster-trial   hundreds of jobs on a Slurm of its own, some of them cancelled (as root; ten minutes or more)
# make lock    pins every dependency anew from pyproject.toml
VENV := .venv
PYTHON := $(VENV)/bin/python

# Bytecode is kept in the environment: without it every start compiles PyTorch anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test bench cluster-trial lock install

demo: install
	$(PYTHON) run.py experiment=digits_seeds

# Most tests keep one core busy; a file shares its trainings. Files with many tests are not the slow ones: in their own
# order, no worker waits for the other at the end.
test: install
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

bench: install
	for script in values convnets peers probe demo analysis noise processes two_runs statistics epochs transferability shards tracking; do $(PYTHON) -m benchmarks.$$script || exit 1; done

cluster-trial: install
	PYTHONPATH=tests:. $(PYTHON) tests/cluster/trial.py

install: $(VENV)/installed

# The mark is made last, so that an installation that was cut short is taken up again.
$(VENV)/installed: requirements.lock pyproject.toml
	test -x $(PYTHON) || python3 -m venv $(VENV)
	test -x $(VENV)/bin/uv || $(VENV)/bin/pip install --quiet uv
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --require-hashes -r requirements.lock
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --no-deps -e .
	touch $@

lock: $(VENV)/bin/uv
	$(VENV)/bin/uv pip compile pyproject.toml --extra dev --extra cluster --extra dashboard --extra export --extra tensorboard -o requirements.lock --generate-hashes --universal --python-version 3.11 --quiet

$(VENV)/bin/uv:
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet uv
