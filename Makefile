# Every target sets itself up: on a fresh machine `make demo` and `make test` are enough.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SETUP = $(VENV)/.installed

CASES ?= 20000
SEED ?= 1
FORMATS ?=
# Tests run in so many processes, one thread each; 0: in one, with all threads.
WORKERS ?= logical

.PHONY: help demo pretrain test versions fuzz lint types check gpu schema clean

help: ## what there is to do
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

$(SETUP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(SETUP) ## train on the embedded sample and show where the results are (minutes)
	$(BIN)/meddenoise train configs/mri_n2v.yaml --output runs/demo --overwrite

pretrain: $(SETUP) ## train the weights that ship anew, on procedural anatomy, and put them in place
	$(BIN)/meddenoise pretrain configs/pretrain_3d.yaml --resume
	$(BIN)/python -m meddenoise.pretrained runs/pretrain_3d/model.safetensors
	$(BIN)/meddenoise pretrain configs/pretrain_2d.yaml --resume
	$(BIN)/python -m meddenoise.pretrained runs/pretrain_2d/model.safetensors

test: $(SETUP) ## the test suite, in a process per core: WORKERS=0 for one
	$(if $(filter 0,$(WORKERS)),,OMP_NUM_THREADS=1) $(BIN)/python -m pytest \
		-n $(WORKERS) --maxprocesses 8 --dist loadfile

# With versions of their own, whatever CI has: RESOLUTION=highest takes the newest there are, and
# EXTRAS=dev what writes ONNX, too, which wants a newer torch.
RESOLUTION ?= lowest-direct
EXTRAS ?= test
versions: ## the test suite with the oldest versions that pyproject.toml allows (gigabytes)
	$(PYTHON) -m venv .venv-$(RESOLUTION)
	.venv-$(RESOLUTION)/bin/python -m pip install --quiet uv
	.venv-$(RESOLUTION)/bin/uv pip install --quiet --python .venv-$(RESOLUTION)/bin/python \
		--resolution $(RESOLUTION) --editable '.[$(EXTRAS)]'
	OMP_NUM_THREADS=1 .venv-$(RESOLUTION)/bin/python -m pytest \
		-n $(WORKERS) --maxprocesses 8 --dist loadfile

fuzz: $(SETUP) ## damaged files of each format, many: CASES=20000 SEED=1 FORMATS="nrrd png"
	$(BIN)/python tests/io/fuzzing --cases $(CASES) --seed $(SEED) $(FORMATS)

lint: $(SETUP) ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(SETUP) ## mypy
	$(BIN)/mypy

check: lint types test ## all that CI runs

gpu: $(SETUP) ## on a machine with a CUDA device: its tests, and how fast it is
	$(BIN)/python -c "import torch; assert torch.cuda.is_available(), 'torch sees no CUDA device'"
	$(BIN)/python -m pytest -m gpu
	mkdir -p benchmarks/results
	$(BIN)/python benchmarks/speed.py --device cuda --json benchmarks/results/speed_cuda.json > benchmarks/results/speed_cuda.md
	cat benchmarks/results/speed_cuda.md

schema: $(SETUP) ## JSON Schema of the configurations, for editors
	$(BIN)/meddenoise config schema > meddenoise.schema.json

clean: ## remove the environment and caches, not the runs
	rm -rf $(VENV) .venv-* .pytest_cache .mypy_cache .ruff_cache build dist *.egg-info
